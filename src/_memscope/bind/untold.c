#include "bind/untold.h"

#include "base/mem.h"

int
untold_add(struct untold *self, PyObject *object, uint32_t number)
{
    if ((self->count == self->object_capacity
         && mem_grow((void **)&self->objects, &self->object_capacity, self->count + 1,
                     sizeof *self->objects)
                < 0)
        || (self->count == self->number_capacity
            && mem_grow((void **)&self->numbers, &self->number_capacity, self->count + 1,
                        sizeof *self->numbers)
                   < 0)) {
        return -1;
    }
    self->objects[self->count] = Py_NewRef(object);
    self->numbers[self->count++] = number;
    return 0;
}

void
untold_release(struct untold *self)
{
    for (size_t i = 0; i < self->count; i++) {
        Py_DECREF(self->objects[i]);
    }
    mem_free(self->objects);
    mem_free(self->numbers);
    *self = (struct untold){0};
}
