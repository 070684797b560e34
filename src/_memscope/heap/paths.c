#include "heap/paths.h"

#include "base/mem.h"
#include "heap/roots.h"

/* Bits of `mark`. */
enum { AVOIDED = 1, TARGET = 2 };

struct finder {
    const struct graph *graph;
    const struct paths_query *query;
    enum root_kind kind;        /* of root that is tried now */
    unsigned char *mark;        /* by node */
    struct paths *out;
};

void
paths_release(struct paths *self)
{
    node_queue_release(&self->nodes);
    mem_free(self->end);
    *self = (struct paths){0};
}

static int
end_path(struct paths *self)
{
    if (self->count == self->capacity
        && mem_grow((void **)&self->end, &self->capacity, self->count + 1, sizeof *self->end) < 0) {
        return -1;
    }
    self->end[self->count++] = self->nodes.count;
    return 0;
}

static bool
is_root(const struct finder *self, uint32_t node)
{
    return root_is(self->graph, self->kind, node);
}

/* Whether a path that goes on from `target` may come from `source`. */
static bool
may_come_from(const struct finder *self, uint32_t source, uint32_t target)
{
    return self->mark[source] == 0 && root_may_step(self->graph, self->kind, source, target);
}

/* -- one path: backward from all targets at once ------------------------------------------ */

/* `next`, by node: the node after it on its path to a target, itself for a target, + 1. */
static int
add_path(struct finder *self, const uint32_t *next, uint32_t node)
{
    for (;;) {
        if (node_queue_add(&self->out->nodes, node) < 0) {
            return -1;
        }
        if (next[node] == node + 1) {
            return end_path(self->out);
        }
        node = next[node] - 1;
    }
}

