#include "trace/groups.h"

#include <string.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/sort.h"
#include "trace/chains.h"
#include "trace/ranking.h"

#define SIDES 2     /* new, old */

struct side {
    const struct summary *summary;
    const uint32_t *labels;
    uint32_t *files;        /* [file_count] rank among the files of both sides */
    uint32_t *names;        /* [node_count] rank of the function's name; GROUPS_FUNCTION */
    uint32_t *chains;       /* [node_count] GROUPS_TRACEBACK */
};

struct builder {
    struct groups_options options;
    struct side sides[SIDES];
    size_t side_count;
    struct chains chains;
    struct hashmap index;   /* key -> number of the group */
    struct group *groups;
    uint64_t *keys;         /* [count] of each group */
    size_t count, group_capacity, key_capacity;
};

/* What a node in use is grouped by: a frame, or GROUPS_TRACEBACK any. */
static uint64_t
side_key(const struct side *self, enum groups_key key, uint32_t node)
{
    if (key == GROUPS_TRACEBACK) {
        return self->chains[node];
    }
    const struct summary_frame *frame = &self->summary->frames[node];
    uint64_t file = (uint64_t)self->files[frame->file] << 32;
    switch (key) {
    case GROUPS_LINENO:
        return file | frame->lineno;
    case GROUPS_FILENAME:
        return file;
    case GROUPS_FUNCTION:
        return file | self->names[node];
    default:
        return self->labels[frame->file];
    }
}

/* Number of the group of a node, made if there is none; SIZE_MAX without
 * memory. */
static size_t
find_group(struct builder *self, size_t side, uint32_t node)
{
    uint64_t key = side_key(&self->sides[side], self->options.key, node);
    const uint64_t *known = hashmap_get(&self->index, key);
    if (known != NULL) {
        return (size_t)*known;
    }
    size_t number = self->count;
    void *groups = self->groups, *keys = self->keys;
    if (mem_grow(&groups, &self->group_capacity, number + 1, sizeof(*self->groups)) < 0) {
        return SIZE_MAX;
    }
    self->groups = groups;
    if (mem_grow(&keys, &self->key_capacity, number + 1, sizeof(*self->keys)) < 0) {
        return SIZE_MAX;
    }
    self->keys = keys;
    if (hashmap_put(&self->index, key, number) < 0) {
        return SIZE_MAX;
    }
    self->groups[number] = (struct group){.node = node, .is_old = side != 0};
    self->keys[number] = key;
    self->count = number + 1;
    return number;
}

static inline void
add_up(uint64_t *sum, uint64_t more)
{
    *sum = more > INT64_MAX - *sum ? INT64_MAX : *sum + more;
}

static void
group_add(struct group *self, size_t side, const struct summary_total *total)
{
    add_up(side == 0 ? &self->size : &self->old_size, total->size);
    add_up(side == 0 ? &self->count : &self->old_count, total->count);
}

/* Every traceback counts for its newest frame. */
static int
add_newest(struct builder *self, size_t side)
{
    const struct summary *summary = self->sides[side].summary;
    for (uint32_t id = 1; id < summary->node_count; id++) {
        if (summary->totals[id].count == 0) {
            continue;
        }
        bool whole = self->options.key == GROUPS_TRACEBACK;
        size_t group = find_group(self, side, whole ? id : summary_newest_frame(summary, id));
        if (group == SIZE_MAX) {
            return -1;
        }
        group_add(&self->groups[group], side, &summary->totals[id]);
    }
    return 0;
}

/* sums[node]: totals of all tracebacks that have this node. */
static struct summary_total *
sum_subtrees(const struct summary *summary)
{
    struct summary_total *sums = mem_malloc(summary->node_count, sizeof(*sums));
    if (sums == NULL) {
        return NULL;
    }
    memcpy(sums, summary->totals, summary->node_count * sizeof(*sums));
    for (uint32_t id = summary->node_count; id-- > 1;) {
        struct summary_total *sum = &sums[summary->frames[id].parent];
        sum->size += sums[id].size;
        sum->count += sums[id].count;
    }
    return sums;
}

/* Numbers the nodes in preorder: begin[node]; the nodes below it are those up
 * to end[node], exclusive; visit[] is the inverse. */
