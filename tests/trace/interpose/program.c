/* Stands for CPython, so that trace/interpose.c can be tested without it: under
 * sanitizers, on other processors, with other C libraries.
 *
 *     program DIRECTORY       runs every check, prints its name; exit code 0
 *
 * The program (or a shared object, with -DMAIN_IS_ELSEWHERE) defines the two
 * functions and imports extension modules by dlopen and dlsym.  DIRECTORY holds
 * module.c in each way of linking, and loader.c. */
#define _GNU_SOURCE 1

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "trace/got.h"
#include "trace/interpose.h"

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, __func__, #condition); \
            fflush(NULL);                                                                 \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

/* CPython's part. */

static atomic_int cpython_answer = -2;
static atomic_size_t cpython_calls;
static _Thread_local unsigned int cpython_domain;
static _Thread_local uintptr_t cpython_ptr;
static _Thread_local size_t cpython_size;

__attribute__((visibility("default"))) int
PyTraceMalloc_Track(unsigned int domain, uintptr_t ptr, size_t size)
{
    cpython_domain = domain;
    cpython_ptr = ptr;
    cpython_size = size;
    cpython_calls++;
    return cpython_answer;
}

__attribute__((visibility("default"))) int
PyTraceMalloc_Untrack(unsigned int domain, uintptr_t ptr)
{
    cpython_domain = domain;
    cpython_ptr = ptr;
    cpython_calls++;
    return cpython_answer;
}

__attribute__((visibility("default"))) int
Py_IsInitialized(void)
{
    return 1;
}

/* memscope's part. */

static atomic_int our_answer;
static atomic_size_t our_calls;
static _Thread_local unsigned int our_domain;
static _Thread_local uintptr_t our_ptr;
static _Thread_local size_t our_size;

static int
our_track(unsigned int domain, uintptr_t ptr, size_t size)
{
    our_domain = domain;
    our_ptr = ptr;
    our_size = size;
    our_calls++;
    return our_answer;
}

static int
our_untrack(unsigned int domain, uintptr_t ptr)
{
    our_domain = domain;
    our_ptr = ptr;
    our_calls++;
    return our_answer;
}

static const struct interpose_callbacks callbacks = {our_track, our_untrack};

/* Modules. */

static const char *directory;
static const char *const kinds[] = {"lazy", "partial", "now", "noplt", "pointer", "sysv"};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct module {
    void *handle;
    int (*track)(unsigned int, uintptr_t, size_t);
    int (*untrack)(unsigned int, uintptr_t);
};

static void *
symbol(void *handle, const char *name)
{
    void *found = dlsym(handle, name);
    CHECK(found != NULL);
    return found;
}

/* The path of copy `copy` of a module linked in the way `kind`. */
static const char *
path_of(const char *kind, int copy)
{
    static _Thread_local char path[4096];
    snprintf(path, sizeof(path), "%s/%s%d.so", directory, kind, copy);
    return path;
}

/* As CPython imports: dlopen, dlsym of the init function, call. */
static struct module
import(const char *path)
{
    void *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (handle == NULL) {
        fprintf(stderr, "%s\n", dlerror());
    }
    CHECK(handle != NULL);
    int (*init)(void) = (int (*)(void))symbol(handle, "module_init");
    init();
    return (struct module){
        handle,
        (int (*)(unsigned int, uintptr_t, size_t))symbol(handle, "module_track"),
        (int (*)(unsigned int, uintptr_t))symbol(handle, "module_untrack"),
    };
}

static int
count_module(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    const char *name = strrchr(object->dlpi_name, '/');
    for (size_t i = 0; name != NULL && i < KINDS; i++) {
        *(size_t *)arg += strncmp(name + 1, kinds[i], strlen(kinds[i])) == 0;
    }
    return 0;
}

/* Entries there are to cover: two a module, and the program's own for dlsym.
 * Not every C library unloads at dlclose, so the modules are counted. */
