/* Lines in, replies out: what both halves of a POP3 session need. One connection a process; the descriptor blocks, with
 * the time limits that its owner has set on it. */
#pragma once

#include "base/buf.h"

#define POP3_INPUT 4096

struct pop3_io {
	int fd;
	bool over;        /* nothing more can be read or written */
	bool late;        /* because nothing came in time */
	uint64_t ends_at; /* clock_ms; 0: no limit */
	size_t in_at, in_len;
	uint8_t in[POP3_INPUT];
	struct buf out; /* over the owner's memory; full: it is sent */
};

enum pop3_line {
	POP3_LINE_OK,
	POP3_LINE_TOO_LONG, /* it was read to its end and thrown away */
	POP3_LINE_BAD,      /* a CR or NUL within it */
	POP3_LINE_END,      /* the session is over */
};

/* The next line without its end (CRLF, or LF alone: many type that), of at most max octets with it, max no more than
 * POP3_INPUT; *line shows `in` until the next call. What waits in `out` is sent before it waits. */
enum pop3_line pop3_io_line(struct pop3_io *io, size_t max, struct bytes *line);

/* What was read and not yet asked for. */
struct bytes pop3_io_rest(const struct pop3_io *io);

/* Puts octets that somebody else has read where they will be read next. False: no room. */
bool pop3_io_prepend(struct pop3_io *io, struct bytes what);

void pop3_io_add(struct pop3_io *io, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pop3_io_add_bytes(struct pop3_io *io, struct bytes what); /* of any length */
void pop3_io_flush(struct pop3_io *io);

/* Sets the longest wait for the peer, in both directions. */
void pop3_io_patience(const struct pop3_io *io, uint32_t seconds);
