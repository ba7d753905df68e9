/* One SMTP session: its state, its buffers, what its parts share. */
#pragma once

#include "base/buf.h"
#include "net/smtp_command.h"
#include "mail/complete.h"
#include "net/smtp_data.h"
#include "wire/channel.h"
#include "wire/smtpd_policy.h"
#include "wire/tell.h"

#define SESSION_LINE_MAX \
	3072 /* octets of a command line, CRLF included (RFC 5321 4.5.3.1.4 asks for 512 and extensions; AUTH for more) */
#define SESSION_INPUT 4096
#define SESSION_OUTPUT 4096
#define SESSION_CHUNK 32768 /* octets of content read at a time */

/* What may be said now: a set, so that the table of verbs can name several. */
enum session_state {
	STATE_CONNECTED = 1 << 0,    /* no HELO yet */
	STATE_READY = 1 << 1,        /* HELO, no transaction */
	STATE_MAIL = 1 << 2,         /* MAIL accepted */
	STATE_RCPT = 1 << 3,         /* at least one RCPT accepted */
	STATE_BDAT = 1 << 4,         /* between two chunks */
	STATE_BDAT_REFUSED = 1 << 5, /* a chunk was refused: only RSET, EHLO, MAIL's reset help (RFC 3030 2) */
};

struct session {
	const char *conn; /* id of the connection, for the log */
	int fd;           /* the peer */
	struct channel policy;
	struct sp_welcome may; /* limits and switches */
	char host[256];        /* our name */
	uint64_t ends_at;      /* clock_ms */
	enum session_state state;
	bool extended, over;
	bool bounds_files; /* the largest message bounds every file: the log is none */
	bool secure;       /* fd is the plaintext of a TLS session */
	bool authenticated;
	bool in_login; /* AUTH has begun and not ended */
	bool utf8;     /* this transaction was begun with SMTPUTF8 */
	uint8_t helo_len;
	uint8_t helo[SP_HELO_MAX];
	uint32_t n_errors, n_recipients, n_messages, n_unknown;
	struct tell tell;
	struct bytes line; /* the command that is obeyed now, for the log; nothing if it may have a password in it */
	/* MAIL, kept for the first RCPT */
	struct sp_mail mail;
	uint16_t reverse_len, envid_len;
	uint8_t reverse[SP_PATH_MAX], envid[SP_ENVID_MAX];
	/* content in progress */
	int content_fd; /* -1: none */
	uint64_t content_octets, content_max, content_read;
	uint32_t content_sum;
	uint64_t keep_free, looked_at; /* of the disk; how much was written when it was looked at */
	struct smtp_data data;
	struct smtp_hops hops;
	struct complete complete; /* SP_SUBMISSION */
	char message_id[64];
	bool too_large, write_failed;
	/* buffers */
	size_t in_at, in_len;
	uint8_t in[SESSION_CHUNK]; /* commands use the first SESSION_INPUT: pages never touched cost nothing */
	struct buf out;
	uint8_t out_octets[SESSION_OUTPUT];
};

/* Serves the connection until its end. *s is all zero, but for bounds_files: pages of its buffers that nothing touches then cost nothing. Both
 * descriptors are the session's and are closed. */
void session_run(struct session *s, int fd, int policy_fd, const char *conn);

/* ---- input and output (session_io.c) ---- */

/* Reads more into `in` (which has room), after having sent what waits in `out`. False: the session is over (end of
 * file, time is up, error); a 421 has been sent where that makes sense. */
bool session_fill(struct session *s);
void session_flush(struct session *s);

/* The next 1 to max octets of content, wherever lines end; *piece shows `in` until the next call. False as above. */
bool session_read(struct session *s, size_t max, struct bytes *piece);
void session_unread(struct session *s, size_t n); /* the last n of them were not content */

enum line_result { LINE_OK, LINE_TOO_LONG, LINE_BAD /* bare CR, bare LF or NUL in it */, LINE_END };

/* The next command line, without CRLF; *line shows `in` until the next call. */
enum line_result session_line(struct session *s, struct bytes *line);

/* Gives a reply: code, enhanced code (class from the code), text. A code of 5xx counts as an error; policy is told of one of
 * 4xx or 5xx, for the log. */
void session_reply(struct session *s, unsigned code, unsigned subject, unsigned detail, const char *text);
void session_tell(struct session *s, unsigned code, const char *text); /* what was refused; code 0: without a reply */
void session_reply_fault(struct session *s, const struct smtp_fault *fault);
void session_add(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- questions to policy (session_ask.c) ---- */

/* Whether policy's code and text make one line of a reply: 200 to 599, printable ASCII (RFC 5321 4.2). */
bool session_may_say(unsigned code, struct bytes text);

/* Sends a request and waits for the answer, which is given as the reply. *accepted: it was 2xx. False: policy is gone,
 * the session is over and 421 was said. */
bool session_ask(struct session *s, uint16_t type, const void *body, struct bytes tail, bool *accepted);

/* The same for SP_DATA: if content may be sent, s->content_fd is set and nothing is replied. */
bool session_ask_content(struct session *s, bool *accepted);

/* Has policy hand the connection to an engine, and goes on with the plaintext that comes back, as if nothing had been said before; first,
 * if `ready` is not null, that is the last that is said in the clear. False: it was refused, with the reply, or the session
 * is over. */
bool session_secure(struct session *s, const char *ready);
void session_reset(struct session *s); /* forgets the transaction, here and in policy */

/* The same for SP_AUTH and SP_SASL: a challenge is given as 334, and *more is true. */
bool session_ask_sasl(struct session *s, uint16_t type, const void *body, struct bytes tail, bool *more);
void session_cancel_sasl(struct session *s); /* without a reply */

/* ---- AUTH (session_auth.c) ---- */
void session_auth(struct session *s, struct bytes argument);
void session_offer_auth(struct session *s); /* a line of EHLO's reply, if there is anything to offer */

/* ---- STARTTLS (session_tls.c) ---- */
void session_starttls(struct session *s, struct bytes argument);

/* ---- content (session_content.c) ---- */
void session_data(struct session *s, struct bytes argument);
void session_bdat(struct session *s, struct bytes argument);
void session_drop_content(struct session *s);
