/* Semi-NCA: L. Georgiadis, "Linear-Time Algorithms for Dominators and Related Problems"
 * (Princeton, 2005), chapter 2; without recursion.
 *
 * Nodes are numbered in the order in which a depth-first search meets them.  The
 * semidominator of i is the least number from which i can be reached through higher
 * numbers than i alone; taken in descending order, it is the least among the referrers
 * below i and the semidominators on the search tree's path down to the referrers above i.
 * Such minima over paths are kept in a forest whose paths are shortened as they are
 * climbed.  The immediate dominator of i is then the nearest ancestor of its parent, in
 * the dominator tree as far as it is known, whose number is not above the semidominator.
 *
 * That climb makes it quadratic in theory; on object graphs it is as fast as the
 * near-linear Lengauer and Tarjan, and much faster than the iterative method of Cooper,
 * Harvey and Kennedy, which does not end on a long linked list.
 *
 * Nearly all of the time is waiting for memory: a heap that has lived a while is shuffled.
 * So what is needed for a node is fetched some nodes before.  Numbers in the search's order
 * are near each other where nodes are not, so all arrays but one are indexed by them. */
#include "heap/dominators.h"

#include <string.h>

#include "base/mem.h"
#include "heap/roots.h"

#define AHEAD 8             /* nodes, or edges, between fetching and looking */
#define NOT_MET UINT32_MAX

/* The forest of nodes whose semidominator is known.  As large as a retained size, which comes
 * to stand in its place. */
struct link {
    uint32_t ancestor;      /* number of a node above on the search tree */
    uint32_t least;         /* semidominator among those from below there down to here */
};

_Static_assert(sizeof(struct link) == sizeof(uint64_t), "a link becomes a retained size");

struct search_tree {
    const struct graph *graph;
    uint32_t met;           /* nodes numbered, virtual ones included */
    uint32_t garbage;       /* number of the garbage's root; what is above is garbage */
    uint32_t *number;       /* by node */
    uint32_t *node;         /* by number, as all that follows */
    uint32_t *above;        /* parent in the search tree; then immediate dominator */
    uint32_t *semi;
    struct link *link;
    uint32_t *scratch;      /* edge at which the search goes on; path being shortened */
};

static bool
is_root(const struct graph *graph, uint32_t node)
{
    if (node < graph->holder_count) {
        return root_is(graph, ROOT_NAMED, node);
    }
    return (graph_flags(graph, node) & (GRAPH_MODULE | GRAPH_SURPLUS | GRAPH_IMMORTAL)) != 0;
}

/* -- the search ------------------------------------------------------------------------ */

static uint32_t
meet(struct search_tree *self, uint32_t node, uint32_t above)
{
    uint32_t number = self->met++;
    self->number[node] = number;
    self->node[number] = node;
    self->above[number] = above;
    return number;
}

static inline void
fetch_target(const struct search_tree *self, uint32_t edge, uint32_t end)
{
    if (edge < end) {
        uint32_t target = self->graph->out[edge];
        PREFETCH(&self->number[target]);
        PREFETCH(&self->graph->out_start[target]);
    }
}

/* Everything that `start` leads to and that was not met before. */
static void
search_from(struct search_tree *self, uint32_t start, uint32_t above)
{
    const struct graph *graph = self->graph;
    uint32_t at = meet(self, start, above);
    uint32_t edge = graph->out_start[start];
    while (at != above) {
        uint32_t node = self->node[at], end = graph->out_start[node + 1];
        bool is_left = true;
        while (edge < end) {
            uint32_t target = graph->out[edge++];
            fetch_target(self, edge + AHEAD, end);
            if (self->number[target] != NOT_MET) {
                continue;
            }
            uint32_t number = meet(self, target, at);
            uint32_t first = graph->out_start[target], last = graph->out_start[target + 1];
            if (first < last) {     /* a leaf needs not be entered */
                for (uint32_t ahead = first; ahead < last && ahead <= first + AHEAD; ahead++) {
                    fetch_target(self, ahead, last);
                }
                self->scratch[at] = edge;
                at = number;
                edge = first;
                is_left = false;
                break;
            }
        }
        if (is_left) {
            at = self->above[at];
            edge = at != above ? self->scratch[at] : 0;
        }
    }
}

static bool
is_referred_to_by_unmet(const struct search_tree *self, uint32_t node)
{
    const struct graph *graph = self->graph;
    for (uint32_t edge = graph->in_start[node]; edge < graph->in_start[node + 1]; edge++) {
        if (graph->in[edge] != node && self->number[graph->in[edge]] == NOT_MET) {
            return true;
        }
    }
    return false;
}