static void
number_nodes(const struct summary *summary, uint32_t *begin, uint32_t *end, uint32_t *visit)
{
    uint32_t count = summary->node_count;
    for (uint32_t id = 0; id < count; id++) {
        end[id] = 1;
    }
    for (uint32_t id = count; id-- > 1;) {
        end[summary->frames[id].parent] += end[id];
    }
    /* visit[] holds the next free number below each node until it is known. */
    begin[0] = 0;
    visit[0] = 1;
    for (uint32_t id = 1; id < count; id++) {
        uint32_t *next = &visit[summary->frames[id].parent];
        begin[id] = *next;
        *next += end[id];
        visit[id] = begin[id] + 1;
    }
    for (uint32_t id = 0; id < count; id++) {
        end[id] += begin[id];
        visit[begin[id]] = id;
    }
}

/* Every traceback counts for every frame: for each group, once below the
 * outermost node that is in it, or below each. */
static int
add_all(struct builder *self, size_t side)
{
    const struct summary *summary = self->sides[side].summary;
    uint32_t nodes = summary->node_count;
    struct summary_total *sums = sum_subtrees(summary);
    uint32_t *begin = mem_malloc(nodes, sizeof(*begin));
    uint32_t *end = mem_malloc(nodes, sizeof(*end));
    uint32_t *visit = mem_malloc(nodes, sizeof(*visit));
    uint32_t *covered = NULL;   /* [group]: below this number it has been counted */
    size_t capacity = 0;
    int result = -1;
    if (sums == NULL || begin == NULL || end == NULL || visit == NULL) {
        goto done;
    }
    number_nodes(summary, begin, end, visit);
    for (uint32_t place = 1; place < nodes; place++) {
        uint32_t id = visit[place];
        if (!summary_is_frame(summary, id)) {
            continue;
        }
        size_t group = find_group(self, side, id);
        size_t known = capacity;
        void *block = covered;
        if (group == SIZE_MAX || mem_grow(&block, &capacity, group + 1, sizeof(*covered)) < 0) {
            goto done;
        }
        covered = block;
        memset(covered + known, 0, (capacity - known) * sizeof(*covered));
        if (self->options.per_occurrence || place >= covered[group]) {
            group_add(&self->groups[group], side, &sums[id]);
            covered[group] = end[id];
        }
    }
    result = 0;
done:
    mem_free(sums);
    mem_free(begin);
    mem_free(end);
    mem_free(visit);
    mem_free(covered);
    return result;
}

static int
rank_files(struct builder *self)
{
    struct ranking rankings[SIDES] = {0};
    for (size_t i = 0; i < self->side_count; i++) {
        struct side *side = &self->sides[i];
        side->files = mem_malloc(side->summary->file_count, sizeof(*side->files));
        if (side->files == NULL) {
            return -1;
        }
        rankings[i] = (struct ranking){side->summary->tracebacks, side->summary->filenames,
                                       side->summary->file_count, side->files};
    }
    ranking_merge(&rankings[0], &rankings[1]);
    return 0;
}

/* The distinct names of the functions in use, in order; side->names[node] is
 * the index of each node's. */
static int
list_names(struct side *side, uint32_t **ids, uint32_t *count)
{
    const struct summary *summary = side->summary;
    const struct tracebacks *tree = summary->tracebacks;
    struct hashmap index = {0};
    int result = -1;
    side->names = mem_malloc(summary->node_count, sizeof(*side->names));
    *ids = mem_malloc(summary->node_count, sizeof(**ids));
    if (side->names == NULL || *ids == NULL) {
        goto done;
    }
    for (uint32_t id = 1; id < summary->node_count; id++) {
        if (!summary_is_frame(summary, id)) {
            continue;
        }
        uint32_t function = tracebacks_node(tree, id)->function;
        side->names[id] = tracebacks_function(tree, function)->name;
        if (hashmap_get(&index, side->names[id]) == NULL) {
            if (hashmap_put(&index, side->names[id], 0) < 0) {
                goto done;
            }
            (*ids)[(*count)++] = side->names[id];
        }
    }
    if (ranking_sort(tree, *ids, *count) < 0) {
        goto done;
    }
    for (uint32_t i = 0; i < *count; i++) {
        *hashmap_get(&index, (*ids)[i]) = i;
    }
    for (uint32_t id = 1; id < summary->node_count; id++) {
        if (summary_is_frame(summary, id)) {
            side->names[id] = (uint32_t)*hashmap_get(&index, side->names[id]);
        }
    }
    result = 0;
done:
    hashmap_clear(&index);
    return result;
}

