#include "bind/bind.h"

PyMethodDef names_methods[] = {
    {NULL, NULL, 0, NULL},
};