static int
climb_from(struct finder *self, uint32_t *next, struct node_queue *queue, uint32_t node)
{
    const struct graph *graph = self->graph;
    for (uint32_t edge = graph->in_start[node]; edge < graph->in_start[node + 1]; edge++) {
        uint32_t source = graph->in[edge];
        if (next[source] == 0 && may_come_from(self, source, node)) {
            next[source] = node + 1;
            if (node_queue_add(queue, source) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* Of roots at the same distance, one that is not a thread is preferred: what a running
 * function holds is likely to be let go of. */
static int
climb(struct finder *self, uint32_t *next, struct node_queue *queue)
{
    uint32_t thread = GRAPH_NONE;
    size_t level_end = queue->count;
    for (size_t at = 0; at < queue->count; at++) {
        uint32_t node = queue->nodes[at];
        if (at == level_end) {
            if (thread != GRAPH_NONE) {
                break;
            }
            level_end = queue->count;
        }
        if (!is_root(self, node)) {
            if (climb_from(self, next, queue, node) < 0) {
                return -1;
            }
        }
        else if (node >= self->graph->holder_count) {
            return add_path(self, next, node);
        }
        else if (thread == GRAPH_NONE) {
            thread = node;
        }
    }
    return thread != GRAPH_NONE ? add_path(self, next, thread) : 0;
}

static int
find_one(struct finder *self)
{
    struct node_queue queue = {0};
    uint32_t *next = mem_calloc((size_t)self->graph->count + 1, sizeof *next);
    int status = next != NULL ? 0 : -1;
    for (size_t i = 0; i < self->query->target_count && status == 0; i++) {
        uint32_t target = self->query->targets[i];
        if (next[target] == 0 && !(self->mark[target] & AVOIDED)) {
            next[target] = target + 1;
            status = node_queue_add(&queue, target);
        }
    }
    if (status == 0) {
        status = climb(self, next, &queue);
    }
    mem_free(next);
    node_queue_release(&queue);
    return status;
}

/* -- many: best first, backward ------------------------------------------------------------
 *
 * Each unfinished path is extended in the order of the length that it has at least in the
 * end: what it has now, and from its first node the distance to the nearest root.  That
 * bound is exact but for the rule that no node comes twice, so the first path is found
 * by going straight to the root (A*, Hart, Nilsson and Raphael 1968). */

/* Steps from the nearest root to each node, + 1; 0: no root leads there.  Targets are
 * not passed. */
static int
measure_distances(struct finder *self, uint32_t *distance)
{
    const struct graph *graph = self->graph;
    struct node_queue queue = {0};
    int status = 0;
    for (uint32_t node = 0; node < graph->count && status == 0; node++) {
        if (is_root(self, node) && !(self->mark[node] & AVOIDED)) {
            distance[node] = 1;
            status = node_queue_add(&queue, node);
        }
    }
    for (size_t at = 0; at < queue.count && status == 0; at++) {
        uint32_t node = queue.nodes[at];
        if (self->mark[node] & TARGET) {
            continue;
        }
        for (uint32_t edge = graph->out_start[node]; edge < graph->out_start[node + 1]; edge++) {
            uint32_t target = graph->out[edge];
            if (distance[target] == 0 && !(self->mark[target] & AVOIDED)
                && root_may_step(graph, self->kind, node, target)) {
                distance[target] = distance[node] + 1;
                status |= node_queue_add(&queue, target);
            }
        }
    }
    node_queue_release(&queue);
    return status;
}

#define NO_PARTIAL SIZE_MAX

/* An unfinished path: a node, and the one that it extends. */
struct partial {
    size_t rest;                /* NO_PARTIAL for a target alone */
    uint32_t node;
    uint32_t nearest;           /* the least distance of its nodes */
};

/* In a binary heap; the least `bound` on top, of equals the one nearest to a root, of
 * these the one that was found first. */
struct candidate {
    uint64_t bound;
    size_t partial;
    uint32_t distance;
};

struct candidates {
    struct partial *partials;
    size_t partial_count, partial_capacity;
    struct candidate *heap;
    size_t count, capacity;
    const uint32_t *distance;
    uint32_t *extended;         /* by node: how often a path that begins there was extended */
};

static bool
is_better(const struct candidate *a, const struct candidate *b)
{
    if (a->bound != b->bound) {
        return a->bound < b->bound;
    }
    return a->distance != b->distance ? a->distance < b->distance : a->partial < b->partial;
}

/* Adds `node` in front of `rest`, which is of `length` steps then. */
static int
add_candidate(struct candidates *self, uint32_t node, size_t rest, uint64_t length)
{
    uint32_t distance = self->distance[node];
    if (distance == 0) {
        return 0;
    }
    if ((self->partial_count == self->partial_capacity
         && mem_grow((void **)&self->partials, &self->partial_capacity, self->partial_count + 1,
                     sizeof *self->partials)
                < 0)
        || (self->count == self->capacity
            && mem_grow((void **)&self->heap, &self->capacity, self->count + 1, sizeof *self->heap)
                   < 0)) {
        return -1;
    }
    uint32_t nearest = rest != NO_PARTIAL ? self->partials[rest].nearest : distance;
    self->partials[self->partial_count] =
        (struct partial){rest, node, nearest < distance ? nearest : distance};
    struct candidate added = {length + distance, self->partial_count++, distance};
    size_t at = self->count++;
    while (at > 0 && is_better(&added, &self->heap[(at - 1) / 2])) {
        self->heap[at] = self->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    self->heap[at] = added;
    return 0;
}

static struct candidate
take_candidate(struct candidates *self)
{
    struct candidate top = self->heap[0], last = self->heap[--self->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < self->count; at = child) {
        if (child + 1 < self->count && is_better(&self->heap[child + 1], &self->heap[child])) {
            child++;
        }
        if (!is_better(&self->heap[child], &last)) {
            break;
        }
        self->heap[at] = self->heap[child];
    }
    self->heap[at] = last;
    return top;
}

/* Whether the first node of a path is on the rest of it.  It is not if it is nearer to the
 * root than all of that, or if no path through it was ever extended; what is left is
 * short in practice, and the whole length of the path at worst. */
static bool
is_loop(const struct candidates *self, size_t partial)
{
    const struct partial *first = &self->partials[partial];
    if (first->rest == NO_PARTIAL || self->extended[first->node] == 0
        || first->nearest < self->partials[first->rest].nearest) {
        return false;
    }
    for (size_t at = first->rest; at != NO_PARTIAL; at = self->partials[at].rest) {
        if (self->partials[at].node == first->node) {
            return true;
        }
    }
    return false;
}

static bool
is_of_module(const struct finder *self, uint32_t node)
{
    const struct graph *graph = self->graph;
    for (uint32_t edge = graph->in_start[node]; edge < graph->in_start[node + 1]; edge++) {
        if (root_is_module(graph, graph->in[edge]) && self->mark[graph->in[edge]] == 0) {
            return true;
        }
    }
    return false;
}

static int
extend(struct finder *self, struct candidates *all, const struct candidate *candidate)
{
    const struct graph *graph = self->graph;
    uint32_t node = all->partials[candidate->partial].node;
    uint64_t length = candidate->bound - candidate->distance + 1;
    bool of_module = is_of_module(self, node);
    for (uint32_t edge = graph->in_start[node]; edge < graph->in_start[node + 1]; edge++) {
        uint32_t source = graph->in[edge];
        bool is_parallel = edge > graph->in_start[node] && source == graph->in[edge - 1];
        if (is_parallel || !may_come_from(self, source, node)
            || (of_module && !root_is_module(graph, source))) {
            continue;
        }
        if (add_candidate(all, source, candidate->partial, length) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
add_partial(struct finder *self, const struct candidates *all, size_t partial)
{
    for (size_t at = partial; at != NO_PARTIAL; at = all->partials[at].rest) {
        if (node_queue_add(&self->out->nodes, all->partials[at].node) < 0) {
            return -1;
        }
    }
    return end_path(self->out);
}

static int
search(struct finder *self, struct candidates *all)
{
    for (size_t i = 0; i < self->query->target_count; i++) {
        uint32_t target = self->query->targets[i];
        /* A target given twice is extended once. */
        if (all->extended[target]++ == 0 && add_candidate(all, target, NO_PARTIAL, 0) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < self->query->target_count; i++) {
        all->extended[self->query->targets[i]] = 0;
    }
    while (all->count > 0 && self->out->count < self->query->limit) {
        struct candidate candidate = take_candidate(all);
        uint32_t node = all->partials[candidate.partial].node;
        int status = 0;
        if (is_root(self, node)) {
            status = add_partial(self, all, candidate.partial);
        }
        else if (all->extended[node] < self->query->limit && !is_loop(all, candidate.partial)) {
            all->extended[node]++;
            status = extend(self, all, &candidate);
        }
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

static int
find_many(struct finder *self)
{
    size_t count = (size_t)self->graph->count + 1;
    uint32_t *distance = mem_calloc(count, sizeof *distance);
    struct candidates all = {.distance = distance};
    all.extended = mem_calloc(count, sizeof *all.extended);
    int status = -1;
    if (distance != NULL && all.extended != NULL && measure_distances(self, distance) == 0) {
        status = search(self, &all);
    }
    mem_free(distance);
    mem_free(all.extended);
    mem_free(all.partials);
    mem_free(all.heap);
    return status;
}

int
paths_find(const struct paths_query *query, struct paths *out)
{
    struct finder self = {.graph = query->graph, .query = query, .out = out};
    self.mark = mem_calloc((size_t)query->graph->count + 1, 1);
    if (self.mark == NULL) {
        return -1;
    }
    for (size_t i = 0; i < query->target_count; i++) {
        self.mark[query->targets[i]] |= TARGET;
    }
    for (size_t i = 0; i < query->avoid_count; i++) {
        self.mark[query->avoid[i]] |= AVOIDED;
    }
    int status = 0;
    for (int kind = 0; kind < ROOT_KINDS && status == 0 && out->count == 0; kind++) {
        self.kind = (enum root_kind)kind;
        status = query->limit == 1 ? find_one(&self) : find_many(&self);
    }
    mem_free(self.mark);
    return status;
}
