/* What extension modules report to tracemalloc, delivered to memscope too.
 *
 * While installed, calls that other loaded objects make to PyTraceMalloc_Track
 * and PyTraceMalloc_Untrack reach the callbacks as well as CPython.  Modules
 * that the interpreter imports later are covered before their init function
 * runs.
 *
 * Not seen: calls from CPython itself and from memscope; calls before the
 * install; calls through an address that a module got from dlsym, or copied
 * before the install; modules in another dlmopen namespace.  A library loaded
 * by something else than an import (ctypes, dlopen in C) is covered from the
 * next import of an extension module on, or from interpose_rescan.
 *
 * Threads:  any, with or without the GIL.  No call here may be made from a
 *           callback, under one of the core's locks, or in a signal handler.
 * fork:     the child is as the parent was.
 * Failure:  never the program's; an entry that cannot be rewritten is left as
 *           it is and counted by interpose_missed.
 * Platform: Linux, x86-64, i386, aarch64 and arm; interpose_unsupported tells. */
#ifndef MEMSCOPE_INTERPOSE_H
#define MEMSCOPE_INTERPOSE_H

#include <stddef.h>
#include <stdint.h>

/* Called in the thread of the caller, which may hold no GIL and must not be
 * made to wait for it.  0: recorded, or forgotten; anything else: the module
 * gets CPython's own answer.  Either may still be running when
 * interpose_remove has returned. */
struct interpose_callbacks {
    int (*track)(unsigned int domain, uintptr_t ptr, size_t size);
    int (*untrack)(unsigned int domain, uintptr_t ptr);
};

/* NULL where interposition works; else one sentence that says why it does not. */
const char *interpose_unsupported(void);

/* Covers every loaded module, or, if already installed, those that are not.
 * `callbacks` is not copied: it must live as long as the process.
 * 0; -1 and nothing changed: not supported, or no memory. */
int interpose_install(const struct interpose_callbacks *callbacks);

/* Covers what was loaded since.  About a microsecond if nothing was; nothing
 * if not installed. */
void interpose_rescan(void);

/* Puts back every entry that is still ours, and touches nothing else. */
void interpose_remove(void);

/* Table entries that now lead to memscope: none before the install, none after
 * the remove.  One of them is CPython's own, for dlsym. */
size_t interpose_count(void);

/* Entries that should lead to memscope and do not: another tool's function was
 * in them, or the page cannot be made writable. */
size_t interpose_missed(void);

/* Writes the path of each covered module and a NUL, as many whole paths as
 * fit, and returns the bytes that all of them need.  The main program has no
 * path and is "(main program)". */
size_t interpose_modules(char *buffer, size_t size);

#endif
