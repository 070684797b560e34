#include "heap/growth.h"

#include "base/mem.h"
#include "heap/match.h"

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

int
growth_find(const struct graph *newer, const struct graph *older, size_t limit, struct growths *out)
{
    *out = (struct growths){0};
    uint32_t *old_nodes = match_nodes(newer, older);
    int status = old_nodes == NULL ? -1 : 0;
    for (uint32_t node = newer->holder_count; node < newer->count && status == 0; node++) {
        uint32_t old_node = old_nodes[node];
        if (old_node == GRAPH_NONE) {
            continue;
        }
        struct growth one = {
            node, old_node,
            (int64_t)graph_references(newer, node) - graph_references(older, old_node),
            (int64_t)graph_size_of(newer, node) - (int64_t)graph_size_of(older, old_node)};
        if (one.edges > 0 || (one.edges == 0 && one.bytes > 0)) {
            status = add(out, limit, one);
        }
    }
    sort(out);
    mem_free(old_nodes);
    return status;
}

void
growth_release(struct growths *self)
{
    mem_free(self->items);
    *self = (struct growths){0};
}
