/* An extension module as trace/interpose.c sees one: it imports the two
 * functions.  test_interpose.py compiles it once per way of linking. */
#include <stddef.h>
#include <stdint.h>

extern int PyTraceMalloc_Track(unsigned int domain, uintptr_t ptr, size_t size);
extern int PyTraceMalloc_Untrack(unsigned int domain, uintptr_t ptr);

#ifdef THROUGH_POINTER
static int (*volatile track_function)(unsigned int, uintptr_t, size_t) = PyTraceMalloc_Track;
static int (*volatile untrack_function)(unsigned int, uintptr_t) = PyTraceMalloc_Untrack;
#else
#  define track_function PyTraceMalloc_Track
#  define untrack_function PyTraceMalloc_Untrack
#endif

#ifdef SLOW
#  include <unistd.h>

extern void in_constructor(void);

/* Keeps the dynamic loader busy in the thread that loads this module. */
__attribute__((constructor)) static void
slow(void)
{
    usleep(300 * 1000);
    in_constructor();
}
#endif

int
module_track(unsigned int domain, uintptr_t ptr, size_t size)
{
    return track_function(domain, ptr, size);
}

int
module_untrack(unsigned int domain, uintptr_t ptr)
{
    return untrack_function(domain, ptr);
}

/* What PyInit_numpy would be: reports a block at once. */
int
module_init(void)
{
    return track_function(1, 0x1000, 1);
}
