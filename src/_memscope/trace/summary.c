#include "trace/summary.h"

#include "base/mem.h"
#include "trace/ranking.h"

static uint32_t
highest_traceback(const struct snapshot *snapshot)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < snapshot->count; i++) {
        highest = snapshot->traceback[i] > highest ? snapshot->traceback[i] : highest;
    }
    return highest;
}

static void
add_rows(struct summary *self, const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        struct summary_total *total = &self->totals[snapshot->traceback[i]];
        total->size += snapshot->size[i];
        total->count++;
    }
    for (size_t i = 0; i < snapshot->large_count; i++) {
        const struct snapshot_large *large = &snapshot->large[i];
        self->totals[snapshot->traceback[large->row]].size += large->size - UINT32_MAX;
    }
}

/* Lays out the nodes in use; `file` is a text id for now.  Returns the highest
 * of those. */
static uint32_t
add_frames(struct summary *self)
{
    uint32_t highest = 0;
    for (uint32_t id = self->node_count; id-- > 1;) {
        struct summary_frame *frame = &self->frames[id];
        if (self->totals[id].count == 0 && frame->file == SUMMARY_UNUSED) {
            continue;
        }
        const struct traceback_node *node = tracebacks_node(self->tracebacks, id);
        frame->parent = node->parent;
        frame->lineno = node->lineno;
        if (node->function == TRACEBACK_TOTAL) {
            frame->file = SUMMARY_TOTAL;
        }
        else {
            frame->file = tracebacks_function(self->tracebacks, node->function)->filename;
            highest = frame->file > highest ? frame->file : highest;
        }
        if (node->parent != 0 && self->frames[node->parent].file == SUMMARY_UNUSED) {
            self->frames[node->parent].file = 0;    /* in use; its turn comes */
        }
    }
    return highest;
}

/* Replaces text ids by indices into `filenames`. */
static int
rank_files(struct summary *self, uint32_t highest)
{
    uint32_t *index = mem_calloc((size_t)highest + 1, sizeof(*index));
    if (index == NULL) {
        return -1;
    }
    for (uint32_t id = 1; id < self->node_count; id++) {
        if (summary_is_frame(self, id)) {
            uint32_t *seen = &index[self->frames[id].file];
            self->file_count += *seen == 0;
            *seen = 1;
        }
    }
    self->filenames = mem_malloc(self->file_count, sizeof(*self->filenames));
    if (self->filenames == NULL) {
        mem_free(index);
        return -1;
    }
    uint32_t count = 0;
    for (uint32_t text = 1; text <= highest; text++) {
        if (index[text]) {
            self->filenames[count++] = text;
        }
    }
    if (ranking_sort(self->tracebacks, self->filenames, count) < 0) {
        mem_free(index);
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        index[self->filenames[i]] = i;
    }
    for (uint32_t id = 1; id < self->node_count; id++) {
        if (summary_is_frame(self, id)) {
            self->frames[id].file = index[self->frames[id].file];
        }
    }
    mem_free(index);
    return 0;
}

struct summary *
summary_new(const struct snapshot *snapshot)
{
    struct summary *self = mem_calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->tracebacks = snapshot->tracebacks;
    self->node_count = highest_traceback(snapshot) + 1;
    self->totals = mem_calloc(self->node_count, sizeof(*self->totals));
    self->frames = mem_malloc(self->node_count, sizeof(*self->frames));
    if (self->totals == NULL || self->frames == NULL) {
        summary_free(self);
        return NULL;
    }
    for (uint32_t id = 0; id < self->node_count; id++) {
        self->frames[id] = (struct summary_frame){.file = SUMMARY_UNUSED};
    }
    add_rows(self, snapshot);
    if (rank_files(self, add_frames(self)) < 0) {
        summary_free(self);
        return NULL;
    }
    return self;
}

void
summary_free(struct summary *self)
{
    if (self == NULL) {
        return;
    }
    mem_free(self->totals);
    mem_free(self->frames);
    mem_free(self->filenames);
    mem_free(self);
}

size_t
summary_bytes(const struct summary *self)
{
    size_t node = sizeof(*self->totals) + sizeof(*self->frames);
    return sizeof(*self) + self->node_count * node + self->file_count * sizeof(*self->filenames);
}