static size_t
entries_there(void)
{
    size_t modules = 0;
    dl_iterate_phdr(count_module, &modules);
    return 2 * modules + 1;
}

/* What the process looks like: every entry for the three names, and the
 * mappings.  Compared before and after. */

struct image {
    uintptr_t *entries[256];
    uintptr_t values[256];
    size_t count;
    char *maps;
};

static void
image_entry(uintptr_t *entry, const char *name, int lazy, void *arg)
{
    (void)lazy;
    struct image *image = arg;
    if (strncmp(name, "PyTraceMalloc_", 14) == 0 || strcmp(name, "dlsym") == 0) {
        CHECK(image->count < 256);
        image->entries[image->count] = entry;
        image->values[image->count++] = got_read(entry);
    }
}

static int
image_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    got_visit(object, image_entry, arg);
    return 0;
}

/* "start-end access" of the file-backed mappings, without the heap and stacks
 * that come and go. */
static char *
read_maps(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file != NULL);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    char line[8192];
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strstr(line, ".so") != NULL || strstr(line, "/program") != NULL) {
            fputs(line, out);
        }
    }
    fclose(file);
    fclose(out);
    return text;
}

static struct image
image_take(void)
{
    struct image image = {.count = 0};
    dl_iterate_phdr(image_object, &image);
    image.maps = read_maps();
    return image;
}

static void
image_check_entries(const struct image *before)
{
    struct image after = image_take();
    CHECK(after.count >= before->count);    /* what is loaded may stay */
    for (size_t i = 0; i < before->count; i++) {
        CHECK(after.entries[i] == before->entries[i]);
        CHECK(after.values[i] == before->values[i]);
    }
    free(after.maps);
}

static void
image_check_maps(const struct image *before)
{
    char *maps = read_maps();
    if (strcmp(maps, before->maps) != 0) {
        fprintf(stderr, "before:\n%s\nafter:\n%s\n", before->maps, maps);
        CHECK(!"the mappings changed");
    }
    free(maps);
}

/* Calls go through `module` to us and to CPython, or to CPython alone. */
static void
check_module(const struct module *module, int covered)
{
    static uintptr_t ptr = 0x1230000;
    for (int round = 0; round < 2; round++) {
        ptr += 16;
        size_t ours = our_calls, theirs = cpython_calls;
        our_answer = 0;
        cpython_answer = -2;
        CHECK(module->track(389047, ptr, 4242) == (covered ? 0 : -2));
        CHECK(cpython_calls == theirs + 1 && our_calls == ours + (size_t)covered);
        CHECK(cpython_domain == 389047 && cpython_ptr == ptr && cpython_size == 4242);
        CHECK(!covered || (our_domain == 389047 && our_ptr == ptr && our_size == 4242));
        CHECK(module->untrack(389048, ptr) == (covered ? 0 : -2));
        CHECK(cpython_calls == theirs + 2 && our_calls == ours + 2 * (size_t)covered);
        CHECK(cpython_domain == 389048 && cpython_ptr == ptr);
        CHECK(!covered || (our_domain == 389048 && our_ptr == ptr));
        our_answer = -1;
        CHECK(module->track(1, ptr, 1) == -2 && module->untrack(1, ptr) == -2);
        cpython_answer = 0;
        CHECK(module->track(1, ptr, 1) == 0 && module->untrack(1, ptr) == 0);
        our_answer = 0;
        cpython_answer = -2;
    }
}

/* The checks. */

static struct module early[KINDS];

