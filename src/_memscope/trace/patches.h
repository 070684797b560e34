/* Functions put in front of others in every loaded object that imports them.
 *
 * A rule names a function and its replacement; patches_apply writes the
 * replacement into the table entries (got.h) of all objects that import the
 * function, patches_revert puts the old values back.
 *
 * Ownership: a static struct patches with `rules` set; `entries` is ours.
 * Locking:   the caller's, one lock over all calls.  They call the dynamic
 *            loader, so it must be none that the loader's callers may wait for.
 * Failure:   -1: no memory.  An entry that cannot be written is not written.
 *
 * Where GOT_SUPPORTED is 0 the file is empty. */
#ifndef MEMSCOPE_PATCHES_H
#define MEMSCOPE_PATCHES_H

#include "trace/got.h"

#if GOT_SUPPORTED

#include <stdatomic.h>

/* In which objects a rule holds.  The object of the replacements is none of
 * either kind: its own entries are how a call gets on to the function. */
enum { IN_CPYTHON, OUTSIDE_CPYTHON };

struct patch_rule {
    const char *name;
    void (*from)(void);         /* the function that the loader binds to the name */
    void (*to)(void);
    int where;                  /* IN_CPYTHON, OUTSIDE_CPYTHON */
};

struct patch;

struct patches {
    const struct patch_rule *rules;
    size_t rule_count;
    void (*cpython)(void);      /* a function in CPython's object */

    struct patch *entries;
    size_t count, capacity;
    size_t known;               /* the first so many objects have been searched */
    unsigned long long loads, unloads;  /* at the last complete search */
};

/* Covers every object that is not covered; those that another thread is
 * loading are waited for. */
int patches_apply(struct patches *self);

/* Puts back every entry that still holds what was written. */
void patches_revert(struct patches *self);

struct patches_report {
    size_t ours;                /* entries that hold a replacement at this moment */
    size_t missed;              /* entries that should, and do not */
    size_t names_size;          /* bytes that all names need */
};

/* Looks.  Writes the path and a NUL of each object in which an OUTSIDE_CPYTHON
 * rule took effect to `names`, as many as fit whole into `size`. */
struct patches_report patches_report(const struct patches *self, char *names, size_t size);

#endif
#endif
