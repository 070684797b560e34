/* A program that embeds CPython: runs argv[1] in an interpreter, finalises it,
 * and does so argv[2] times in one process.  Exit code: how many runs failed. */
#include <Python.h>

#include <stdlib.h>

int
main(int argc, char **argv)
{
    if (argc != 3) {
        return 64;
    }
    int failed = 0;
    for (int i = 0; i < atoi(argv[2]); i++) {
        Py_InitializeEx(0);
        if (PyRun_SimpleString(argv[1]) != 0) {
            failed++;
        }
        if (Py_FinalizeEx() < 0) {
            failed++;
        }
        /* The RAW domain outlives the interpreter. */
        PyMem_RawFree(PyMem_RawRealloc(PyMem_RawMalloc(100), 5000));
    }
    return failed;
}
