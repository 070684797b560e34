/* Objects made from free lists.
 *
 * CPython keeps dead floats, lists, tuples, ints ... on free lists and makes new
 * ones of them without asking an allocator, so a hook sees nothing and the
 * block stays charged to its first owner.  From 3.13 on the interpreter
 * announces every new object to a reference tracer (PyRefTracer_SetTracer), and
 * such a block is charged to the line that made the new object.  That is a call
 * for every object made or destroyed, so it is done on request only.  Without
 * it the number of blocks and bytes is right, but a line that keeps objects of
 * a type which others make and drop all the time gets blocks that are theirs.
 *
 * There is one tracer in a process.  Ours is put in only while the place is
 * free and is taken out only while it is still ours; tracemalloc.start() may
 * take the place at any time, and then new owners of old blocks go unseen. */
#ifndef MEMSCOPE_REFTRACER_H
#define MEMSCOPE_REFTRACER_H

enum reftracer_state {
    REFTRACER_UNAVAILABLE,  /* CPython before 3.13 */
    REFTRACER_OFF,
    REFTRACER_ON,
    REFTRACER_TAKEN,        /* the place is somebody else's */
};

void reftracer_install(void);
void reftracer_remove(void);
enum reftracer_state reftracer_state(void);

#endif
