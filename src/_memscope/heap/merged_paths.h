/* Which ways hold many nodes at once: their shortest paths, merged by class.
 *
 * Each target has a path from the nearest root that does not pass another target, if
 * there is one.  Two such paths are alike if they begin at the same module, or in the
 * same frame, and then go through objects of the same classes; of a root that only C
 * holds, and after MERGED_STEPS steps, the class counts only.  Targets that only other
 * targets hold, as the links of a list, count with the one through which they are held.
 *
 * Cost: a pass over what the roots reach, and of memory 20 bytes for each node.
 * Locking: none needed, a graph does not change.  Failure: -1 without memory. */
#ifndef MEMSCOPE_MERGED_PATHS_H
#define MEMSCOPE_MERGED_PATHS_H

#include "heap/graph.h"

#define MERGED_STEPS 64     /* nodes of a path that are told apart */

struct merged_path {
    uint64_t count, bytes;      /* of the targets held in this way, and through these */
    uint64_t behind;            /* of them, those held through another target */
    uint32_t steps;             /* nodes of the example, target included; 1 at least */
    uint32_t path[MERGED_STEPS];    /* of the first such target; a longer one lacks what
                                       is between the last two */
    uint32_t width[MERGED_STEPS];   /* how many nodes stand at each step in all of them */
};

struct merged_paths {
    struct merged_path *groups; /* most targets first, of equals in the order of discovery */
    size_t count;
    size_t total;               /* groups there are; `count` is up to `limit` */
    size_t held, garbage;       /* different targets with a path, and without one */
};

/* Merges the paths of `targets` into the empty `out`; the caller releases it.  No path
 * has a node of `avoid`; a target that is to be avoided counts as garbage. */
int merged_paths_find(const struct graph *graph, const uint32_t *targets, size_t target_count,
                      const uint32_t *avoid, size_t avoid_count, size_t limit,
                      struct merged_paths *out);

void merged_paths_release(struct merged_paths *self);

#endif
