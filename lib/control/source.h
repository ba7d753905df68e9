/* Control directories as text: read by warden and by `postern check`, checked, and sealed for one process at a time.
 *
 * An item is looked for in ETC/SERVICE/ITEM, then in ETC/ITEM. Lines: blanks at the end are cut; empty lines and lines
 * that begin with # do not count. */
#pragma once

#include "base/buf.h"
#include "control/schema.h"

struct control_complaint {
	enum severity severity; /* SEVERITY_ERROR: the directory is refused; SEVERITY_WARNING: it would surprise */
	const char *file;       /* with its directory */
	unsigned line;          /* 0: the file as a whole */
	const char *text;       /* "expected a number from 1 to 9" */
};
typedef void control_complain(void *ctx, const struct control_complaint *what);

struct control_from {
	const char *etc;            /* "/etc/postern"; must stay as long as the source */
	const char *service;        /* "smtpd" */
	unsigned readers;           /* enum control_reader: of the processes whose items are wanted */
	control_complain *complain; /* null: only the first error is kept, in why */
	void *ctx;
};

struct seen { /* keys, by their hash */
	uint64_t *slots;
	size_t n, size;
};

struct control_data {
	struct buf value; /* in the sealed form */
	struct buf table; /* records: 4 octets of key length, 4 of data length, key, data */
	struct seen seen; /* keys of the table */
	bool refused;     /* something in it was not what was expected */
};

struct control_source {
	struct control_from from;
	int etc_fd, service_fd;
	struct control_data items[N_CONTROL_ITEMS];
	uint8_t n_recipient_tables, n_recipient_programs;
	struct seen told; /* names that a warning was about */
	struct seen read; /* files that items named */
	unsigned n_errors, n_warnings;
	struct why first; /* "FILE:LINE: text" of the first error */
};

/* Reads and checks everything. OK; MALFORMED: complaints were made, and why has the first one; ABSENT: there is no such
 * service directory; EXHAUSTED, BROKEN. To be ended with control_forget in every case. */
enum result control_read(struct control_source *s, const struct control_from *from, struct why *why);
void control_forget(struct control_source *s);

/* The number that an item has, its default included; 0 if none of the readers needs it. */
uint64_t control_source_number(const struct control_source *s, enum control_item item);

/* Whether some item names what authrun runs or asks. */
bool control_wants_programs(const struct control_source *s);

/* The configuration of one process, as control_open takes it: a sealed memory file, open for reading only; *fd is the
 * caller's, close-on-exec. */
enum result control_seal(const struct control_source *s, const char *process, int *fd, struct why *why);