/* Named roots first: it makes no difference to the answer. */
static void
search_all(struct search_tree *self)
{
    const struct graph *graph = self->graph;
    meet(self, graph->count, 0);
    for (uint32_t node = 0; node < graph->count; node++) {
        if (self->number[node] == NOT_MET && is_root(graph, node)) {
            search_from(self, node, 0);
        }
    }
    self->garbage = meet(self, graph->count + 1, 0);
    /* Of garbage, what no other garbage refers to comes first, then what is in cycles. */
    for (int cycles = 0; cycles <= 1 && self->met < graph->count + 2; cycles++) {
        for (uint32_t node = 0; node < graph->count; node++) {
            if (self->number[node] == NOT_MET && (cycles || !is_referred_to_by_unmet(self, node))) {
                search_from(self, node, self->garbage);
            }
        }
    }
}

/* -- semidominators ---------------------------------------------------------------------- */

/* The least semidominator from `number` up to where nodes are not above `last`. */
static uint32_t
least_on_path(struct search_tree *self, uint32_t number, uint32_t last)
{
    struct link *link = self->link;
    if (link[number].ancestor <= last) {
        return link[number].least;
    }
    size_t depth = 0;
    while (link[number].ancestor > last) {
        self->scratch[depth++] = number;
        number = link[number].ancestor;
    }
    uint32_t ancestor = link[number].ancestor, least = link[number].least;
    while (depth > 0) {
        struct link *below = &link[self->scratch[--depth]];
        below->ancestor = ancestor;
        if (below->least > least) {
            below->least = least;
        }
        least = below->least;
    }
    return least;
}

static uint32_t
find_semidominator(struct search_tree *self, uint32_t number)
{
    const struct graph *graph = self->graph;
    uint32_t node = self->node[number], least = self->above[number];
    /* Garbage keeps nothing that is not garbage. */
    uint32_t most = number < self->garbage ? self->garbage : UINT32_MAX;
    uint32_t end = graph->in_start[node + 1];
    for (uint32_t edge = graph->in_start[node]; edge < end && least > 0; edge++) {
        if (edge + AHEAD < end) {
            PREFETCH(&self->number[graph->in[edge + AHEAD]]);
        }
        uint32_t source = self->number[graph->in[edge]];
        if (source < most) {
            uint32_t found = source <= number ? source : least_on_path(self, source, number);
            least = found < least ? found : least;
        }
    }
    return least;
}

/* Fetches step by step what will be needed: the list of referrers of a node that comes
 * up, later its first entries, at last their numbers. */
static void
fetch_referrers(const struct search_tree *self, uint32_t number)
{
    const struct graph *graph = self->graph;
    if (number > 3 * AHEAD && number != self->garbage + 3 * AHEAD) {
        PREFETCH(&graph->in_start[self->node[number - 3 * AHEAD]]);
        PREFETCH(&graph->kind[self->node[number - 3 * AHEAD]]);
    }
    if (number > 2 * AHEAD && number != self->garbage + 2 * AHEAD) {
        PREFETCH(&graph->in[graph->in_start[self->node[number - 2 * AHEAD]]]);
    }
    if (number > AHEAD && number != self->garbage + AHEAD) {
        uint32_t node = self->node[number - AHEAD];
        uint32_t edge = graph->in_start[node], end = graph->in_start[node + 1];
        for (int i = 0; i < 4 && edge < end; i++, edge++) {
            PREFETCH(&self->number[graph->in[edge]]);
        }
    }
}

static void
find_semidominators(struct search_tree *self)
{
    for (uint32_t number = 0; number < self->met; number++) {
        self->link[number] = (struct link){self->above[number], number};
    }
    for (uint32_t number = self->met - 1; number > 0; number--) {
        fetch_referrers(self, number);
        uint32_t semi = 0;
        if (number != self->garbage && !is_root(self->graph, self->node[number])) {
            semi = find_semidominator(self, number);
        }
        self->semi[number] = self->link[number].least = semi;
    }
}

static void
find_dominators(struct search_tree *self)
{
    self->semi[0] = 0;
    for (uint32_t number = 1; number < self->met; number++) {
        uint32_t above = self->above[number], semi = self->semi[number];
        while (above > semi) {
            above = self->above[above];
        }
        self->above[number] = above;
    }
}

/* -- the tree ---------------------------------------------------------------------------- */

/* Lays the tree out from the top.  A node has a higher number than its dominator, so one
 * pass downward adds up the spans, and one upward gives each node the next free range of
 * its dominator.  Fresh memory is dear, so the arrays of the search become those of the
 * tree, which takes them, each as soon as it is no longer needed. */
