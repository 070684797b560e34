/* The path that nearly every allocation takes, in one piece.
 *
 * tracer_add does the right thing for every block.  tracer_add_fast does it for
 * the common one, without a call: one frame is wanted, the gate is biased, the
 * newest frame runs Python code from a call site in the cache, and the page
 * has an empty slot of the right width.  It gives up before it has changed
 * anything.  About 100 instructions to record a block and 60 to forget it, the
 * hooks included: less than half of what the general path takes. */
#ifndef MEMSCOPE_FAST_H
#define MEMSCOPE_FAST_H

#include "base/frame_layout.h"
#include "trace/tracer.h"

#if defined(__GNUC__)
#  define LIKELY(condition) __builtin_expect(!!(condition), 1)
#  define FAST static inline __attribute__((always_inline))
#else
#  define LIKELY(condition) (condition)
#  define FAST static inline
#endif

/* pymalloc passes larger requests on to the RAW domain. */
#define SMALL_REQUEST 512

/* Bits that no ordinary address has: not a multiple of 16, or beyond the
 * reach of the shadow's table. */
#define ODD_ADDRESS (~(((uint64_t)1 << 48) - 1) | 8)

FAST struct shadow_leaf *
fast_leaf(const struct shadow *shadow, uintptr_t address)
{
    return shadow->top[address >> (SHADOW_PAGE_BITS + SHADOW_LEAF_BITS)];
}

FAST struct shadow_page *
fast_page(const struct shadow *shadow, uintptr_t address)
{
    struct shadow_leaf *leaf = fast_leaf(shadow, address);
    return LIKELY(leaf != NULL) ? &leaf->pages[shadow_in_leaf(address)] : NULL;
}

/* As shadow_note_epoch, of the current epoch. */
FAST void
fast_note_epoch(struct shadow_leaf *leaf, uintptr_t address, unsigned epoch)
{
    size_t at = shadow_in_leaf(address);
    leaf->pages[at].newest = (uint8_t)epoch;
    leaf->newest[at >> SHADOW_REGION_BITS] = (uint8_t)epoch;
}

/* What the cache knows of the newest frame, or CALLSITE_SKIP. */
FAST uint32_t
fast_capture(const struct traces *traces, PyThreadState *thread)
{
    const struct frame *frame = newest_frame(thread);
    if (!LIKELY(frame != NULL && is_python(frame))) {
        return CALLSITE_SKIP;
    }
    uint64_t entry = *newest_at(&traces->newest, frame->instruction);
    return LIKELY(entry >> 32 == frame->instruction >> (NEWEST_BITS + 1)) ? (uint32_t)entry
                                                                          : CALLSITE_SKIP;
}

/* As shadow_page_fits.  Slots are 16 bytes wide at least where it matters, so a
 * block of no size does not fit and goes the general way. */
FAST int
fast_fits(const struct shadow_page *page, size_t size)
{
    size_t widths = (size + 15) >> page->shift;
    return LIKELY(page->live != 0) ? widths != 0 : widths == 1;
}

FAST int
fast_put(struct traces *traces, PyThreadState *thread, unsigned domain, uintptr_t address,
         size_t size)
{
    struct realm *realm = &traces->gil;
    uint32_t traceback = fast_capture(traces, thread);
    struct shadow_leaf *leaf = fast_leaf(&realm->shadow, address);
    if (!LIKELY(traceback != CALLSITE_SKIP && leaf != NULL)) {
        return 0;
    }
    struct shadow_page *page = &leaf->pages[shadow_in_leaf(address)];
    if (!LIKELY(fast_fits(page, size))) {
        return 0;
    }
    uint64_t place = address & (SHADOW_PAGE - 1);
    uint64_t *slot = &page->slots[place >> page->shift];
    if (!LIKELY(*slot == 0)) {
        return 0;
    }
    uint64_t epoch = atomic_load_explicit(&traces->epoch_bits, memory_order_relaxed);
    *slot = shadow_word_packed(traceback, domain, epoch, place, size);
    fast_note_epoch(leaf, address, shadow_word_epoch(epoch));
    page->live++;
    realm_add_bytes(traces, realm, address, size);
    return 1;
}

