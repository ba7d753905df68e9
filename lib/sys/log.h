/* The log: standard error, one event a line, key=value. A line is written by one write, so that lines of several
 * processes do not mix, and is cut at LOG_LINE_MAX. Values with blanks, quotes or `=` are quoted; control octets and
 * invalid UTF-8 are escaped as \xNN, so nothing from outside can forge a line or drive a terminal. Logging never waits
 * (sys/log_out.h): lines that the log does not take are dropped; the next one that it takes follows event=log-dropped with
 * their number.
 *
 *	struct log_line l;
 *
 *	log_begin(&l, SEVERITY_INFO, "accept");
 *	log_text(&l, "conn", conn);
 *	log_end(&l);
 */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#define LOG_LINE_MAX 1024
#define LOG_GATHER_MAX 4096 /* PIPE_BUF: such a write is not mixed with others' */

struct log_line {
	struct buf buf;
	uint8_t octets[LOG_LINE_MAX];
};

/* Says under which name this process logs ("policy", service "smtpd"); kept, not copied. Call once at start. */
void log_open(const char *process, const char *service);

void log_begin(struct log_line *l, enum severity severity, const char *event);
void log_text(struct log_line *l, const char *key, const char *value); /* nothing if value is null */
void log_bytes(struct log_line *l, const char *key, struct bytes value);
void log_number(struct log_line *l, const char *key, uint64_t value);
void log_end(struct log_line *l);

/* From now on lines are gathered, and written together by log_flush, or when there is no room for more: for a process with
 * an event loop, which flushes before it waits. Not for one that forks. */
void log_gather(void);
void log_flush(void);

/* For what has only a reason: event, result and why; a warning or error by the meaning of r. */
void log_why(const char *event, enum result r, const struct why *why);

/* One event with one more key. */
void log_simple(enum severity severity, const char *event, const char *key, const char *value);
