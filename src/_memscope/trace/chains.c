#include "trace/chains.h"

#include "base/mem.h"
#include "base/sort.h"

/* Number of the frame, new or not; 0 without memory. */
static uint32_t
intern_frame(struct chains *self, uint64_t frame)
{
    const uint64_t *known = hashmap_get(&self->frame_index, frame);
    if (known != NULL) {
        return (uint32_t)*known;
    }
    uint32_t number = self->frame_count;
    void *block = self->frames;
    if (mem_grow(&block, &self->frame_capacity, (size_t)number + 1, sizeof(frame)) < 0) {
        return 0;
    }
    self->frames = block;
    if (hashmap_put(&self->frame_index, frame, number) < 0) {
        return 0;
    }
    self->frames[number] = frame;
    self->frame_count = number + 1;
    return number;
}

/* As intern_frame, for a chain. */
static uint32_t
intern_chain(struct chains *self, struct chain chain)
{
    uint64_t key = ((uint64_t)chain.parent << 32) | chain.frame;
    const uint64_t *known = hashmap_get(&self->chain_index, key);
    if (known != NULL) {
        return (uint32_t)*known;
    }
    uint32_t number = self->chain_count;
    void *block = self->chains;
    if (mem_grow(&block, &self->chain_capacity, (size_t)number + 1, sizeof(chain)) < 0) {
        return 0;
    }
    self->chains = block;
    if (hashmap_put(&self->chain_index, key, number) < 0) {
        return 0;
    }
    self->chains[number] = chain;
    self->chain_count = number + 1;
    return number;
}

/* Entry 0 of both arrays. */
static int
add_nothing(struct chains *self)
{
    void *frames = NULL, *chains = NULL;
    if (self->chain_count != 0) {
        return 0;
    }
    if (mem_grow(&frames, &self->frame_capacity, 256, sizeof(*self->frames)) < 0) {
        return -1;
    }
    self->frames = frames;
    if (mem_grow(&chains, &self->chain_capacity, 256, sizeof(*self->chains)) < 0) {
        return -1;
    }
    self->chains = chains;
    self->frames[0] = 0;
    self->frame_count = 1;
    self->chains[0] = (struct chain){0, 0};
    self->chain_count = 1;
    return 0;
}

int
chains_add(struct chains *self, const struct summary *summary, const uint32_t *files,
           uint32_t *of_node)
{
    if (add_nothing(self) < 0) {
        return -1;
    }
    of_node[0] = 0;
    for (uint32_t id = 1; id < summary->node_count; id++) {
        const struct summary_frame *frame = &summary->frames[id];
        if (frame->file == SUMMARY_UNUSED) {
            of_node[id] = 0;
            continue;
        }
        of_node[id] = of_node[frame->parent];
        if (frame->file == SUMMARY_TOTAL) {
            continue;
        }
        uint32_t file = files != NULL ? files[frame->file] : frame->file;
        struct chain chain = {of_node[frame->parent],
                              intern_frame(self, ((uint64_t)file << 32) | frame->lineno)};
        of_node[id] = chain.frame != 0 ? intern_chain(self, chain) : 0;
        if (of_node[id] == 0) {
            return -1;
        }
    }
    return 0;
}

void
chains_release(struct chains *self)
{
    mem_free(self->chains);
    mem_free(self->frames);
    hashmap_clear(&self->frame_index);
    hashmap_clear(&self->chain_index);
    *self = (struct chains){0};
}

/* rank[frame]: its place among all frames. */
static int
rank_frames(const struct chains *self, uint32_t *order, uint64_t *rank)
{
    for (uint32_t i = 0; i < self->frame_count; i++) {
        order[i] = i;
    }
    if (sort_by_key(order, self->frame_count, self->frames) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < self->frame_count; i++) {
        rank[order[i]] = i;
    }
    return 0;
}

/* A chain's position is that of its parent, plus one, plus all that begins
 * with a smaller sibling: preorder, where a tuple comes before its extensions.
 * With chains sorted by (parent, frame), parents come before their children and
 * siblings in order, so one pass gives them out. */
static int
place_chains(const struct chains *self, uint32_t *order, uint64_t *key, uint32_t *extent,
             uint64_t *next, uint64_t *position)
{
    uint32_t count = self->chain_count;
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
        extent[i] = 1;
    }
    if (sort_by_key(order + 1, count - 1, key) < 0) {
        return -1;
    }
    for (uint32_t i = count; i-- > 1;) {
        extent[self->chains[i].parent] += extent[i];
    }
    position[0] = 0;
    next[0] = 1;
    for (uint32_t i = 1; i < count; i++) {
        uint32_t chain = order[i];
        uint64_t *place = &next[self->chains[chain].parent];
        position[chain] = *place;
        *place += extent[chain];
        next[chain] = position[chain] + 1;
    }
    return 0;
}

int
chains_order(const struct chains *self, uint64_t *position)
{
    uint32_t count = self->chain_count;
    uint32_t wider = count > self->frame_count ? count : self->frame_count;
    uint32_t *order = mem_malloc(wider, sizeof(*order));
    uint32_t *extent = mem_malloc(count, sizeof(*extent));
    uint64_t *rank = mem_malloc(self->frame_count, sizeof(*rank));
    uint64_t *key = mem_malloc(count, sizeof(*key));
    uint64_t *next = mem_malloc(count, sizeof(*next));
    int result = -1;
    if (order == NULL || extent == NULL || rank == NULL || key == NULL || next == NULL
        || rank_frames(self, order, rank) < 0) {
        goto done;
    }
    for (uint32_t i = 0; i < count; i++) {
        key[i] = ((uint64_t)self->chains[i].parent << 32) | rank[self->chains[i].frame];
    }
    result = place_chains(self, order, key, extent, next, position);
done:
    mem_free(order);
    mem_free(extent);
    mem_free(rank);
    mem_free(key);
    mem_free(next);
    return result;
}
