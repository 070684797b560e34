#ifdef __linux__
#  define _GNU_SOURCE 1     /* dl_iterate_phdr, dladdr */
#endif

#include "trace/patches.h"

#if GOT_SUPPORTED

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <string.h>

#include "base/mem.h"

/* What may be written to: an entry that holds what the loader put there, which
 * is the function itself, or, before the first call, an address inside the
 * module (its lazy-binding stub).  Anything else belongs to another tool, is
 * counted as missed and left alone.  Exactly the value found is what revert
 * puts back, the stub too: the next call binds it as the first would have.  (A
 * thread that is inside the loader's resolver for that very entry at that very
 * moment may still write the function over the replacement; the entry then
 * stays as the loader left it.)
 *
 * Objects come and go, so an entry is touched only inside dl_iterate_phdr and
 * only while it lies in the object shown: glibc unmaps nothing meanwhile, musl
 * never does.  An entry whose object is gone is forgotten.
 *
 * Objects that another thread is loading are shown too, before they are
 * relocated and while their pages change protection.  So entries are collected
 * first, then the loader is waited for, and they are written in a second walk.
 * What is in the list by then may have come meanwhile, even to the address of
 * what is gone.  But the list is in the order of loading: of n objects, after u
 * unloads, the first n - u in the list are all of those n, and are complete.
 * Only they are written, and the rest is for the next round:
 *
 *     collect --> loader_wait --> write the first n - u
 *        ^                             | loads or unloads meanwhile
 *        `-----------------------------'
 *
 * What is known is skipped.  The loader counts loads and unloads.  Both as
 * before: nothing to do.  Only loads: the first `known` objects are those of the
 * last time.  Unloads as well: all objects are searched again.
 *
 * Nothing is allocated inside dl_iterate_phdr, since an allocator may itself be
 * waiting for the loader (profilers that unwind at malloc).
 *
 * Cost: 0.1 to 1 us when nothing was loaded, 0.1 to 0.5 ms the first time in a
 * process with numpy (some 40 objects), then about 10 us an object. */

struct patch {
    uintptr_t *slot;            /* to be read only while its object is loaded */
    uintptr_t original;         /* what to put back; set before ours is written */
    const struct patch_rule *rule;
    int lazy;                   /* may hold an address inside its own object */
    int met;                    /* in the walk under way */
};

/* No process has unloaded so many: nothing is known. */
#define UNKNOWN ULLONG_MAX

static uintptr_t
replacement(const struct patch *patch)
{
    return (uintptr_t)patch->rule->to;
}

/* One pass over the loaded objects. */
struct walk {
    struct patches *patches;
    size_t position;            /* objects met while collecting */
    size_t written;             /* objects met while writing */
    unsigned long long loads, unloads;
    int where;                  /* what the object shown is for the rules */
    int full;                   /* an entry found no room */
    int moved;                  /* the objects are not those of the walk before */
};

/* dl_iterate_phdr callback: learns the counts from the first object. */
static int
count_loads(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    struct walk *walk = arg;
    walk->loads = object->dlpi_adds;
    walk->unloads = object->dlpi_subs;
    return 1;
}

/* Whether nothing was loaded or unloaded since the last complete search. */
static int
nothing_moved(const struct patches *self)
{
    struct walk walk = {.unloads = UNKNOWN};
    dl_iterate_phdr(count_loads, &walk);
    return self->known != 0 && walk.loads == self->loads && walk.unloads == self->unloads;
}

static void
collect_entry(uintptr_t *slot, const char *name, int lazy, void *arg)
{
    struct walk *walk = arg;
    struct patches *self = walk->patches;
    const struct patch_rule *rule = self->rules;
    const struct patch_rule *end = rule + self->rule_count;
    while (rule < end && (rule->where != walk->where || strcmp(rule->name, name) != 0)) {
        rule++;
    }
    if (rule == end) {
        return;
    }
    struct patch new = {slot, (uintptr_t)rule->from, rule, lazy, 1};
    for (size_t i = 0; i < self->count; i++) {
        struct patch *patch = &self->entries[i];
        if (patch->slot == slot) {
            if (patch->rule == rule && patch->lazy == lazy) {
                patch->met = 1;
            }
            else {
                /* Of another object, at the address of one that is gone. */
                *patch = new;
            }
            return;
        }
    }
    if (self->count == self->capacity) {
        walk->full = 1;
        return;
    }
    self->entries[self->count++] = new;
}

static void
set_met(struct patches *self, int met)
{
    for (size_t i = 0; i < self->count; i++) {
        self->entries[i].met = met;
    }
}

/* dl_iterate_phdr callback: finds the entries of an object not yet known. */
static int
collect_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    struct walk *walk = arg;
    struct patches *self = walk->patches;
    if (walk->position++ == 0) {
        count_loads(object, size, walk);
        if (walk->unloads != self->unloads) {
            /* It may have been any object. */
            self->known = 0;
        }
        set_met(self, self->known != 0);
    }
    if (walk->position > self->known && !got_contains(object, (uintptr_t)collect_object)) {
        int is_cpython = got_contains(object, (uintptr_t)self->cpython);
        walk->where = is_cpython ? IN_CPYTHON : OUTSIDE_CPYTHON;
        got_visit(object, collect_entry, walk);
    }
    return walk->full;
}

