/* A growing list of nodes, read from the front while it is written at the back:
 * what a breadth-first search has met, in that order.
 *
 * A zeroed struct is an empty queue.  Failure: -1, and the queue is as it was. */
#ifndef MEMSCOPE_QUEUE_H
#define MEMSCOPE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct node_queue {
    uint32_t *nodes;
    size_t count, capacity;
};

static inline int
node_queue_add(struct node_queue *self, uint32_t node)
{
    if (self->count == self->capacity
        && mem_grow((void **)&self->nodes, &self->capacity, self->count + 1, sizeof *self->nodes)
               < 0) {
        return -1;
    }
    self->nodes[self->count++] = node;
    return 0;
}

static inline void
node_queue_release(struct node_queue *self)
{
    mem_free(self->nodes);
    *self = (struct node_queue){0};
}

#endif
