/* `.qmail` files (dot-qmail(5)): which file counts for an address, and what its lines say. Nothing here opens a file. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/result.h"

#include <stdbool.h>

#define DOTQMAIL_FILE_MAX (1u << 20) /* octets of a file */
#define DOTQMAIL_LINE_MAX 2000u      /* octets of an instruction */
#define DOTQMAIL_ITEMS_MAX 20000u    /* instructions of a file; as many recipients has a message at most */
#define DOTQMAIL_NAME_MAX 255u       /* octets of a file's name, as the kernel has it */

enum dotqmail_kind {
	DOTQMAIL_DEFAULT, /* the default delivery: an empty file */
	DOTQMAIL_MAILDIR, /* text: its path, without the slash at the end */
	DOTQMAIL_MBOX,    /* text: its path */
	DOTQMAIL_PROGRAM, /* text: for sh -c */
	DOTQMAIL_FORWARD, /* text: the address as it stands; may be empty, may be none */
	DOTQMAIL_ERROR,   /* text: why the delivery must wait, once it has come so far */
	DOTQMAIL_N_KINDS
};

struct dotqmail_item {
	enum dotqmail_kind kind;
	struct bytes text; /* shows the file, or a literal */
};
typedef enum result dotqmail_take(void *ctx, const struct dotqmail_item *item, struct why *why);

/* Calls take for each instruction of the file, in order, as qmail-local reads it: blanks at the end of a line are cut, `#` is a
 * comment, `+list` makes the rest forward-only (as does `executable`: the owner's x bit; then a file or program is a
 * DOTQMAIL_ERROR at its place). OK; EXHAUSTED: too many instructions, one that is too long, or a NUL in the file: then nothing of it
 * may be done, and `why` says so; or what take returned. */
enum result dotqmail_parse(struct bytes text, bool executable, dotqmail_take *take, void *ctx, struct why *why);

/* The names to look for, the first that is there counts: `.qmail` dash extension; then each prefix of the extension that is
 * empty or ends in `-`, longest first, with `default` behind it. */
struct dotqmail_search {
	struct bytes dash, extension; /* as in the envelope */
	size_t n;                     /* of the extension, in the next name with `default` */
	bool begun;
};

/* Puts the next name into `name` (cleared before): the extension in lower case, its dots as colons. *rest is what DEFAULT is
 * to be: what the name has `default` for, as it came; at null: nothing. False: there are no more. A name that is too long for a file
 * makes name->failed true. */
bool dotqmail_next(struct dotqmail_search *s, struct buf *name, struct bytes *rest);

/* Adds `.qmail` dash extension, and `more` behind it, as above. */
void dotqmail_name(struct buf *name, struct bytes dash, struct bytes extension, const char *more);
