#include "heap/match.h"

#include <string.h>

#include "base/mem.h"
#include "heap/pagemap.h"

static bool
same_text(const struct graph *a, graph_text left, const struct graph *b, graph_text right)
{
    return strcmp(graph_text_of(a, left), graph_text_of(b, right)) == 0;
}

/* For each class of the newer graph, its number in the older one, or GRAPH_NONE. */
static uint32_t *
match_types(const struct graph *newer, const struct graph *older)
{
    uint32_t *match = mem_malloc((size_t)newer->type_count + 1, sizeof *match);
    struct hashmap by_address = {0};
    bool failed = match == NULL;
    for (uint32_t i = 0; i < older->type_count && !failed; i++) {
        failed = hashmap_put(&by_address, older->types[i].address, i) < 0;
    }
    for (uint32_t i = 0; i < newer->type_count && !failed; i++) {
        const struct graph_type *type = &newer->types[i];
        const uint64_t *found = hashmap_get(&by_address, type->address);
        const struct graph_type *old = found != NULL ? &older->types[*found] : NULL;
        bool same = old != NULL && same_text(newer, type->qualname, older, old->qualname)
                    && same_text(newer, type->module, older, old->module);
        match[i] = same ? (uint32_t)*found : GRAPH_NONE;
    }
    hashmap_clear(&by_address);
    if (failed) {
        mem_free(match);
        return NULL;
    }
    return match;
}

static int
match_threads(const struct graph *newer, const struct graph *older, uint32_t *match)
{
    struct hashmap by_ident = {0};
    int status = 0;
    for (uint32_t node = 0; node < older->holder_count && status == 0; node++) {
        if (older->holders[node].kind == GRAPH_THREAD) {
            status = hashmap_put(&by_ident, older->holders[node].ident, node);
        }
    }
    for (uint32_t node = 0; node < newer->holder_count && status == 0; node++) {
        const uint64_t *found = newer->holders[node].kind == GRAPH_THREAD
                                    ? hashmap_get(&by_ident, newer->holders[node].ident)
                                    : NULL;
        match[node] = found != NULL ? (uint32_t)*found : GRAPH_NONE;
    }
    hashmap_clear(&by_ident);
    return status;
}

uint32_t *
match_nodes(const struct graph *newer, const struct graph *older)
{
    uint32_t *types = match_types(newer, older);
    uint32_t *match = mem_malloc((size_t)newer->count + 1, sizeof *match);
    struct pagemap *old_nodes = pagemap_new();
    int status = types == NULL || match == NULL || old_nodes == NULL ? -1 : 0;
    for (uint32_t node = older->holder_count; node < older->count && status == 0; node++) {
        uint32_t *slot = pagemap_slot(old_nodes, older->address[node]);
        if (slot == NULL) {
            status = -1;
        }
        else {
            *slot = node + 1;
        }
    }
    if (status == 0) {
        status = match_threads(newer, older, match);
    }
    for (uint32_t node = newer->holder_count; node < newer->count && status == 0; node++) {
        uint32_t old_node = pagemap_get(old_nodes, newer->address[node]);
        bool same =
            old_node-- != 0 && types[graph_type_of(newer, node)] == graph_type_of(older, old_node);
        match[node] = same ? old_node : GRAPH_NONE;
    }
    pagemap_free(old_nodes);
    mem_free(types);
    if (status < 0) {
        mem_free(match);
        return NULL;
    }
    return match;
}