static void
check_loaded_before(void)
{
    CHECK(interpose_unsupported() == NULL);
    CHECK(interpose_count() == 0 && interpose_missed() == 0 && interpose_modules(NULL, 0) == 0);
    interpose_remove();
    interpose_rescan();
    struct image before = image_take();
    CHECK(interpose_install(&callbacks) == 0);
    CHECK(interpose_count() == 2 * KINDS + 1 && entries_there() == 2 * KINDS + 1);
    CHECK(interpose_missed() == 0);
    image_check_maps(&before);
    struct image during = image_take();
    CHECK(interpose_install(&callbacks) == 0);
    interpose_rescan();
    image_check_entries(&during);
    interpose_remove();
    CHECK(interpose_count() == 0);
    /* The stubs of entries that were never called through are back as well. */
    image_check_entries(&before);
    for (size_t i = 0; i < KINDS; i++) {
        check_module(&early[i], 0);
    }
    CHECK(interpose_install(&callbacks) == 0);
    for (size_t i = 0; i < KINDS; i++) {
        check_module(&early[i], 1);
    }
    interpose_remove();
    interpose_remove();
    for (size_t i = 0; i < KINDS; i++) {
        check_module(&early[i], 0);
    }
    image_check_maps(&before);
    free(before.maps);
    free(during.maps);
}

static void
check_module_names(void)
{
    CHECK(interpose_install(&callbacks) == 0);
    size_t needed = interpose_modules(NULL, 0);
    char *names = malloc(needed + 1);
    names[needed] = '!';
    CHECK(interpose_modules(names, needed) == needed && names[needed] == '!');
    size_t count = 0;
    for (const char *name = names; name < names + needed; name += strlen(name) + 1) {
        CHECK(strcmp(name, path_of(kinds[count++], 0)) == 0);
    }
    CHECK(count == KINDS);
    size_t first = strlen(names) + 1;
    memset(names, '?', needed);
    CHECK(interpose_modules(names, first + 3) == needed && names[first] == '?');
    CHECK(strlen(names) + 1 == first);
    free(names);
    interpose_remove();
}

static void
check_loaded_later(void)
{
    struct module later[KINDS];
    CHECK(interpose_install(&callbacks) == 0);
    for (size_t i = 0; i < KINDS; i++) {
        size_t before = our_calls;
        later[i] = import(path_of(kinds[i], 1));
        CHECK(our_calls == before + 1);     /* the call in its init function */
        check_module(&later[i], 1);
        check_module(&early[i], 1);
    }
    CHECK(interpose_count() == entries_there());
    /* Gone and back, most likely at the same address. */
    for (size_t i = 0; i < KINDS; i++) {
        CHECK(dlclose(later[i].handle) == 0);
        later[i] = import(path_of(kinds[i], 1));
        check_module(&later[i], 1);
        check_module(&early[i], 1);
    }
    CHECK(interpose_count() == entries_there());
    for (size_t i = 0; i < KINDS; i++) {
        CHECK(dlclose(later[i].handle) == 0);
    }
    CHECK(interpose_count() == entries_there() && interpose_missed() == 0);
    interpose_remove();
    CHECK(interpose_count() == 0);
}

/* Another module where one was that we had covered: what is in its entries is
 * its own. */
static void
check_address_reused(void)
{
    CHECK(interpose_install(&callbacks) == 0);
    for (size_t i = 0; i < KINDS; i++) {
        struct module module = import(path_of(kinds[i], 1));
        CHECK(dlclose(module.handle) == 0);
        interpose_remove();
        module = import(path_of(kinds[(i + 1) % KINDS], 1));
        struct image before = image_take();
        check_module(&module, 0);
        CHECK(interpose_install(&callbacks) == 0);
        check_module(&module, 1);
        CHECK(dlclose(module.handle) == 0);
        module = import(path_of(kinds[i], 1));
        check_module(&module, 1);
        CHECK(dlclose(module.handle) == 0);
        free(before.maps);
    }
    interpose_remove();
}

