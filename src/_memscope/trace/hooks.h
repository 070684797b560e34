/* The allocator hooks: how a block reaches the tracer and leaves it.
 *
 * Three domains, four functions each, installed with PyMem_SetAllocator over
 * whatever is there.  Rules that other tools learnt the hard way:
 *
 *   - PyMem_SetAllocator is not atomic: a thread without the GIL may call our
 *     function with the ctx of the allocator below, or that one's with ours.
 *     So ours ignore ctx, and are installed with the other's.
 *   - The allocators below are published before our functions and never freed
 *     or rewritten: a call may be under way in any thread at any time, and
 *     somebody who wrapped us may put us back years later.
 *   - We leave only while we are on top in every domain.  Otherwise the hooks
 *     stay and pass everything through.
 *   - A trace is removed before its block is freed or moved, or the address
 *     could be given out and recorded in between.
 *   - OBJ and MEM requests over 512 bytes come back to us as RAW requests; the
 *     thread-local `inside` keeps them from being counted twice. */
#ifndef MEMSCOPE_HOOKS_H
#define MEMSCOPE_HOOKS_H

/* What is above the interpreter's allocators in one domain. */
enum hook_state {
    HOOK_ABSENT,        /* not installed, or taken off by somebody */
    HOOK_ON_TOP,        /* ours is called first */
    HOOK_BELOW,         /* installed, with another tool's hook above */
};

/* Once before the first hooks_install; again is harmless.  0, or -1. */
int hooks_prepare(void);

/* Installs the hooks where they are not installed.  The tracer is on, so that
 * a probe shows whether they are reached.  0, or -1 without memory. */
int hooks_install(void);

/* Whether every domain comes by our hooks; quick while we are on top. */
int hooks_in_place(void);

/* Takes the hooks off if they are on top everywhere. */
void hooks_remove(void);

/* Whether this thread's allocations pass unrecorded from now on.  What it frees, and moves, is
 * recorded as ever.  Returns what it was before. */
int hooks_pause(int paused);

/* State of a domain: SNAPSHOT_RAW, _MEM or _OBJ. */
enum hook_state hooks_state(unsigned domain);

#endif
