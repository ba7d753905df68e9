/* What a reader is shown of the Maildir in which the process stands: the messages that were there when it was opened, in the
 * order of their delivery. Others may deliver, move, mark and remove messages meanwhile: a message is known by the unique part
 * of its name, and looked for anew when it is not where it was. Nothing is removed that was not shown.
 *
 * Sizes are those of the message as sent (net/pop3_text.h). To find one the file must be read, so they are kept in the file
 * `postern-sizes` of the Maildir, by unique name: files of a Maildir do not change. */
#pragma once

#include "base/buf.h"

#define MAILDIR_VIEW_MAX 1000000 /* messages shown; the rest of a larger Maildir comes when these are gone */
#define MAILDIR_UID_MAX 70       /* octets of a unique id (RFC 1939 7) */
#define MAILDIR_UNMEASURED UINT64_MAX
#define MAILDIR_SIZES "postern-sizes"

enum maildir_place { MAILDIR_CUR, MAILDIR_NEW };

struct maildir_message {
	uint64_t at;          /* seconds since 1970, as its name says; 0 if it does not */
	uint64_t octets;      /* as sent, or MAILDIR_UNMEASURED */
	uint64_t file_octets; /* of the file when it was measured */
	size_t name_at;       /* in names */
	uint8_t name_len, unique_len;
	uint8_t place; /* enum maildir_place */
	bool gone;     /* it was looked for, and is not there any more */
	bool deleted;  /* for the session's use */
};

struct maildir_view {
	int top_fd, place_fd[2], tmp_fd;
	struct maildir_message *messages;
	uint32_t n, room;
	struct buf names; /* file names, each with a zero */
	bool loaded;      /* the file of sizes was read */
	bool measured;    /* sizes were found that are not in it */
};

/* Opens the Maildir and reads its names; cur, new and tmp are made if they are not there. REFUSED: one of them is no
 * directory, or a symbolic link; EXHAUSTED, BROKEN. */
enum result maildir_view_open(struct maildir_view *v, struct why *why);
void maildir_view_none(struct maildir_view *v); /* one that is not open, and may be closed */
void maildir_view_close(struct maildir_view *v);

struct bytes maildir_view_unique(const struct maildir_view *v, uint32_t i);

/* The id of message i: its unique name, or if that is none (RFC 1939: 1 to 70 octets of 0x21 to 0x7e) a hash of it. Room for
 * MAILDIR_UID_MAX octets. */
struct bytes maildir_view_uid(const struct maildir_view *v, uint32_t i, uint8_t room[MAILDIR_UID_MAX]);

/* Opens message i for reading; *fd is the caller's. ABSENT: somebody has removed it; REFUSED: not a file, or not
 * readable; EXHAUSTED, BROKEN. */
enum result maildir_view_read(struct maildir_view *v, uint32_t i, int *fd, struct why *why);

/* Removes message i, wherever it is now; OK also if somebody else has. */
enum result maildir_view_remove(struct maildir_view *v, uint32_t i, struct why *why);

/* Moves message i from new to cur: it has been shown. Nothing happens to one that is in cur or gone. */
enum result maildir_view_settle(struct maildir_view *v, uint32_t i, struct why *why);

/* ---- sizes (maildir_sizes.c) ---- */

/* Takes the sizes that are in the file, for all messages that are in both; once. A file that is missing or makes no sense
 * costs time, no more. */
void maildir_sizes_load(struct maildir_view *v);

/* The same from the file's content. */
void maildir_sizes_apply(struct maildir_view *v, struct bytes content);

/* Finds the size of message i if it is not known, not in the file either, or that of another file than there is now. fd: the
 * open message, or -1. As maildir_view_read. */
enum result maildir_sizes_measure(struct maildir_view *v, uint32_t i, int fd, struct why *why);

/* Writes the file anew if something was measured. What fails leaves the old one. */
void maildir_sizes_save(struct maildir_view *v);
