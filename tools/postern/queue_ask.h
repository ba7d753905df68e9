/* Asking `queue` through its door: one request at a time. */
#pragma once

#include "wire/channel.h"
#include "wire/queue_control.h"

enum result queue_connect(const char *run, struct channel *c, struct why *why);

/* The next answer. AGAIN, with what to look at in why, if none comes for some seconds. */
enum result queue_hear(struct channel *c, struct wire_buffer *buffer, struct wire_message *m, struct why *why);

/* What a QC_END says: its result, with the reason in why. */
enum result queue_end(const struct wire_message *m, struct why *why);

/* The file of a message, read-only; the caller's. ABSENT: there is no such message. MALFORMED: `id` is none. */
enum result queue_file(struct channel *c, const char *id, int *fd, struct why *why);
