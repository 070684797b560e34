/* traces_compact_if_due: a copying collector for tracebacks.
 *
 * The tree only grows, and a program that makes code for ever (eval with a new
 * file name each time) would make it grow for ever.  So when it has doubled,
 * what live blocks use is copied to a new tree and every slot gets its new id.
 * Snapshots keep the old tree. */
#include "base/mem.h"
#include "trace/traces.h"

/* Old id -> new id of one kind; 0 where nothing uses the old one. */
struct renumbering {
    struct tracebacks *from, *to;
    uint32_t *nodes, *functions, *texts;
};

static void
mark_word(void *context, uint64_t *word)
{
    struct renumbering *ids = context;
    ids->nodes[shadow_word_traceback(*word)] = 1;
}

static void
renumber_word(void *context, uint64_t *word)
{
    struct renumbering *ids = context;
    *word = (*word & ~(uint64_t)TRACEBACK_MAX) | ids->nodes[shadow_word_traceback(*word)];
}

static uint32_t
copy_text(struct renumbering *ids, uint32_t text)
{
    if (ids->texts[text] == 0) {
        ids->texts[text] = tracebacks_intern_text(ids->to, *tracebacks_text(ids->from, text));
    }
    return ids->texts[text];
}

static uint32_t
copy_function(struct renumbering *ids, uint32_t function)
{
    if (function == TRACEBACK_TOTAL) {
        return function;
    }
    if (ids->functions[function] == 0) {
        const struct function *old = tracebacks_function(ids->from, function);
        struct function new = {copy_text(ids, old->filename), copy_text(ids, old->name)};
        if (new.filename != 0 && new.name != 0) {
            ids->functions[function] = tracebacks_intern_function(ids->to, new);
        }
    }
    return ids->functions[function];
}

/* Copies every marked node and its callers.  A parent's id is smaller than its
 * child's, so one pass down marks and one pass up copies. */
static int
copy_nodes(struct renumbering *ids, uint32_t count)
{
    for (uint32_t id = count; id > 0; id--) {
        if (ids->nodes[id] != 0) {
            ids->nodes[tracebacks_node(ids->from, id)->parent] = 1;
        }
    }
    ids->nodes[0] = 0;
    for (uint32_t id = 1; id <= count; id++) {
        if (ids->nodes[id] == 0) {
            continue;
        }
        struct traceback_node node = *tracebacks_node(ids->from, id);
        node.parent = ids->nodes[node.parent];
        node.function = copy_function(ids, node.function);
        ids->nodes[id] = node.function == 0 ? 0 : tracebacks_intern_node(ids->to, node);
        if (ids->nodes[id] == 0) {
            return -1;
        }
    }
    return 0;
}

static void
renumber_all(struct traces *self, struct renumbering *ids)
{
    shadow_each(&self->gil.shadow, renumber_word, ids);
    shadow_each(&self->raw.shadow, renumber_word, ids);
    for (size_t i = 0; i < self->tracked.used; i++) {
        struct tracked_block *block = &self->tracked.blocks[i];
        block->traceback = ids->nodes[block->traceback];
    }
    tracebacks_unref(self->tracebacks);
    self->tracebacks = ids->to;
    ids->to = NULL;
    traces_forget_watched(self);
    self->compactions++;
    self->numbering++;
}

void
traces_compact_if_due(struct traces *self)
{
    if (tracebacks_bytes(self->tracebacks) < self->compact_at) {
        return;
    }
    uint32_t count = tracebacks_node_count(self->tracebacks);
    struct renumbering ids = {.from = self->tracebacks, .to = tracebacks_new()};
    ids.nodes = mem_calloc((size_t)count + 1, sizeof(uint32_t));
    ids.functions = mem_calloc((size_t)tracebacks_function_count(ids.from) + 1, sizeof(uint32_t));
    ids.texts = mem_calloc((size_t)tracebacks_text_count(ids.from) + 1, sizeof(uint32_t));
    if (ids.to != NULL && ids.nodes != NULL && ids.functions != NULL && ids.texts != NULL) {
        shadow_each(&self->gil.shadow, mark_word, &ids);
        shadow_each(&self->raw.shadow, mark_word, &ids);
        for (size_t i = 0; i < self->tracked.used; i++) {
            ids.nodes[self->tracked.blocks[i].traceback] = 1;
        }
        if (copy_nodes(&ids, count) == 0) {
            renumber_all(self, &ids);
        }
    }
    tracebacks_unref(ids.to);
    mem_free(ids.nodes);
    mem_free(ids.functions);
    mem_free(ids.texts);
    size_t left = tracebacks_bytes(self->tracebacks);
    self->compact_at = left * 2 > TRACES_COMPACT_FLOOR ? left * 2 : TRACES_COMPACT_FLOOR;
}
