#include "heap/survivors.h"

#include <stdlib.h>

#include "base/mem.h"

/* Moments at which a new node must have got children later to be a holder itself. */
#define LATER_MOMENTS 2

struct finder {
    const struct graph *graph;
    const struct history *history;
    struct survivors *out;
    unsigned char *avoided;     /* by node */
    unsigned char *root;        /* by node: enum survivors_root */
    uint32_t *pile_of;          /* by node: pile + 1 of a new node */
    struct node_queue order;    /* a parent comes before its children */
};

/* -- one way for each node ---------------------------------------------------------------- */

static int
reach(struct finder *self, uint32_t node, uint32_t parent, enum root_kind kind)
{
    self->out->parent[node] = parent;
    self->root[node] = parent == node ? (unsigned char)kind : self->root[parent];
    return node_queue_add(&self->order, node);
}

/* A thread that is new comes last: what a global has of it says more than its own stack. */
static bool
is_new_thread(const struct finder *self, uint32_t node)
{
    return node < self->graph->holder_count && self->history->birth[node] > 0;
}

static int
add_roots(struct finder *self, enum root_kind kind, bool new_threads)
{
    uint32_t count = self->graph->count, first = self->graph->holder_count;
    for (uint32_t i = 0; i < count; i++) {
        /* Modules before threads: a global is more of a holder than a variable. */
        uint32_t node = i < count - first ? i + first : i - (count - first);
        if (self->out->parent[node] == GRAPH_NONE && root_is(self->graph, kind, node)
            && is_new_thread(self, node) == new_threads && !self->avoided[node]
            && reach(self, node, node, kind) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
step(struct finder *self, enum root_kind kind, size_t from, bool through_avoided)
{
    const struct graph *graph = self->graph;
    for (size_t at = from; at < self->order.count; at++) {
        uint32_t node = self->order.nodes[at];
        for (uint32_t edge = graph->out_start[node]; edge < graph->out_start[node + 1]; edge++) {
            uint32_t target = graph->out[edge];
            if (self->out->parent[target] == GRAPH_NONE
                && (through_avoided || !self->avoided[target])
                && root_may_step(graph, kind, node, target)
                && reach(self, target, node, kind) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int
reach_all(struct finder *self)
{
    for (int i = 0; i < ROOT_KINDS; i++) {
        enum root_kind kind = (enum root_kind)i;
        /* By class there are no further roots, but further steps from all of them. */
        size_t from = kind == ROOT_BY_CLASS ? 0 : self->order.count;
        if ((kind != ROOT_BY_CLASS && add_roots(self, kind, false) < 0)
            || step(self, kind, from, false) < 0) {
            return -1;
        }
        from = self->order.count;
        if (kind == ROOT_NAMED
            && (add_roots(self, kind, true) < 0 || step(self, kind, from, false) < 0)) {
            return -1;
        }
    }
    return step(self, ROOT_BY_CLASS, 0, true);
}

/* -- piles ---------------------------------------------------------------------------------- */

/* The moments at which a node got children after its own birth; 1, 65, ... share a bit,
 * which is of no account for whether there are two. */
static uint64_t *
later_moments(const struct finder *self)
{
    const uint16_t *birth = self->history->birth;
    uint64_t *later = mem_calloc((size_t)self->graph->count + 1, sizeof *later);
    for (size_t at = 0; later != NULL && at < self->order.count; at++) {
        uint32_t node = self->order.nodes[at], parent = self->out->parent[node];
        if (birth[node] > birth[parent]) {
            later[parent] |= UINT64_C(1) << (birth[node] & 63);
        }
    }
    return later;
}

static bool
is_holder(const struct finder *self, const uint64_t *later, uint32_t node)
{
    uint64_t moments = later[node];
    for (int i = 1; i < LATER_MOMENTS; i++) {
        moments &= moments - 1;
    }
    return self->history->birth[node] == 0 || moments != 0;
}

static struct survivors_pile *
new_pile(struct finder *self, size_t *capacity, uint32_t holder, unsigned root)
{
    struct survivors *out = self->out;
    if (out->pile_count == *capacity
        && mem_grow((void **)&out->piles, capacity, out->pile_count + 1, sizeof *out->piles) < 0) {
        return NULL;
    }
    struct survivors_pile *pile = &out->piles[out->pile_count++];
    *pile = (struct survivors_pile){.holder = holder, .root = (uint8_t)root};
    return pile;
}

/* Charges each new node, parents first.  A holder is in the pile of what holds it, and has
 * one of its own, whose number is in `own`. */
static int
charge(struct finder *self, const uint64_t *later, uint32_t *own, uint32_t *of_root,
       size_t *capacity)
{
    const struct graph *graph = self->graph;
    struct survivors *out = self->out;
    for (size_t at = 0; at < self->order.count; at++) {
        uint32_t node = self->order.nodes[at], parent = out->parent[node];
        if (self->history->birth[node] == 0 || node < graph->holder_count || self->avoided[node]) {
            continue;
        }
        uint32_t number;
        if (parent == node || parent == GRAPH_NONE) {
            number = of_root[self->root[node]];
        }
        else {
            /* A frame, or what is avoided, stands for itself: it is in no pile. */
            bool holds = is_holder(self, later, parent) || self->pile_of[parent] == 0;
            number = holds ? own[parent] : self->pile_of[parent];
        }
        if (number == 0) {
            bool rooted = parent != node && parent != GRAPH_NONE;
            if (new_pile(self, capacity, rooted ? parent : GRAPH_NONE, self->root[node]) == NULL) {
                return -1;
            }
            number = (uint32_t)out->pile_count;
            *(rooted ? &own[parent] : &of_root[self->root[node]]) = number;
        }
        struct survivors_pile *pile = &out->piles[number - 1];
        self->pile_of[node] = number;
        pile->count++;
        pile->bytes += graph_size_of(graph, node);
        pile->entries += survivors_is_entry(out, pile, node);
    }
    return 0;
}

/* What no root leads to comes last, each as a root of its own. */
static int
add_garbage(struct finder *self)
{
    for (uint32_t node = self->graph->holder_count; node < self->graph->count; node++) {
        if (self->out->parent[node] == GRAPH_NONE) {
            self->root[node] = SURVIVORS_GARBAGE;
            self->out->parent[node] = node;
            if (node_queue_add(&self->order, node) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int
compare_piles(const void *left, const void *right)
{
    const struct survivors_pile *a = left, *b = right;
    if (a->bytes != b->bytes) {
        return a->bytes > b->bytes ? -1 : 1;
    }
    return a->holder < b->holder ? -1 : a->holder > b->holder;
}

/* Lays the new nodes out pile by pile, and adds up what is behind each. */
static int
lay_out(struct finder *self)
{
    struct survivors *out = self->out;
    uint32_t total = 0;
    for (size_t i = 0; i < out->pile_count; i++) {
        out->piles[i].first = total;
        total += out->piles[i].count;
        out->piles[i].count = 0;
    }
    uint32_t *place = mem_malloc((size_t)self->graph->count + 1, sizeof *place);
    out->nodes = mem_malloc((size_t)total + 1, sizeof *out->nodes);
    out->below = mem_malloc((size_t)total + 1, sizeof *out->below);
    if (place == NULL || out->nodes == NULL || out->below == NULL) {
        mem_free(place);
        return -1;
    }
    out->node_count = total;
    for (size_t at = 0; at < self->order.count; at++) {
        uint32_t node = self->order.nodes[at];
        if (self->pile_of[node] != 0) {
            struct survivors_pile *pile = &out->piles[self->pile_of[node] - 1];
            place[node] = pile->first + pile->count++;
            out->nodes[place[node]] = node;
            out->below[place[node]] = graph_size_of(self->graph, node);
        }
    }
    for (size_t at = self->order.count; at-- > 0;) {
        uint32_t node = self->order.nodes[at], parent = out->parent[node];
        if (self->pile_of[node] != 0 && parent != node && parent != GRAPH_NONE
            && self->pile_of[parent] != 0) {
            out->below[place[parent]] += out->below[place[node]];
        }
    }
    mem_free(place);
    if (out->pile_count > 0) {      /* qsort takes no NULL, however few there are */
        qsort(out->piles, out->pile_count, sizeof *out->piles, compare_piles);
    }
    return 0;
}

static int
find(struct finder *self)
{
    size_t nodes = (size_t)self->graph->count + 1, capacity = 0;
    uint32_t of_root[SURVIVORS_ROOTS] = {0};
    int status = reach_all(self) < 0 || add_garbage(self) < 0 ? -1 : 0;
    uint64_t *later = status == 0 ? later_moments(self) : NULL;
    uint32_t *own = mem_calloc(nodes, sizeof *own);
    status = later == NULL || own == NULL ? -1 : charge(self, later, own, of_root, &capacity);
    mem_free(later);
    mem_free(own);
    return status < 0 ? -1 : lay_out(self);
}

int
survivors_find(const struct graph *graph, const struct history *history, const uint32_t *avoid,
               size_t avoid_count, struct survivors *out)
{
    size_t nodes = (size_t)graph->count + 1;
    out->graph = graph;
    out->history = history;
    out->parent = mem_malloc(nodes, sizeof *out->parent);
    struct finder self = {
        .graph = graph,
        .history = history,
        .out = out,
        .avoided = mem_calloc(nodes, 1),
        .root = mem_calloc(nodes, 1),
        .pile_of = mem_calloc(nodes, sizeof *self.pile_of),
    };
    int status = -1;
    if (out->parent != NULL && self.avoided != NULL && self.root != NULL && self.pile_of != NULL) {
        for (uint32_t node = 0; node < graph->count; node++) {
            out->parent[node] = GRAPH_NONE;
        }
        for (size_t i = 0; i < avoid_count; i++) {
            self.avoided[avoid[i]] = 1;
        }
        status = find(&self);
    }
    mem_free(self.avoided);
    mem_free(self.root);
    mem_free(self.pile_of);
    node_queue_release(&self.order);
    return status;
}

bool
survivors_is_entry(const struct survivors *self, const struct survivors_pile *pile, uint32_t node)
{
    return pile->holder == GRAPH_NONE ? self->parent[node] == node
                                      : self->parent[node] == pile->holder;
}

void
survivors_release(struct survivors *self)
{
    mem_free(self->parent);
    mem_free(self->nodes);
    mem_free(self->below);
    mem_free(self->piles);
    *self = (struct survivors){0};
}
