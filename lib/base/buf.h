/* Buffers for what is built: a mandatory maximum, and a failure that sticks, so that a chain of appends is
 * checked once at its end. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <stdarg.h>

struct buf {
	uint8_t *at;
	size_t len;
	size_t size; /* what `at` has room for */
	size_t max;  /* it never grows past this */
	bool fixed;  /* `at` belongs to the caller and never moves */
	bool failed; /* something did not fit or memory ran out; what is there is a prefix of what was asked for */
};

/* Over the caller's memory; never allocates. */
struct buf buf_over(void *at, size_t size);
#define BUF_OVER(array) buf_over((array), sizeof(array))

/* Growing by malloc up to max octets; end it with buf_free. */
struct buf buf_growing(size_t max);
void buf_free(struct buf *b);

void buf_clear(struct buf *b); /* empty and not failed; keeps its memory */
void buf_add(struct buf *b, struct bytes what);
void buf_add_string(struct buf *b, const char *s);
void buf_add_octet(struct buf *b, uint8_t c);
void buf_add_number(struct buf *b, uint64_t n); /* decimal */
void buf_format(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vformat(struct buf *b, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));

/* Room for n octets behind the end, to be filled by the caller, who then adds n to len; null (and failed) if there
 * is none. */
uint8_t *buf_room(struct buf *b, size_t n);

struct bytes buf_bytes(const struct buf *b);

/* As a C string; the terminating zero is not counted in len. Null if failed or no room for it. */
const char *buf_string(struct buf *b);

enum result buf_result(const struct buf *b); /* OK, or EXHAUSTED if anything failed */