static void
check_loaded_by_others(void)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/loader.so", directory);
    void *loader = dlopen(path, RTLD_NOW);
    CHECK(loader != NULL);
    void *(*loader_open)(const char *) = (void *(*)(const char *))symbol(loader, "loader_open");
    CHECK(interpose_install(&callbacks) == 0);
    void *now = loader_open(path_of("now", 3));
    CHECK(interpose_count() == entries_there() - 2);
    interpose_rescan();
    CHECK(interpose_count() == entries_there());
    void *noplt = loader_open(path_of("noplt", 3));
    CHECK(interpose_count() == entries_there() - 2);
    struct module other = import(path_of("lazy", 3));
    CHECK(interpose_count() == entries_there());
    CHECK(dlclose(now) == 0 && dlclose(noplt) == 0 && dlclose(other.handle) == 0);
    interpose_remove();
    dlclose(loader);
}

static void
check_loader_errors_are_untouched(void)
{
    CHECK(interpose_install(&callbacks) == 0);
    CHECK(dlopen("/nonexistent/module.so", RTLD_NOW) == NULL);
    struct module module = {.handle = NULL};
    const char *error = dlerror();
    CHECK(error != NULL && strstr(error, "/nonexistent/module.so") != NULL);
    module.handle = dlopen(path_of("now", 1), RTLD_NOW);
    errno = 77;
    CHECK(dlsym(module.handle, "module_init") != NULL && errno == 77);
    CHECK(dlsym(module.handle, "no_such_symbol") == NULL);
    error = dlerror();
    CHECK(error != NULL && strstr(error, "no_such_symbol") != NULL);
    dlclose(module.handle);
    interpose_remove();
}

/* Puts `value` into an entry of a module, as another tool would. */
struct patch {
    uintptr_t inside;           /* an address in the module */
    uintptr_t value, old;
    const struct dl_phdr_info *object;
};

static void
patch_entry(uintptr_t *entry, const char *name, int lazy, void *arg)
{
    (void)lazy;
    struct patch *patch = arg;
    if (strcmp(name, "PyTraceMalloc_Track") == 0) {
        patch->old = got_read(entry);
        CHECK(got_exchange(patch->object, entry, patch->old, patch->value) == 0);
    }
}

static int
patch_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    struct patch *patch = arg;
    if (got_contains(object, patch->inside)) {
        patch->object = object;
        got_visit(object, patch_entry, patch);
    }
    return 0;
}

static uintptr_t
patch_module(const struct module *module, uintptr_t value)
{
    struct patch patch = {.inside = (uintptr_t)module->track, .value = value};
    dl_iterate_phdr(patch_object, &patch);
    CHECK(patch.old != 0);
    return patch.old;
}

static atomic_size_t foreign_calls;

static int
foreign_track(unsigned int domain, uintptr_t ptr, size_t size)
{
    foreign_calls++;
    return PyTraceMalloc_Track(domain, ptr, size);
}

static void
check_other_tools(void)
{
    struct image before = image_take();
    for (size_t i = 0; i < KINDS; i++) {
        const struct module *module = &early[i];
        /* There before us. */
        uintptr_t old = patch_module(module, (uintptr_t)foreign_track);
        CHECK(interpose_install(&callbacks) == 0);
        CHECK(interpose_count() == entries_there() - 1 && interpose_missed() == 1);
        size_t ours = our_calls, foreign = foreign_calls;
        module->track(1, 0x1000, 1);
        CHECK(our_calls == ours && foreign_calls == foreign + 1);
        module->untrack(1, 0x1000);
        CHECK(our_calls == ours + 1);
        interpose_remove();
        CHECK(patch_module(module, old) == (uintptr_t)foreign_track);
        /* Comes while we are there, and stays. */
        CHECK(interpose_install(&callbacks) == 0);
        uintptr_t ours_there = patch_module(module, (uintptr_t)foreign_track);
        interpose_remove();
        foreign = foreign_calls;
        module->track(1, 0x1000, 1);
        CHECK(foreign_calls == foreign + 1);
        /* It puts back what it found: us.  We pass on, and leave at the next stop. */
        CHECK(patch_module(module, ours_there) == (uintptr_t)foreign_track);
        check_module(module, 0);
        CHECK(interpose_install(&callbacks) == 0);
        check_module(module, 1);
        interpose_remove();
        check_module(module, 0);
        patch_module(module, old);
    }
    image_check_entries(&before);
    free(before.maps);
}

