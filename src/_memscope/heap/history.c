#include "heap/history.h"

#include "base/mem.h"
#include "heap/match.h"

/* References of a buffer: none, or the one to its class. */
#define CLASS_ONLY 1

static uint32_t
bytes_of(const struct graph *graph, uint32_t node)
{
    uint64_t size = graph_size_of(graph, node);
    return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

static void
begin_node(struct history *self, const struct graph *graph, uint32_t node)
{
    self->birth[node] = self->moment;
    self->rises[node] = 0;
    self->risen[node] = 0;
    self->step[node] = 0;
    self->most[node] = graph_references(graph, node);
    self->references[node] = graph_references(graph, node);
    self->bytes[node] = bytes_of(graph, node);
}

static int
allocate(struct history *self, const struct graph *graph, uint16_t moment)
{
    size_t count = (size_t)graph->count + 1;
    *self = (struct history){
        .count = graph->count,
        .moment = moment,
        .birth = mem_malloc(count, sizeof *self->birth),
        .rises = mem_malloc(count, sizeof *self->rises),
        .risen = mem_malloc(count, sizeof *self->risen),
        .step = mem_malloc(count, sizeof *self->step),
        .most = mem_malloc(count, sizeof *self->most),
        .references = mem_malloc(count, sizeof *self->references),
        .bytes = mem_malloc(count, sizeof *self->bytes),
    };
    if (self->birth == NULL || self->rises == NULL || self->risen == NULL || self->step == NULL
        || self->most == NULL || self->references == NULL || self->bytes == NULL) {
        history_release(self);
        return -1;
    }
    return 0;
}

int
history_begin(struct history *out, const struct graph *graph)
{
    if (allocate(out, graph, 0) < 0) {
        return -1;
    }
    for (uint32_t node = 0; node < graph->count; node++) {
        begin_node(out, graph, node);
    }
    return 0;
}

/* A frame of a thread that was there is as old as the thread: what it is called may
 * change with every line that runs. */
static uint16_t
holder_birth(const struct graph *newer, const struct history *before, const uint32_t *match,
             uint32_t node, uint16_t moment)
{
    uint32_t old_thread = match[newer->holders[node].thread];
    return old_thread == GRAPH_NONE ? moment : before->birth[old_thread];
}

static void
carry_node(struct history *self, const struct graph *newer, uint32_t node,
           const struct graph *older, const struct history *before, uint32_t old_node)
{
    uint32_t references = graph_references(newer, node), most = before->most[old_node];
    uint32_t step = references > most ? references - most : 0;
    if (references <= CLASS_ONLY && most <= CLASS_ONLY) {
        uint32_t now = bytes_of(newer, node), then = bytes_of(older, old_node);
        step = now > then ? now - then : 0;
    }
    self->birth[node] = before->birth[old_node];
    self->references[node] = before->references[old_node];
    self->bytes[node] = before->bytes[old_node];
    self->rises[node] = before->rises[old_node] + (step > 0);
    self->risen[node] = step > 0 ? self->moment : before->risen[old_node];
    self->step[node] = step > 0 ? step : before->step[old_node];
    self->most[node] = references > most ? references : most;
}

int
history_continue(struct history *out, const struct graph *newer, const struct graph *older,
                 const struct history *before)
{
    uint16_t moment = before->moment < HISTORY_MOST_MOMENTS ? before->moment + 1 : before->moment;
    uint32_t *match = match_nodes(newer, older);
    if (match == NULL || allocate(out, newer, moment) < 0) {
        mem_free(match);
        return -1;
    }
    for (uint32_t node = 0; node < newer->count; node++) {
        uint32_t old_node = match[node];
        if (old_node == GRAPH_NONE) {
            begin_node(out, newer, node);
        }
        else {
            carry_node(out, newer, node, older, before, old_node);
        }
        if (node < newer->holder_count) {
            out->birth[node] = holder_birth(newer, before, match, node, moment);
        }
    }
    mem_free(match);
    return 0;
}

void
history_correct(struct history *self, const struct graph *graph, uint32_t node, uint16_t moment)
{
    if (moment > self->birth[node]) {
        begin_node(self, graph, node);
        self->birth[node] = moment;
    }
}

void
history_release(struct history *self)
{
    mem_free(self->birth);
    mem_free(self->rises);
    mem_free(self->risen);
    mem_free(self->step);
    mem_free(self->most);
    mem_free(self->references);
    mem_free(self->bytes);
    *self = (struct history){0};
}
