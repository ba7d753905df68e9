/* The table of users as a sealed memory file: which processes of users may be started, and for which local parts. Made by
 * warden (control/users_build.h), which hands the same one to all processes of a service that look into it; `lspawn` starts
 * nothing but what is a row of it.
 *
 * One cdb. Keys: ! and a local part in lower case, with a zero behind it if it is a whole one and none if it is a prefix;
 * USERS_VIRTUAL; USERS_FILES and what is behind `.qmail-` in a file's name: who gets what no other user does has that file; USERS_FILES
 * alone: that user's home, all whose files are named; USERS_WILDCARDS: the set of last octets of all prefixes; USERS_MISSING: homes that accounts lack.
 * Value of a row: user, uid, gid, home, dash, extension, refusal (a number); a zero behind each. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "control/user_rule.h"

#include <cdb.h>

#define USERS_HEAD "#"
#define USERS_VERSION "PnU1"
#define USERS_WILDCARDS ""
#define USERS_VIRTUAL "@"
#define USERS_MISSING "?"
#define USERS_FILES "~"

#define USERS_ROW_MAX 2560 /* octets of a row's value */

struct users_table {
	struct cdb db;
	bool is_open;
};

struct user_row {
	uint32_t uid, gid;
	enum user_refusal refusal; /* why nothing is done as this user now */
	struct bytes name, home, dash, extension;
};

/* Maps the descriptor, which stays the caller's and may be closed. MALFORMED: it is no table of this version; BROKEN. */
enum result users_table_open(struct users_table *t, int fd, struct why *why);
void users_table_close(struct users_table *t);

/* OK; ABSENT; BROKEN: the table can't be read, nothing may be concluded. What is found lives as long as the table is open. */
enum result users_table_find(const struct users_table *t, struct bytes key, struct bytes *value);

/* A row out of its value; false if it is none. */
bool users_row_take(struct bytes value, struct user_row *row);

/* The next of the homes in USERS_MISSING, and the uid of who should have it. */
bool users_next_missing(struct bytes *homes, uint32_t *uid, struct bytes *home);
