#include "heap/merged_paths.h"

#include <stdlib.h>

#include "base/mem.h"
#include "heap/queue.h"
#include "heap/roots.h"

/* Bits of `mark`. */
enum {
    AVOIDED = 1,
    TARGET = 2,
    BEHIND = 4,     /* reached through a target */
    NEEDED = 8,     /* on the path of a target */
};

/* A step of merged paths: those that begin alike share it. */
struct step {
    uint32_t depth;             /* steps from the root, itself included */
    uint32_t first, last;       /* targets whose path ends here */
    uint64_t count, bytes, behind;
};

struct merger {
    const struct graph *graph;
    unsigned char *mark;        /* these four by node */
    uint32_t *parent;           /* the node before it on its path, itself for a root, + 1 */
    uint32_t *step_of;
    uint32_t *before;           /* of the targets whose path ends alike, the one before, + 1 */
    struct node_queue reached;  /* a parent comes before its children */
    size_t wanted;              /* targets not yet reached */
    struct step *steps;
    size_t step_count, step_capacity;
    struct hashmap children;    /* step and what follows -> step */
};

/* -- one path for each target ---------------------------------------------------------- */

static int
add_reached(struct merger *self, uint32_t node, uint32_t parent)
{
    self->parent[node] = parent + 1;
    if (parent != node && (self->mark[parent] & (TARGET | BEHIND))) {
        self->mark[node] |= BEHIND;
    }
    self->wanted -= (self->mark[node] & TARGET) != 0;
    return node_queue_add(&self->reached, node);
}

/* Modules come before threads: of paths of equal length, that from a module is taken,
 * since what a running function holds is likely to be let go of. */
