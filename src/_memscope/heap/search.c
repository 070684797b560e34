#include "heap/search.h"

#include "base/mem.h"

/* Values of `came_from`, which otherwise has a node + FIRST. */
enum { UNSEEN, IGNORED, START, FIRST };

static bool
is_tracked(const struct graph *graph, uint32_t node)
{
    return node >= graph->holder_count && node - graph->holder_count < graph->tracked_count;
}

static int
leave(const struct search *self, uint64_t *came_from, struct node_queue *queue, uint32_t node)
{
    const struct graph *graph = self->graph;
    const uint32_t *start = self->backward ? graph->in_start : graph->out_start;
    const uint32_t *neighbours = self->backward ? graph->in : graph->out;
    for (uint32_t edge = start[node]; edge < start[node + 1]; edge++) {
        uint32_t next = neighbours[edge];
        if (came_from[next] != UNSEEN || (self->backward && !is_tracked(graph, next))) {
            continue;
        }
        came_from[next] = (uint64_t)node + FIRST;
        if (node_queue_add(queue, next) < 0) {
            return -1;
        }
    }
    return 0;
}

static enum search_result
run(const struct search *self, uint64_t *came_from, struct node_queue *queue)
{
    size_t depth = 0, level_end = queue->count;
    for (size_t at = 0; at < queue->count; at++) {
        if (at == level_end) {
            depth++;
            level_end = queue->count;
        }
        uint32_t node = queue->nodes[at];
        int found = self->test(node, self->arg);
        if (found != 0) {
            queue->count = at + 1;
            return found > 0 ? SEARCH_FOUND : SEARCH_STOPPED;
        }
        if (depth < self->max_depth && leave(self, came_from, queue, node) < 0) {
            return SEARCH_NO_MEMORY;
        }
    }
    return SEARCH_NOTHING;
}

static int
trace_back(const uint64_t *came_from, uint32_t node, struct node_queue *path)
{
    while (node_queue_add(path, node) == 0) {
        if (came_from[node] == START) {
            return 0;
        }
        node = (uint32_t)(came_from[node] - FIRST);
    }
    return -1;
}

enum search_result
search_run(const struct search *self, struct node_queue *path)
{
    struct node_queue queue = {0};
    enum search_result result = SEARCH_NO_MEMORY;
    uint64_t *came_from = mem_calloc((size_t)self->graph->count + 1, sizeof *came_from);
    if (came_from != NULL && node_queue_add(&queue, self->start) == 0) {
        for (size_t i = 0; i < self->ignore_count; i++) {
            came_from[self->ignore[i]] = IGNORED;
        }
        came_from[self->start] = START;
        result = run(self, came_from, &queue);
    }
    if (result == SEARCH_FOUND && trace_back(came_from, queue.nodes[queue.count - 1], path) < 0) {
        result = SEARCH_NO_MEMORY;
    }
    mem_free(came_from);
    node_queue_release(&queue);
    return result;
}

static int
reach(const struct graph *graph, const uint32_t *from, size_t from_count, char *seen,
      struct node_queue *queue, struct search_total *out)
{
    for (size_t i = 0; i < from_count; i++) {
        if (!seen[from[i]]) {
            seen[from[i]] = 1;
            if (node_queue_add(queue, from[i]) < 0) {
                return -1;
            }
        }
    }
    for (size_t at = 0; at < queue->count; at++) {
        uint32_t node = queue->nodes[at];
        if (node >= graph->holder_count) {
            out->objects++;
            out->bytes += graph_size_of(graph, node);
        }
        for (uint32_t edge = graph->out_start[node]; edge < graph->out_start[node + 1]; edge++) {
            uint32_t next = graph->out[edge];
            if (!seen[next]) {
                seen[next] = 1;
                if (node_queue_add(queue, next) < 0) {
                    return -1;
                }
            }
        }
    }
    return 0;
}

int
search_reachable(const struct graph *graph, const uint32_t *from, size_t from_count,
                 const uint32_t *avoid, size_t avoid_count, struct search_total *out)
{
    *out = (struct search_total){0};
    struct node_queue queue = {0};
    int status = -1;
    char *seen = mem_calloc((size_t)graph->count + 1, 1);
    if (seen != NULL) {
        for (size_t i = 0; i < avoid_count; i++) {
            seen[avoid[i]] = 1;
        }
        status = reach(graph, from, from_count, seen, &queue, out);
    }
    mem_free(seen);
    node_queue_release(&queue);
    return status;
}