static int
rank_names(struct builder *self)
{
    struct ranking rankings[SIDES] = {0};
    uint32_t *ids[SIDES] = {NULL, NULL};
    int result = -1;
    for (size_t i = 0; i < self->side_count; i++) {
        uint32_t count = 0;
        if (list_names(&self->sides[i], &ids[i], &count) < 0) {
            goto done;
        }
        rankings[i] = (struct ranking){self->sides[i].summary->tracebacks, ids[i], count,
                                       mem_malloc(count, sizeof(uint32_t))};
        if (rankings[i].rank == NULL) {
            goto done;
        }
    }
    ranking_merge(&rankings[0], &rankings[1]);
    for (size_t i = 0; i < self->side_count; i++) {
        struct side *side = &self->sides[i];
        for (uint32_t id = 1; id < side->summary->node_count; id++) {
            if (summary_is_frame(side->summary, id)) {
                side->names[id] = rankings[i].rank[side->names[id]];
            }
        }
    }
    result = 0;
done:
    for (size_t i = 0; i < SIDES; i++) {
        mem_free(ids[i]);
        mem_free(rankings[i].rank);
    }
    return result;
}

static int
number_chains(struct builder *self)
{
    for (size_t i = 0; i < self->side_count; i++) {
        struct side *side = &self->sides[i];
        side->chains = mem_malloc(side->summary->node_count, sizeof(*side->chains));
        if (side->chains == NULL
            || chains_add(&self->chains, side->summary, side->files, side->chains) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Group keys become places in the order of tracebacks. */
static int
place_chains(struct builder *self)
{
    uint64_t *position = mem_malloc(self->chains.chain_count, sizeof(*position));
    if (position == NULL || chains_order(&self->chains, position) < 0) {
        mem_free(position);
        return -1;
    }
    for (size_t i = 0; i < self->count; i++) {
        self->keys[i] = position[self->keys[i]];
    }
    mem_free(position);
    return 0;
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* The `level`-th most important number to order a group by. */
static uint64_t
sort_key(const struct builder *self, size_t group, int level)
{
    const struct group *it = &self->groups[group];
    switch (level) {
    case 0:
        return distance(it->size, it->old_size);
    case 1:
        return it->size;
    case 2:
        return distance(it->count, it->old_count);
    case 3:
        return it->count;
    default:
        return self->keys[group];
    }
}

/* Sorts ascending, least important key first, and turns it round.  With one
 * snapshot, levels 0 and 2 say the same as 1 and 3. */
static int
sort_groups(struct builder *self)
{
    size_t count = self->count;
    uint32_t *order = mem_malloc(count, sizeof(*order));
    uint64_t *keys = mem_malloc(count, sizeof(*keys));
    struct group *sorted = mem_malloc(count, sizeof(*sorted));
    int result = -1;
    if (order == NULL || keys == NULL || sorted == NULL) {
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
    }
    for (int level = 4; level >= 0; level--) {
        if (self->side_count == 1 && (level == 0 || level == 2)) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            keys[i] = sort_key(self, i, level);
        }
        if (sort_by_key(order, count, keys) < 0) {
            goto done;
        }
    }
    for (size_t i = 0; i < count; i++) {
        sorted[count - 1 - i] = self->groups[order[i]];
    }
    mem_free(self->groups);
    self->groups = sorted;
    sorted = NULL;
    result = 0;
done:
    mem_free(order);
    mem_free(keys);
    mem_free(sorted);
    return result;
}

static int
build(struct builder *self)
{
    enum groups_key key = self->options.key;
    if (rank_files(self) < 0 || (key == GROUPS_FUNCTION && rank_names(self) < 0)
        || (key == GROUPS_TRACEBACK && number_chains(self) < 0)) {
        return -1;
    }
    for (size_t i = 0; i < self->side_count; i++) {
        if ((self->options.cumulative ? add_all(self, i) : add_newest(self, i)) < 0) {
            return -1;
        }
    }
    if (key == GROUPS_TRACEBACK && place_chains(self) < 0) {
        return -1;
    }
    return sort_groups(self);
}

int
groups_build(struct groups_options options, const struct groups_side *new,
             const struct groups_side *old, struct group **groups, size_t *count)
{
    struct builder self = {.options = options, .side_count = old != NULL ? 2 : 1};
    self.sides[0].summary = new->summary;
    self.sides[0].labels = new->labels;
    if (old != NULL) {
        self.sides[1].summary = old->summary;
        self.sides[1].labels = old->labels;
    }
    int result = build(&self);
    if (result < 0) {
        mem_free(self.groups);
        self.groups = NULL;
        self.count = 0;
    }
    for (size_t i = 0; i < SIDES; i++) {
        mem_free(self.sides[i].files);
        mem_free(self.sides[i].names);
        mem_free(self.sides[i].chains);
    }
    chains_release(&self.chains);
    hashmap_clear(&self.index);
    mem_free(self.keys);
    *groups = self.groups;
    *count = self.count;
    return result;
}
