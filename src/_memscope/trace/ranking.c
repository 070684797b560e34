#include "trace/ranking.h"

#include <stdlib.h>

#include "base/mem.h"

struct entry {
    const struct text *text;
    uint32_t id;
};

static int
compare_entries(const void *a, const void *b)
{
    return text_compare(((const struct entry *)a)->text, ((const struct entry *)b)->text);
}

int
ranking_sort(const struct tracebacks *tree, uint32_t *ids, size_t count)
{
    struct entry *entries = mem_malloc(count, sizeof(*entries));
    if (entries == NULL) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct entry){tracebacks_text(tree, ids[i]), ids[i]};
    }
    qsort(entries, count, sizeof(*entries), compare_entries);
    for (size_t i = 0; i < count; i++) {
        ids[i] = entries[i].id;
    }
    mem_free(entries);
    return 0;
}

static int
compare_at(const struct ranking *a, uint32_t i, const struct ranking *b, uint32_t j)
{
    if (i == a->count || j == b->count) {
        return i == a->count ? 1 : -1;
    }
    if (a->tree == b->tree && a->ids[i] == b->ids[j]) {
        return 0;
    }
    return text_compare(tracebacks_text(a->tree, a->ids[i]), tracebacks_text(b->tree, b->ids[j]));
}

void
ranking_merge(struct ranking *a, struct ranking *b)
{
    uint32_t i = 0, j = 0;
    for (uint32_t rank = 0; i < a->count || j < b->count; rank++) {
        int order = compare_at(a, i, b, j);
        if (order <= 0) {
            a->rank[i++] = rank;
        }
        if (order >= 0) {
            b->rank[j++] = rank;
        }
    }
}
