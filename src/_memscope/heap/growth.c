#include "heap/growth.h"

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

static bool
is_before(const struct growth *a, const struct growth *b)
{
    if (a->edges != b->edges) {
        return a->edges > b->edges;
    }
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->node < b->node;
}

/* `items` is a heap with the least growth on top, so that it can give way. */
static void
sift_down(struct growth *items, size_t count, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_before(&items[child], &items[child + 1])) {
            child++;
        }
        if (!is_before(&items[at], &items[child])) {
            return;
        }
        struct growth swapped = items[at];
        items[at] = items[child];
        items[child] = swapped;
    }
}

static int
add(struct growths *self, size_t limit, struct growth one)
{
    self->total++;
    if (limit == 0) {
        return 0;
    }
    if (self->count == limit) {
        if (is_before(&one, &self->items[0])) {
            self->items[0] = one;
            sift_down(self->items, self->count, 0);
        }
        return 0;
    }
    if (mem_grow((void **)&self->items, &self->capacity, self->count + 1, sizeof one) < 0) {
        return -1;
    }
    self->items[self->count++] = one;
    for (size_t at = self->count == limit ? limit / 2 : 0; at-- > 0;) {
        sift_down(self->items, limit, at);
    }
    return 0;
}

/* Heapsort, which leaves the largest growth first. */
static void
sort(struct growths *self)
{
    for (size_t at = self->count / 2; at-- > 0;) {
        sift_down(self->items, self->count, at);
    }
    for (size_t end = self->count; end-- > 1;) {
        struct growth least = self->items[0];
        self->items[0] = self->items[end];
        self->items[end] = least;
        sift_down(self->items, end, 0);
    }
}

static uint32_t
references(const struct graph *graph, uint32_t node)
{
    return graph->out_start[node + 1] - graph->out_start[node];
}

int
growth_find(const struct graph *newer, const struct graph *older, size_t limit, struct growths *out)
{
    *out = (struct growths){0};
    uint32_t *match = match_types(newer, older);
    struct pagemap *old_nodes = pagemap_new();
    int status = match == NULL || old_nodes == NULL ? -1 : 0;
    for (uint32_t node = older->holder_count; node < older->count && status == 0; node++) {
        uint32_t *slot = pagemap_slot(old_nodes, older->address[node]);
        if (slot == NULL) {
            status = -1;
        }
        else {
            *slot = node + 1;
        }
    }
    for (uint32_t node = newer->holder_count; node < newer->count && status == 0; node++) {
        uint32_t old_node = pagemap_get(old_nodes, newer->address[node]);
        if (old_node-- == 0
            || match[graph_type_of(newer, node)] != graph_type_of(older, old_node)) {
            continue;
        }
        struct growth one = {
            node, old_node, (int64_t)references(newer, node) - references(older, old_node),
            (int64_t)graph_size_of(newer, node) - (int64_t)graph_size_of(older, old_node)};
        if (one.edges > 0 || (one.edges == 0 && one.bytes > 0)) {
            status = add(out, limit, one);
        }
    }
    sort(out);
    pagemap_free(old_nodes);
    mem_free(match);
    return status;
}

void
growth_release(struct growths *self)
{
    mem_free(self->items);
    *self = (struct growths){0};
}
