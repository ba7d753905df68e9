/* A POP3 session in the TRANSACTION and UPDATE states (RFC 1939 5, 6). */
#pragma once

#include "mail/maildir_view.h"
#include "net/pop3_io.h"
#include "net/pop3_text.h"
#include "wire/policy_pop3box.h"

#define BOX_PIECE 32768u /* octets of a message read at a time */
#define BOX_OUTPUT (POP3_TEXT_ROOM(BOX_PIECE) + 4096)

struct box {
	struct pop3_io io;
	struct maildir_view view;
	struct pb_session may; /* limits and switches */
	struct bytes user;
	bool quit;
	uint32_t last; /* highest message that was retrieved, counted from 1; LAST */
	uint32_t n_errors, n_retrieved, n_deleted;
	uint64_t octets; /* of messages, sent */
	/* buffers: pages never touched cost nothing */
	uint8_t piece[BOX_PIECE];
	uint8_t out[BOX_OUTPUT];
};

/* Serves the session that PB_SESSION begins, until its end; takes m's descriptors. *b is all zero. away: why the Maildir
 * can't be used; then the client is told so, and the session ends; empty: it can. OK however it ended; MALFORMED: that is
 * no session. */
enum result session_run(struct box *b, struct wire_message *m, const struct why *away, struct why *why);

/* ---- what else the parts of it share ---- */

void box_refuse(struct box *b, const char *text); /* -ERR, counted */

/* Whether message i is to be shown: neither marked as deleted nor gone. */
bool box_shows(const struct box *b, uint32_t i);

/* ---- lists (lists.c) and messages (messages.c): one command each ---- */
void box_stat(struct box *b, struct bytes argument);
void box_list(struct box *b, struct bytes argument);
void box_uidl(struct box *b, struct bytes argument);
void box_retr(struct box *b, struct bytes argument);
void box_top(struct box *b, struct bytes argument);

/* Takes a message's number, which is shown; *i counts from 0. False: the refusal was said. */
bool box_take_message(struct box *b, struct bytes *argument, uint32_t *i);