static void
lay_out(struct search_tree *self, struct dominators *out)
{
    uint32_t total = self->met;
    uint32_t *rank = self->semi;
    struct link *link = self->link;     /* `least`: span; `ancestor`: next free rank in it */
    for (uint32_t number = 0; number < total; number++) {
        link[number].least = 1;
    }
    for (uint32_t number = total - 1; number > 0; number--) {
        link[self->above[number]].least += link[number].least;
    }
    rank[0] = 0;
    link[0].ancestor = 1;
    for (uint32_t number = 1; number < total; number++) {
        struct link *above = &link[self->above[number]];
        rank[number] = above->ancestor;
        above->ancestor += link[number].least;
        link[number].ancestor = rank[number] + 1;
    }
    out->rank = self->number;
    out->order = self->scratch;
    for (uint32_t number = 0; number < total; number++) {
        out->rank[self->node[number]] = rank[number];
        out->order[rank[number]] = self->node[number];
    }
    out->parent = self->node;
    for (uint32_t number = 0; number < total; number++) {
        out->parent[rank[number]] = rank[self->above[number]];
    }
    out->span = self->above;
    for (uint32_t number = 0; number < total; number++) {
        out->span[rank[number]] = link[number].least;
    }
    out->retained = (uint64_t *)(void *)link;
    self->number = self->scratch = self->node = self->above = NULL;
    self->link = NULL;
}

static void
add_up(struct dominators *self, const struct graph *graph)
{
    uint32_t total = self->count + 2;
    for (uint32_t rank = 0; rank < total; rank++) {
        if (rank + AHEAD < total && self->order[rank + AHEAD] < self->count) {
            PREFETCH(&graph->size[self->order[rank + AHEAD]]);
        }
        uint32_t node = self->order[rank];
        self->retained[rank] = node < self->count ? graph_size_of(graph, node) : 0;
    }
    for (uint32_t rank = total - 1; rank > 0; rank--) {
        self->retained[self->parent[rank]] += self->retained[rank];
    }
}

static void
search_tree_release(struct search_tree *self)
{
    mem_free(self->number);
    mem_free(self->node);
    mem_free(self->above);
    mem_free(self->semi);
    mem_free(self->link);
    mem_free(self->scratch);
    *self = (struct search_tree){0};
}

static int
search_tree_init(struct search_tree *self, const struct graph *graph)
{
    size_t total = (size_t)graph->count + 2;
    *self = (struct search_tree){.graph = graph};
    self->number = mem_malloc(total, sizeof *self->number);
    self->node = mem_malloc(total, sizeof *self->node);
    self->above = mem_malloc(total, sizeof *self->above);
    self->semi = mem_malloc(total, sizeof *self->semi);
    self->link = mem_malloc(total, sizeof *self->link);
    self->scratch = mem_malloc(total, sizeof *self->scratch);
    if (self->number == NULL || self->node == NULL || self->above == NULL || self->semi == NULL
        || self->link == NULL || self->scratch == NULL) {
        return -1;
    }
    memset(self->number, 0xff, total * sizeof *self->number);
    return 0;
}

struct dominators *
dominators_new(const struct graph *graph)
{
    struct dominators *self = mem_calloc(1, sizeof *self);
    struct search_tree tree = {0};
    /* The numbers of the virtual nodes must fit too. */
    if (self == NULL || graph->count > GRAPH_MOST_NODES - 2 || search_tree_init(&tree, graph) < 0) {
        search_tree_release(&tree);
        mem_free(self);
        return NULL;
    }
    self->count = graph->count;
    search_all(&tree);
    find_semidominators(&tree);
    find_dominators(&tree);
    lay_out(&tree, self);
    search_tree_release(&tree);
    add_up(self, graph);
    return self;
}

void
dominators_free(struct dominators *self)
{
    if (self == NULL) {
        return;
    }
    mem_free(self->rank);
    mem_free(self->order);
    mem_free(self->parent);
    mem_free(self->span);
    mem_free(self->retained);
    mem_free(self);
}

size_t
dominators_nbytes(const struct dominators *self)
{
    size_t each = 4 * sizeof(uint32_t) + sizeof *self->retained;
    return sizeof *self + ((size_t)self->count + 2) * each;
}

/* -- sets -------------------------------------------------------------------------------- */

int
dominators_union(const struct dominators *self, const uint32_t *nodes, size_t count,
                 struct dominators_total *out)
{
    *out = (struct dominators_total){0};
    unsigned char *wanted = mem_calloc((size_t)self->count + 2, 1);
    if (wanted == NULL) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        wanted[self->rank[nodes[i]]] = 1;
    }
    for (uint32_t rank = 0; rank < self->count + 2; rank++) {
        if (wanted[rank]) {
            out->count += self->span[rank];
            out->bytes += self->retained[rank];
            rank += self->span[rank] - 1;
        }
    }
    mem_free(wanted);
    return 0;
}

void
dominators_group(const struct dominators *self, const struct graph *graph, dominators_key key,
                 void *arg, struct dominators_group *groups)
{
    for (uint32_t rank = 0; rank < self->count + 2; rank++) {
        uint32_t node = self->order[rank];
        uint32_t number = node < self->count ? key(node, arg) : GRAPH_NONE;
        if (number == GRAPH_NONE) {
            continue;
        }
        struct dominators_group *group = &groups[number];
        group->count++;
        group->bytes += graph_size_of(graph, node);
        if (rank >= group->open_until) {
            group->retained += self->retained[rank];
            group->open_until = rank + self->span[rank];
        }
    }
}