/* Records the block as tracer_add does, or does nothing and returns 0. */
FAST int
tracer_add_fast(unsigned domain, uintptr_t address, size_t size)
{
    PyThreadState *thread = pycompat_borrow_attached();
    if (!LIKELY(tracer.newest_only && size < SHADOW_LARGE && thread != NULL
                && (address & ODD_ADDRESS) == 0)) {
        return 0;
    }
#if PY_VERSION_HEX >= 0x030C0000
    if (thread->interp != tracer.main) {
        return 0;
    }
#endif
    if (!LIKELY(tracer_enter_biased())) {
        return 0;
    }
    /* The caller saw the tracer on.  Who could have turned it off since, without
     * this thread's GIL, would have made the gate shared. */
    int done = fast_put(&tracer.traces, thread, domain, address, size);
    tracer_leave(1);
    return done;
}

/* Forgets the block as realm_take does, or sees that there is none to forget; 0:
 * it has done nothing, because the block is not small or holds code. */
FAST int
fast_take(struct traces *traces, uintptr_t address)
{
    struct realm *realm = &traces->gil;
    struct shadow_page *page = fast_page(&realm->shadow, address);
    if (!LIKELY(page != NULL && page->live != 0)) {
        return 1;
    }
    uint64_t *slot = &page->slots[(address & (SHADOW_PAGE - 1)) >> page->shift];
    uint64_t word = *slot;
    if (!LIKELY(word != 0 && shadow_word_is_at(word, address))) {
        return 1;
    }
    size_t size = shadow_word_size(word);
    if (!LIKELY(size <= SMALL_REQUEST && !(word & SHADOW_WATCHED))) {
        return 0;
    }
    *slot = 0;
    page->live--;
    uint64_t bytes = atomic_load_explicit(&realm->bytes, memory_order_relaxed) - size;
    atomic_store_explicit(&realm->bytes, bytes, memory_order_relaxed);
    return 1;
}

FAST int
tracer_take_fast(uintptr_t address)
{
    int done = 0;
    if (LIKELY((address & ODD_ADDRESS) == 0 && tracer_enter_biased())) {
        done = fast_take(&tracer.traces, address);
        tracer_leave(1);
    }
    return done;
}

/* As tracer_reuse, or does nothing and returns 0. */
FAST int
tracer_reuse_fast(uintptr_t address)
{
    PyThreadState *thread = pycompat_borrow_attached();
    if (!LIKELY(tracer.newest_only && thread != NULL && (address & ODD_ADDRESS) == 0)) {
        return 0;
    }
#if PY_VERSION_HEX >= 0x030C0000
    if (thread->interp != tracer.main) {
        return 0;
    }
#endif
    if (!LIKELY(tracer_enter_biased())) {
        return 0;
    }
    struct traces *traces = &tracer.traces;
    int done = 1;
    if (address == traces->gil.newest) {
        traces->gil.newest = 0;
    }
    else {
        struct shadow_page *page = fast_page(&traces->gil.shadow, address);
        if (page != NULL && page->live != 0) {
            uint64_t *slot = &page->slots[(address & (SHADOW_PAGE - 1)) >> page->shift];
            uint32_t traceback = fast_capture(traces, thread);
            int known = shadow_word_traceback(*slot) != 0 && shadow_word_is_at(*slot, address);
            done = !known || traceback != CALLSITE_SKIP;
            if (known && done) {
                uint64_t epoch = atomic_load_explicit(&traces->epoch_bits, memory_order_relaxed);
                *slot = shadow_word_rebirth(*slot, traceback, epoch);
                struct shadow_leaf *leaf = fast_leaf(&traces->gil.shadow, address);
                fast_note_epoch(leaf, address, shadow_word_epoch(epoch));
            }
        }
    }
    tracer_leave(1);
    return done;
}

#endif
