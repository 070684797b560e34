/* A library that loads others by itself, as ctypes does. */
#include <dlfcn.h>

void *
loader_open(const char *path)
{
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}
