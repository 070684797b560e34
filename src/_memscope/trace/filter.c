#include "trace/filter.h"

#include "base/mem.h"

#define DOMAIN_BYTES 256

/* Row domains are told apart only as far as the filters do: class 0 is every
 * domain that no filter names. */
struct domain_classes {
    uint64_t number[DOMAIN_BYTES];      /* of each class; FILTER_ANY: not named */
    size_t count;
    uint8_t of_byte[DOMAIN_BYTES];      /* row's domain byte -> class */
};

static void
classes_init(struct domain_classes *self, const struct snapshot *snapshot,
             const struct filter *filters, size_t count)
{
    *self = (struct domain_classes){.number = {FILTER_ANY}, .count = 1};
    for (size_t byte = 0; byte < SNAPSHOT_TRACKED + snapshot->tracked_count; byte++) {
        uint64_t number = snapshot_domain_number(snapshot, (uint8_t)byte);
        for (size_t i = 0; i < count; i++) {
            if (filters[i].domain != number) {
                continue;
            }
            size_t known = 1;
            while (known < self->count && self->number[known] != number) {
                known++;
            }
            self->number[known] = number;
            self->count = known == self->count ? known + 1 : self->count;
            self->of_byte[byte] = (uint8_t)known;
            break;
        }
    }
}

/* hits[node]: whether the filter matches the traceback, its domain apart. */
static void
find_hits(const struct filter *filter, const struct summary *summary, uint8_t *hits)
{
    hits[0] = 0;
    for (uint32_t id = 1; id < summary->node_count; id++) {
        const struct summary_frame *frame = &summary->frames[id];
        if (frame->file == SUMMARY_UNUSED) {
            hits[id] = 0;
        }
        else if (frame->file == SUMMARY_TOTAL) {
            hits[id] = hits[frame->parent];
        }
        else {
            hits[id] = (filter->files == NULL || filter->files[frame->file])
                       && (filter->lineno == FILTER_ANY || filter->lineno == frame->lineno);
            hits[id] |= filter->all_frames & hits[frame->parent];
        }
    }
}

/* tracemalloc.Filter._match: an inclusive filter passes what it hits in its
 * domain; an exclusive one passes all but that. */
static inline uint8_t
passes(const struct filter *filter, uint8_t hit, uint64_t domain)
{
    uint8_t all = hit && (filter->domain == FILTER_ANY || filter->domain == domain);
    return filter->inclusive ? all : !all;
}

/* verdicts[class * node_count + node]: kept if some inclusive filter, or there
 * is none, and all exclusive ones pass. */
static void
find_verdicts(const struct filter *filters, size_t count, const struct summary *summary,
              const struct domain_classes *classes, uint8_t *hits, uint8_t *verdicts)
{
    size_t nodes = summary->node_count;
    bool any_inclusive = false;
    for (size_t i = 0; i < count; i++) {
        any_inclusive |= filters[i].inclusive;
    }
    for (size_t i = 0; i < nodes * classes->count; i++) {
        verdicts[i] = !any_inclusive;
    }
    for (int inclusive = 1; inclusive >= 0; inclusive--) {
        for (size_t i = 0; i < count; i++) {
            if (filters[i].inclusive != inclusive) {
                continue;
            }
            find_hits(&filters[i], summary, hits);
            for (size_t class = 0; class < classes->count; class++) {
                uint64_t domain = classes->number[class];
                uint8_t *verdict = verdicts + class * nodes;
                for (size_t id = 0; id < nodes; id++) {
                    uint8_t pass = passes(&filters[i], hits[id], domain);
                    verdict[id] = inclusive ? verdict[id] | pass : verdict[id] & pass;
                }
            }
        }
    }
}

/* keep[row], by verdict and range.  Returns how many are kept. */
static size_t
find_rows(const struct snapshot *snapshot, const struct domain_classes *classes,
          const uint8_t *verdicts, size_t nodes, const struct filter_range *range, uint8_t *keep)
{
    const uint8_t *by_domain[DOMAIN_BYTES];
    uint8_t by_epoch[256];
    for (size_t i = 0; i < DOMAIN_BYTES; i++) {
        by_domain[i] = verdicts + classes->of_byte[i] * nodes;
        uint64_t epoch = snapshot->epochs[i];
        by_epoch[i] = range->min_epoch <= epoch && epoch <= range->max_epoch;
    }
    size_t kept = 0;
    for (size_t i = 0; i < snapshot->count; i++) {
        uint32_t size = snapshot->size[i];
        keep[i] = by_domain[snapshot->domain[i]][snapshot->traceback[i]]
                  & by_epoch[snapshot->epoch[i]] & (range->min_size <= size)
                  & (size <= range->max_size);
        kept += keep[i];
    }
    for (size_t i = 0; i < snapshot->large_count; i++) {
        size_t row = snapshot->large[i].row;
        uint64_t size = snapshot->large[i].size;
        uint8_t was = keep[row];
        keep[row] = by_domain[snapshot->domain[row]][snapshot->traceback[row]]
                    & by_epoch[snapshot->epoch[row]] & (range->min_size <= size)
                    & (size <= range->max_size);
        kept += (size_t)keep[row] - was;
    }
    return kept;
}

/* Copies the rows to keep; `to` has room for one more, which each row is
 * written to before it is known to stay. */
static int
copy_rows(struct snapshot *to, const struct snapshot *from, const uint8_t *keep)
{
    size_t next = 0;
    for (size_t i = 0; i < from->count; i++) {
        to->traceback[next] = from->traceback[i];
        to->size[next] = from->size[i];
        to->address[next] = from->address[i];
        to->epoch[next] = from->epoch[i];
        to->domain[next] = from->domain[i];
        next += keep[i];
    }
    to->count = next;
    /* Both are in the order of rows: `new_row` counts how many before it stay. */
    size_t row = 0, new_row = 0;
    for (size_t i = 0; i < from->large_count; i++) {
        for (; row < from->large[i].row; row++) {
            new_row += keep[row];
        }
        if (keep[row] && snapshot_append_large(to, new_row, from->large[i].size) < 0) {
            return -1;
        }
    }
    return 0;
}

struct snapshot *
filter_apply(const struct snapshot *snapshot, const struct summary *summary,
             const struct filter *filters, size_t count, const struct filter_range *range)
{
    struct domain_classes classes;
    classes_init(&classes, snapshot, filters, count);
    size_t nodes = summary->node_count;
    struct snapshot *kept = NULL;
    uint8_t *hits = mem_malloc(nodes, 1);
    uint8_t *verdicts = mem_malloc(classes.count, nodes);
    uint8_t *keep = mem_malloc(snapshot->count, 1);
    if (hits == NULL || verdicts == NULL || keep == NULL) {
        goto done;
    }
    find_verdicts(filters, count, summary, &classes, hits, verdicts);
    size_t rows = find_rows(snapshot, &classes, verdicts, nodes, range, keep);
    kept = snapshot_new(snapshot->tracebacks, rows + 1);
    if (kept == NULL) {
        goto done;
    }
    if (copy_rows(kept, snapshot, keep) < 0) {
        snapshot_free(kept);
        kept = NULL;
        goto done;
    }
    snapshot_copy_header(kept, snapshot);
done:
    mem_free(hits);
    mem_free(verdicts);
    mem_free(keep);
    return kept;
}