/* dl_iterate_phdr callback: writes the entries of one object, if it is one of
 * those that were collected. */
static int
write_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    struct walk *walk = arg;
    struct patches *self = walk->patches;
    struct walk now = {0};
    count_loads(object, size, &now);
    walk->moved = now.loads != walk->loads || now.unloads != walk->unloads;
    unsigned long long gone = now.unloads - walk->unloads;
    if (gone >= walk->position || walk->written >= walk->position - gone) {
        return 1;
    }
    walk->written++;
    for (size_t i = 0; i < self->count; i++) {
        struct patch *patch = &self->entries[i];
        if (!got_contains(object, (uintptr_t)patch->slot)) {
            continue;
        }
        uintptr_t value = got_read(patch->slot);
        if (value == (uintptr_t)patch->rule->from || (patch->lazy && got_contains(object, value))) {
            patch->original = value;
            got_exchange(object, patch->slot, value, replacement(patch));
        }
    }
    return 0;
}

/* dl_iterate_phdr callback: puts back the entries of one object.  Those met
 * stay ours, because the system refused the change. */
static int
revert_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    struct patches *self = arg;
    for (size_t i = 0; i < self->count; i++) {
        struct patch *patch = &self->entries[i];
        if (got_contains(object, (uintptr_t)patch->slot)) {
            uintptr_t ours = replacement(patch);
            patch->met = got_read(patch->slot) == ours
                         && got_exchange(object, patch->slot, ours, patch->original) < 0
                         && got_read(patch->slot) == ours;
        }
    }
    return 0;
}

/* Forgets the entries that the walk did not meet. */
static void
drop_unmet(struct patches *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (self->entries[i].met) {
            self->entries[kept++] = self->entries[i];
        }
    }
    self->count = kept;
    if (kept == 0) {
        mem_free(self->entries);
        self->entries = NULL;
        self->capacity = 0;
    }
}

/* Returns when no load that began before is still under way in another thread:
 * dladdr takes the lock that the loader holds from before an object is listed
 * until it is relocated and its constructors have run.  (glibc: dl_load_lock.
 * musl shows no object before it is relocated.) */
static void
loader_wait(const struct patches *self)
{
    Dl_info info;
    dladdr(self, &info);
}

int
patches_apply(struct patches *self)
{
    /* Threads that load without pause must not keep us here: what is left over,
     * the newest objects, is covered the next time. */
    for (int attempt = 0; attempt < 100 && !nothing_moved(self); attempt++) {
        struct walk walk = {.patches = self};
        dl_iterate_phdr(collect_object, &walk);
        while (walk.full) {
            if (mem_grow((void **)&self->entries, &self->capacity, self->capacity + 8,
                         sizeof(*self->entries))
                < 0) {
                return -1;
            }
            walk = (struct walk){.patches = self};
            dl_iterate_phdr(collect_object, &walk);
        }
        drop_unmet(self);
        if (self->count != 0) {
            loader_wait(self);
            dl_iterate_phdr(write_object, &walk);
        }
        if (!walk.moved) {
            self->known = walk.position;
            self->loads = walk.loads;
            self->unloads = walk.unloads;
        }
    }
    return 0;
}

void
patches_revert(struct patches *self)
{
    set_met(self, 0);
    dl_iterate_phdr(revert_object, self);
    drop_unmet(self);
    self->known = 0;
}

struct look {
    const struct patches *patches;
    struct patches_report report;
    char *names;
    size_t size;                /* of `names` */
    size_t used;                /* of it */
};

/* dl_iterate_phdr callback: reads the entries of one object. */
static int
look_at_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    struct look *look = arg;
    int covered = 0;
    for (size_t i = 0; i < look->patches->count; i++) {
        const struct patch *patch = &look->patches->entries[i];
        if (got_contains(object, (uintptr_t)patch->slot)) {
            int ours = got_read(patch->slot) == replacement(patch);
            look->report.ours += (size_t)ours;
            look->report.missed += (size_t)!ours;
            covered |= ours && patch->rule->where == OUTSIDE_CPYTHON;
        }
    }
    if (covered) {
        const char *name = object->dlpi_name[0] != '\0' ? object->dlpi_name : "(main program)";
        size_t length = strlen(name) + 1;
        if (look->used == look->report.names_size && length <= look->size - look->used) {
            memcpy(look->names + look->used, name, length);
            look->used += length;
        }
        look->report.names_size += length;
    }
    return 0;
}

struct patches_report
patches_report(const struct patches *self, char *names, size_t size)
{
    struct look look = {.patches = self, .names = names, .size = size};
    dl_iterate_phdr(look_at_object, &look);
    return look.report;
}

#endif