static int
add_roots(struct merger *self, enum root_kind kind)
{
    uint32_t count = self->graph->count, first = self->graph->holder_count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = i < count - first ? i + first : i - (count - first);
        if (self->parent[node] == 0 && root_is(self->graph, kind, node)
            && !(self->mark[node] & AVOIDED) && add_reached(self, node, node) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Goes on from what was reached at position `from` and later: from what lies behind
 * targets, these included, or from the rest. */
static int
reach(struct merger *self, enum root_kind kind, size_t from, bool behind)
{
    const struct graph *graph = self->graph;
    for (size_t at = from; at < self->reached.count && self->wanted > 0; at++) {
        uint32_t node = self->reached.nodes[at];
        if (((self->mark[node] & (TARGET | BEHIND)) != 0) != behind) {
            continue;
        }
        for (uint32_t edge = graph->out_start[node]; edge < graph->out_start[node + 1]; edge++) {
            uint32_t target = graph->out[edge];
            if (self->parent[target] == 0 && !(self->mark[target] & AVOIDED)
                && root_may_step(graph, kind, node, target)
                && add_reached(self, target, node) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int
reach_targets(struct merger *self)
{
    int status = 0;
    for (int i = 0; i < ROOT_KINDS && status == 0 && self->wanted > 0; i++) {
        enum root_kind kind = (enum root_kind)i;
        /* By class there are no further roots, but further steps from all of them. */
        size_t from = kind == ROOT_BY_CLASS ? 0 : self->reached.count;
        if (kind != ROOT_BY_CLASS) {
            status = add_roots(self, kind);
        }
        if (status == 0) {
            status = reach(self, kind, from, false);
        }
        if (status == 0) {
            status = reach(self, kind, from, true);
        }
    }
    return status;
}

/* -- merging -------------------------------------------------------------------------------- */

static void
mark_needed(struct merger *self, const uint32_t *targets, size_t target_count)
{
    for (size_t i = 0; i < target_count; i++) {
        uint32_t node = targets[i];
        while (self->parent[node] != 0 && !(self->mark[node] & NEEDED)) {
            self->mark[node] |= NEEDED;
            node = self->parent[node] - 1;
        }
    }
}

/* The key, in `children`, of a node after its parent. */
static uint64_t
key_of(const struct merger *self, uint32_t node)
{
    const struct graph *graph = self->graph;
    uint32_t type = graph_type_of(graph, node);
    uint32_t parent = self->parent[node] - 1;
    if (parent != node) {
        uint32_t what = node < graph->holder_count ? UINT32_C(1) << 31 | node : type;
        return ((uint64_t)self->step_of[parent] + 1) << 32 | what;
    }
    return root_is(graph, ROOT_NAMED, node) ? node : (uint64_t)UINT32_MAX << 32 | type;
}

static int
add_step(struct merger *self, uint32_t node)
{
    uint32_t parent = self->parent[node] - 1;
    uint32_t depth = parent == node ? 0 : self->steps[self->step_of[parent]].depth;
    if (depth == MERGED_STEPS) {
        self->step_of[node] = self->step_of[parent];
        return 0;
    }
    uint64_t key = key_of(self, node);
    const uint64_t *known = hashmap_get(&self->children, key);
    if (known != NULL) {
        self->step_of[node] = (uint32_t)*known;
        return 0;
    }
    if (self->step_count == self->step_capacity
        && mem_grow((void **)&self->steps, &self->step_capacity, self->step_count + 1,
                    sizeof *self->steps)
               < 0) {
        return -1;
    }
    self->step_of[node] = (uint32_t)self->step_count;
    self->steps[self->step_count] = (struct step){.depth = depth + 1};
    return hashmap_put(&self->children, key, self->step_count++);
}

static void
count_target(struct merger *self, uint32_t node)
{
    struct step *step = &self->steps[self->step_of[node]];
    step->bytes += graph_size_of(self->graph, node);
    if (self->mark[node] & BEHIND) {
        step->count++;
        step->behind++;
        return;
    }
    if (step->count++ == 0) {
        step->first = step->last = node;
        return;
    }
    self->before[node] = step->last + 1;
    step->last = node;
}

static int
merge(struct merger *self)
{
    for (size_t at = 0; at < self->reached.count; at++) {
        uint32_t node = self->reached.nodes[at];
        if (!(self->mark[node] & NEEDED)) {
            continue;
        }
        if (self->mark[node] & BEHIND) {
            self->step_of[node] = self->step_of[self->parent[node] - 1];
        }
        else if (add_step(self, node) < 0) {
            return -1;
        }
        if (self->mark[node] & TARGET) {
            count_target(self, node);
        }
    }
    return 0;
}

/* -- the largest ------------------------------------------------------------------------- */

struct place {
    uint64_t count;
    uint32_t step;
};

static int
compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    return a->step < b->step ? -1 : a->step > b->step;
}

static void
describe_path(const struct merger *self, uint32_t target, struct merged_path *out)
{
    size_t length = 1;
    for (uint32_t node = target; self->parent[node] != node + 1; length++) {
        node = self->parent[node] - 1;
    }
    out->steps = length < MERGED_STEPS ? (uint32_t)length : MERGED_STEPS;
    uint32_t node = target;
    for (size_t at = length; at-- > 0;) {
        if (at < out->steps - 1u) {
            out->path[at] = node;
        }
        node = self->parent[node] - 1;
    }
    out->path[out->steps - 1] = target;
}

/* `seen`, by node: the last group that it was counted for. */
static void
describe(const struct merger *self, const struct step *step, uint32_t *seen, uint32_t group,
         struct merged_path *out)
{
    *out = (struct merged_path){.count = step->count, .bytes = step->bytes, .behind = step->behind};
    describe_path(self, step->first, out);
    out->width[out->steps - 1] = (uint32_t)(step->count - step->behind);
    for (uint32_t target = step->last + 1; target-- > 0; target = self->before[target]) {
        uint32_t node = target;
        while (self->parent[node] != node + 1) {
            node = self->parent[node] - 1;
            if (seen[node] == group) {
                break;
            }
            seen[node] = group;
            uint32_t depth = self->steps[self->step_of[node]].depth;
            if (depth < out->steps) {
                out->width[depth - 1]++;
            }
        }
    }
}

static int
describe_largest(const struct merger *self, size_t limit, struct merged_paths *out)
{
    struct place *places = mem_malloc(self->step_count + 1, sizeof *places);
    uint32_t *seen = mem_calloc((size_t)self->graph->count + 1, sizeof *seen);
    for (size_t i = 0; places != NULL && i < self->step_count; i++) {
        if (self->steps[i].count > 0) {
            places[out->total++] = (struct place){self->steps[i].count, (uint32_t)i};
        }
    }
    size_t count = out->total < limit ? out->total : limit;
    out->groups = mem_malloc(count + 1, sizeof *out->groups);
    int status = places != NULL && seen != NULL && out->groups != NULL ? 0 : -1;
    if (status == 0) {
        qsort(places, out->total, sizeof *places, compare_places);
        for (size_t i = 0; i < count; i++) {
            describe(self, &self->steps[places[i].step], seen, (uint32_t)i + 1, &out->groups[i]);
        }
        out->count = count;
    }
    mem_free(places);
    mem_free(seen);
    return status;
}

static int
allocate(struct merger *self)
{
    size_t count = (size_t)self->graph->count + 1;
    self->mark = mem_calloc(count, 1);
    self->parent = mem_calloc(count, sizeof *self->parent);
    self->step_of = mem_calloc(count, sizeof *self->step_of);
    self->before = mem_calloc(count, sizeof *self->before);
    return self->mark == NULL || self->parent == NULL || self->step_of == NULL
                   || self->before == NULL
               ? -1
               : 0;
}

static size_t
mark_targets(struct merger *self, const uint32_t *targets, size_t target_count)
{
    size_t different = 0;
    for (size_t i = 0; i < target_count; i++) {
        different += !(self->mark[targets[i]] & TARGET);
        self->mark[targets[i]] |= TARGET;
    }
    return different;
}

int
merged_paths_find(const struct graph *graph, const uint32_t *targets, size_t target_count,
                  const uint32_t *avoid, size_t avoid_count, size_t limit, struct merged_paths *out)
{
    struct merger self = {.graph = graph};
    int status = allocate(&self);
    if (status == 0) {
        size_t different = self.wanted = mark_targets(&self, targets, target_count);
        for (size_t i = 0; i < avoid_count; i++) {
            self.mark[avoid[i]] |= AVOIDED;
        }
        status = reach_targets(&self);
        mark_needed(&self, targets, target_count);
        out->held = different - self.wanted;
        out->garbage = self.wanted;
    }
    if (status == 0) {
        status = merge(&self) < 0 ? -1 : describe_largest(&self, limit, out);
    }
    mem_free(self.mark);
    mem_free(self.parent);
    mem_free(self.step_of);
    mem_free(self.before);
    mem_free(self.steps);
    node_queue_release(&self.reached);
    hashmap_clear(&self.children);
    return status;
}

void
merged_paths_release(struct merged_paths *self)
{
    mem_free(self->groups);
    *self = (struct merged_paths){0};
}
