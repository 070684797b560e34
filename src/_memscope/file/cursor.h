/* Going through a chunk: numbers within bounds, and a sentence when one is not.
 *
 * Everything that returns int gives 0, or -1 and the sentence in *error. */
#ifndef MEMSCOPE_CURSOR_H
#define MEMSCOPE_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/reader.h"
#include "file/chunks.h"

struct cursor {
    const struct chunks *chunks;    /* borrowed, as is `error`: set by the user */
    struct chunks_error *error;
    const char *id;                 /* of the chunk open now */
    struct reader reader;           /* its contents */
};

/* Goes to the start of a chunk, which must be there; cursor_close says that it
 * must have ended. */
int cursor_open(struct cursor *self, const char *id);
int cursor_close(struct cursor *self);

/* Whether all could be read so far. */
int cursor_check(struct cursor *self);

/* A varint from `lowest` to `highest`, called `what` in the sentence. */
int cursor_number(struct cursor *self, const char *what, uint64_t lowest, uint64_t highest,
                  uint64_t *number);

/* A varint that says how many items follow, of at least `bytes` each: not more
 * than the chunk has left, so that nobody asks for memory he has not paid for.
 * Below UINT32_MAX. */
int cursor_count(struct cursor *self, const char *what, size_t bytes, uint64_t *count);

/* A string that nobody reads. */
int cursor_skip_string(struct cursor *self);

/* Whether the chunk has room for `count` items of at least one byte each, the rest of it:
 * `whose` says who says that there are so many. */
int cursor_check_column(struct cursor *self, uint64_t count, const char *whose);

/* Where in the file the next byte is. */
size_t cursor_offset(const struct cursor *self);

/* The sentence that begins with the chunk's name; a printf format. */
#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
int cursor_fail(struct cursor *self, const char *format, ...);

/* The sentence for a number just read. */
int cursor_fail_number(struct cursor *self, const char *what, uint64_t found, uint64_t lowest,
                       uint64_t highest);

#endif
