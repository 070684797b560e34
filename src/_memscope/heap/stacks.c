#include "heap/stacks.h"

#include "base/mem.h"

#define MOST_FRAMES ((size_t)1 << 20)       /* of a thread; beyond, something is wrong */

graph_text
stacks_add_text(struct graph *graph, PyObject *unicode)
{
    if (unicode == NULL || !PyUnicode_Check(unicode) || !pycompat_unicode_is_ready(unicode)) {
        return 0;
    }
    return graph_add_text(graph, PyUnicode_DATA(unicode), (size_t)PyUnicode_GET_LENGTH(unicode),
                          PyUnicode_KIND(unicode));
}

static PyCodeObject *
borrow_code(const struct frame *frame)
{
    PyObject *executable = (PyObject *)(frame->executable & ~EXECUTABLE_TAGS);
    return executable != NULL && PyCode_Check(executable) ? (PyCodeObject *)executable : NULL;
}

/* The frame itself or the next older one that runs Python code. */
static const struct frame *
skip_marks(const struct frame *frame)
{
    while (frame != NULL && (!is_python(frame) || borrow_code(frame) == NULL)) {
        frame = frame->previous;
    }
    return frame;
}

static const struct frame *
skip_hidden(const struct frame *frame, PyObject *hide)
{
    while (frame != NULL && hide != NULL) {
        PyObject *filename = borrow_code(frame)->co_filename;
        if (PyUnicode_Tailmatch(filename, hide, 0, PY_SSIZE_T_MAX, -1) != 1) {
            break;
        }
        frame = skip_marks(frame->previous);
    }
    return frame;
}

static int
add_holder(struct stacks *self, struct graph *graph, const struct frame *frame,
           struct graph_holder holder)
{
    size_t capacity = self->capacity;
    if (self->count == capacity) {
        if (mem_grow((void **)&graph->holders, &capacity, self->count + 1, sizeof holder) < 0
            || mem_grow((void **)&self->frames, &self->capacity, self->count + 1, sizeof frame)
                   < 0) {
            return -1;
        }
        /* Both arrays start empty and grow by the same rule. */
        self->capacity = capacity < self->capacity ? capacity : self->capacity;
    }
    graph->holders[self->count] = holder;
    self->frames[self->count] = frame;
    self->count++;
    graph->holder_count++;
    return 0;
}

static int
add_thread(struct stacks *self, struct graph *graph, const PyThreadState *thread, PyObject *hide)
{
    const struct frame *frame = skip_marks(newest_frame(thread));
    if (thread == PyThreadState_Get()) {
        frame = skip_hidden(frame, hide);
    }
    struct graph_holder holder = {
        .kind = GRAPH_THREAD,
        .thread = (uint32_t)self->count,
        .ident = thread->thread_id,
    };
    if (frame == NULL) {
        return 0;
    }
    if (add_holder(self, graph, NULL, holder) < 0) {
        return -1;
    }
    holder.kind = GRAPH_FRAME;
    size_t left = MOST_FRAMES;
    for (; frame != NULL && left > 0; frame = skip_marks(frame->previous), left--) {
        PyCodeObject *code = borrow_code(frame);
        uintptr_t offset = frame->instruction - (uintptr_t)code->co_code_adaptive;
        int lineno = PyCode_Addr2Line(code, (int)offset);
        holder.name = stacks_add_text(graph, code->co_qualname);
        holder.filename = stacks_add_text(graph, code->co_filename);
        holder.lineno = lineno > 0 ? (uint32_t)lineno : 0;
        if (add_holder(self, graph, frame, holder) < 0) {
            return -1;
        }
    }
    return 0;
}

int
stacks_find(struct stacks *self, struct graph *graph, PyObject *hide)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    PyThreadState *thread = PyInterpreterState_ThreadHead(interpreter);
    for (; thread != NULL; thread = PyThreadState_Next(thread)) {
        if (add_thread(self, graph, thread, hide) < 0) {
            return -1;
        }
    }
    return graph->texts.failed ? -1 : 0;
}

void
stacks_release(struct stacks *self)
{
    mem_free(self->frames);
    *self = (struct stacks){0};
}

/* What a slot of a frame refers to, or NULL; borrowed.  From 3.14 on a slot is a
 * tagged reference (Include/internal/pycore_stackref.h): the low bits say that
 * it is borrowed, or NULL, or not an object at all. */
static PyObject *
slot_object(uintptr_t slot)
{
#if PY_VERSION_HEX >= 0x030E0000
    if ((slot & EXECUTABLE_TAGS) == EXECUTABLE_TAGS) {
        return NULL;
    }
#endif
    return (PyObject *)(slot & ~EXECUTABLE_TAGS);
}

int
stacks_visit_slots(const struct frame *frame,
                   int (*visit)(PyObject *object, PyObject *name, void *arg), void *arg)
{
    const PyCodeObject *code = borrow_code(frame);
    const uintptr_t *slots = (const uintptr_t *)(frame + 1);
    PyObject *names = code != NULL ? code->co_localsplusnames : NULL;
    int status = 0;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names) && status == 0; i++) {
        PyObject *object = slot_object(slots[i]);
        if (object != NULL) {
            status = visit(object, PyTuple_GET_ITEM(names, i), arg);
        }
    }
    return status;
}

struct slot_visitor {
    struct graph *graph;
    int (*visit)(PyObject *object, graph_text name, void *arg);
    void *arg;
};

static int
visit_slot(PyObject *object, PyObject *name, void *arg)
{
    const struct slot_visitor *self = arg;
    return self->visit(object, stacks_add_text(self->graph, name), self->arg);
}

int
stacks_visit(const struct frame *frame, struct graph *graph,
             int (*visit)(PyObject *object, graph_text name, void *arg), void *arg)
{
    int status = visit((PyObject *)borrow_code(frame), graph_add_ascii(graph, "code"), arg);
    PyObject *function = slot_object((uintptr_t)frame->function);
    if (status == 0 && function != NULL) {
        status = visit(function, graph_add_ascii(graph, "function"), arg);
    }
    if (status == 0 && frame->locals != NULL) {
        status = visit(frame->locals, graph_add_ascii(graph, "locals"), arg);
    }
    struct slot_visitor visitor = {graph, visit, arg};
    if (status == 0) {
        status = stacks_visit_slots(frame, visit_slot, &visitor);
    }
    return graph->texts.failed ? -1 : status;
}