static void
check_no_memory(void)
{
    struct image before = image_take();
    mem_fail_after(0);
    CHECK(interpose_install(&callbacks) == -1);
    image_check_entries(&before);
    for (size_t i = 0; i < KINDS; i++) {
        check_module(&early[i], 0);
    }
    mem_fail_after(-1);
    CHECK(interpose_install(&callbacks) == 0);
    mem_fail_after(0);
    struct module later[KINDS];
    for (size_t i = 0; i < KINDS; i++) {
        later[i] = import(path_of(kinds[i], 1));
        check_module(&early[i], 1);
    }
    mem_fail_after(-1);
    interpose_rescan();
    for (size_t i = 0; i < KINDS; i++) {
        check_module(&later[i], 1);
        CHECK(dlclose(later[i].handle) == 0);
    }
    interpose_remove();
    image_check_entries(&before);
    free(before.maps);
}

static void
check_cycles_are_flat(void)
{
    struct image before = image_take();
    for (int i = 0; i < 10000; i++) {
        CHECK(interpose_install(&callbacks) == 0);
        interpose_remove();
    }
    CHECK(mem_in_use() == 0);
    image_check_entries(&before);
    image_check_maps(&before);
    free(before.maps);
}

static atomic_int stop;

static void *
ask_for_ever(void *arg)
{
    (void)arg;
    while (!stop) {
        interpose_rescan();
        interpose_count();
        interpose_modules(NULL, 0);
    }
    return NULL;
}

static void
check_fork(void)
{
    pthread_t thread;
    stop = 0;
    pthread_create(&thread, NULL, ask_for_ever, NULL);
    for (int i = 0; i < 200; i++) {
        CHECK(interpose_install(&callbacks) == 0);
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            check_module(&early[0], 1);
            CHECK(interpose_count() == entries_there());
            struct module later = import(path_of("now", 1));
            check_module(&later, 1);
            interpose_remove();
            check_module(&later, 0);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        check_module(&early[0], 1);
        interpose_remove();
    }
    stop = 1;
    pthread_join(thread, NULL);
}

/* Threads. */

static atomic_size_t calls, loads;

static void *
call_for_ever(void *arg)
{
    const struct module *module = arg;
    while (!stop) {
        CHECK(module->track(2, 0x2000, 2) <= 0);
        CHECK(module->untrack(2, 0x2000) <= 0);
        calls++;
    }
    return NULL;
}

static void *
load_for_ever(void *arg)
{
    int copy = *(int *)arg;
    for (size_t i = 0; !stop; i++) {
        struct module module = import(path_of(kinds[i % KINDS], copy));
        CHECK(module.track(3, 0x3000, 3) <= 0);
        CHECK(dlclose(module.handle) == 0);
        loads++;
    }
    return NULL;
}

static void
check_threads(double seconds)
{
    struct image before = image_take();
    pthread_t threads[6];
    int copies[] = {1, 2};
    stop = 0;
    pthread_create(&threads[0], NULL, call_for_ever, &early[0]);
    pthread_create(&threads[1], NULL, call_for_ever, &early[2]);
    pthread_create(&threads[2], NULL, load_for_ever, &copies[0]);
    pthread_create(&threads[3], NULL, load_for_ever, &copies[1]);
    pthread_create(&threads[4], NULL, ask_for_ever, NULL);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double end = (double)now.tv_sec + (double)now.tv_nsec / 1e9 + seconds;
    size_t starts = 0;
    for (; (double)now.tv_sec + (double)now.tv_nsec / 1e9 < end; starts++) {
        CHECK(interpose_install(&callbacks) == 0);
        /* However fast others come and go, what was there before is covered. */
        for (size_t i = 0; i < KINDS; i++) {
            CHECK(early[i].track(4, 0x4000, 4) == 0);
        }
        if (starts % 16 == 0) {
            pid_t child = fork();
            if (child == 0) {
                /* Only async-signal-safe things and ours: the loader's own locks
                 * belong to threads that are not here. */
                _exit(early[0].track(4, 0x4000, 4) == 0 ? 0 : 1);
            }
            int status;
            CHECK(waitpid(child, &status, 0) == child && status == 0);
        }
        interpose_remove();
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    stop = 1;
    for (size_t i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
    }
    image_check_entries(&before);
    free(before.maps);
    printf("%zu starts, %zu loads, %zu calls: ", starts, (size_t)loads, (size_t)calls);
}

/* Called by the slow module, that is with the loader's lock held: an import
 * there must not wait for the thread that waits for this one. */
__attribute__((visibility("default"))) void in_constructor(void);

void
in_constructor(void)
{
    CHECK(dlsym(RTLD_DEFAULT, "in_constructor") != NULL);
}

static void *
load_slow(void *arg)
{
    atomic_int *state = arg;
    *state = 1;
    void *handle = dlopen(path_of("slow", 0), RTLD_NOW);
    CHECK(handle != NULL);
    *state = 2;
    return handle;
}

/* An object that another thread is still loading is waited for, not written
 * half-way.  (musl has it ready before its constructors run.) */
static void
check_waits_for_the_loader(void)
{
    for (int installed = 0; installed < 2; installed++) {
        if (installed) {
            CHECK(interpose_install(&callbacks) == 0);
        }
        atomic_int state = 0;
        pthread_t thread;
        pthread_create(&thread, NULL, load_slow, &state);
        while (state == 0) {
            usleep(1000);
        }
        usleep(100 * 1000);
        CHECK(state == 1);
        CHECK(interpose_install(&callbacks) == 0);
        usleep(10 * 1000);
#ifdef __GLIBC__
        CHECK(state == 2);
#endif
        CHECK(interpose_count() == entries_there() + 2);
        void *handle;
        pthread_join(thread, &handle);
        interpose_remove();
        CHECK(dlclose(handle) == 0);
#ifndef __GLIBC__
        break;      /* it stays loaded, and its constructor runs once */
#endif
    }
}

#ifdef MAIN_IS_ELSEWHERE
#  define main program_main
__attribute__((visibility("default"))) int program_main(int argc, char **argv);
#endif

int
main(int argc, char **argv)
{
    CHECK(argc >= 2);
    directory = argv[1];
    double seconds = argc >= 3 ? atof(argv[2]) : 2.0;
    for (size_t i = 0; i < KINDS; i++) {
        /* Never called through before the first install: lazy entries hold stubs. */
        void *handle = dlopen(path_of(kinds[i], 0), RTLD_LAZY | RTLD_LOCAL);
        if (handle == NULL) {
            fprintf(stderr, "%s\n", dlerror());
        }
        CHECK(handle != NULL);
        early[i] = (struct module){
            handle,
            (int (*)(unsigned int, uintptr_t, size_t))symbol(handle, "module_track"),
            (int (*)(unsigned int, uintptr_t))symbol(handle, "module_untrack"),
        };
    }
#define RUN(check, ...)     \
    check(__VA_ARGS__);     \
    printf("%s\n", #check); \
    fflush(stdout)
    RUN(check_loaded_before);
    RUN(check_module_names);
    RUN(check_loaded_later);
    RUN(check_address_reused);
    RUN(check_loaded_by_others);
    RUN(check_loader_errors_are_untouched);
    RUN(check_other_tools);
    RUN(check_no_memory);
    RUN(check_cycles_are_flat);
    RUN(check_fork);
    RUN(check_waits_for_the_loader);
    RUN(check_threads, seconds);
    return 0;
}
