/* What the parts of a session of `remote` share. One session a process; it is sequential. */
#pragma once

#include "net/hosts.h"
#include "net/smtp_reply.h"
#include "remote/dial.h"
#include "remote/secure.h"
#include "remote/talk.h"
#include "wire/channel.h"
#include "wire/send_remote.h"

#define MINUTES(n) ((n)*UINT64_C(60000))
#define DIALS_MAX 24             /* addresses connected to for one connection that serves */
#define GREETINGS_MS MINUTES(20) /* for all peers that are tried until one serves, connecting not counted */
#define MESSAGE_MS MINUTES(30)   /* for one message, beyond what its size and its recipients take */
#define RECIPIENT_MS 30000       /* for each recipient more */
#define OCTET_MS 1               /* for each octet: a peer that takes less than 1,000 a second is given up */
#define CALM_MS 5000             /* for a QUIT and its answer */

/* What became of something, and how to say so. */
struct outcome {
	uint8_t what; /* enum rm_outcome */
	uint16_t enhanced[3];
	uint8_t scope; /* enum rm_scope */
	bool duplicate;
	bool from_peer; /* the text is a reply */
	char text[SMTP_REPLY_TEXT_MAX + 1];
};

/* Fills *o; the text is cut to its room. Returns whether it is RM_DELIVERED. */
bool outcome_set(struct outcome *o, enum rm_outcome what, enum rm_scope scope, unsigned subject, unsigned detail,
    const char *format, ...) __attribute__((format(printf, 6, 7)));

/* From a reply of 4xx or 5xx; the status is the reply's own, or this one. */
void outcome_of_reply(
    struct outcome *o, const struct smtp_reply *r, enum rm_scope scope, unsigned subject, unsigned detail);

/* Where to, as send said; the views show `room`. */
struct order {
	struct rm_peer peer;
	struct bytes destination, relay, helo, local_address, ca, ciphers, certificate, own_names;
	uint8_t room[6144];
};

/* The connection that serves. */
struct line {
	struct talk talk;
	struct smtp_offer offer;
	struct host *host; /* null: there is no connection */
	char address[HOST_ADDRESS_TEXT];
	bool secure, lost;
	bool needs_reset; /* a transaction was begun and not ended */
	struct secure_found found;
	char how[160];     /* how it is secured, or why not */
	uint32_t n_served; /* messages */
	uint32_t dns_ms, connect_ms, tls_ms;
};

struct recipient {
	struct bytes address, orcpt; /* in `recipients` */
	uint8_t notify;
	struct outcome *refused; /* null: accepted, or not asked yet */
};

struct transaction {
	uint64_t ref;
	struct rm_message message;
	int fd;
	struct bytes reverse, envid, trace; /* in `room` */
	struct recipient *to;
	uint32_t n_to; /* that came */
	struct buf recipients;
	uint8_t room[6144];
	/* what was said of it, and which replies came; those are in the order of the commands */
	bool reset_due, mail_said, mail_due, data_said;
	uint32_t n_said, n_heard, n_accepted; /* recipients */
	struct smtp_reply mail, data;
};

struct session {
	struct channel send;
	struct order order;
	struct questions questions;
	struct hosts hosts;
	struct line line;
	unsigned n_dials;
	bool gave_up;                           /* no other address is tried */
	uint64_t greetings_ms;                  /* that peers have taken until now before they served */
	struct transaction given[RM_IN_FLIGHT]; /* a ring: taken, not answered */
	unsigned first, n_given;
	struct wire_buffer buffer;
};

/* ---- session.c ---- */

/* Serves until send closes the channel (fd, taken over), then ends the process. */
__attribute__((noreturn)) void session_run(int fd, const char *conn);

/* Waits for send's answer (for as long as a handshake may take) to a question of this session; messages come later. OK; ABSENT: send has closed;
 * MALFORMED. Descriptors in *m are the caller's to close. */
enum result session_ask(struct session *s, uint16_t type, const void *body, struct bytes tail, const int *fds,
    struct wire_message *m, struct why *why);

/* Whether send has closed, so that nobody will hear what becomes of the messages. Does not wait. */
bool session_is_abandoned(const struct session *s);

/* Milliseconds for a state of the dialogue: RFC 5321 4.5.3.2's, but at most the configured ones. */
uint64_t session_limit(const struct session *s, uint64_t ms);

/* Whether the connection takes no message behind the one that is next or under way. */
bool line_is_used_up(const struct line *l);

/* ---- connect.c: to a host that serves ---- */

/* Tries hosts and addresses in turn until one has greeted us and is as secure as it must be. False: none, *o says why. */
bool line_open(struct session *s, struct outcome *o);
void line_close(struct session *s, bool politely);

/* ---- greet.c: what comes before a message ---- */

enum greeted {
	GREETED,
	NEXT_ADDRESS, /* with *o */
	WITHOUT_NAME, /* the same address once more, with TLS that asks for no server name */
	WITHOUT_TLS,  /* the same address once more, in plain text */
	GIVE_UP,      /* with *o: no other address would do better */
};
enum greet_way { GREET_NAMED, GREET_NAMELESS, GREET_PLAIN }; /* what is left to be tried with an address */
enum greeted line_greet(struct session *s, enum greet_way way, struct outcome *o);

/* ---- login.c ---- */
bool line_log_in(struct session *s, struct outcome *o);

/* ---- transaction.c ---- */

/* Begins one, of an RM_MESSAGE; takes its descriptor. MALFORMED, EXHAUSTED. */
enum result transaction_begin(struct transaction *t, struct wire_message *m, struct why *why);
/* Takes an RM_RECIPIENTS. MALFORMED: more than were announced, or not of its form. */
enum result transaction_add(struct transaction *t, const struct wire_message *m, struct why *why);
bool transaction_is_whole(const struct transaction *t);
void transaction_free(struct transaction *t); /* fine on one that is all zero but for fd = -1 */

/* ---- envelope.c: MAIL, RCPT, DATA ---- */

/* Whether the peer can take such a message at all. False: *o. */
bool envelope_is_fit(const struct session *s, const struct transaction *t, struct outcome *o);
/* Says the whole of a small one behind the content of the message before; its replies come after that one's. */
void envelope_say_ahead(struct session *s, struct transaction *t);
/* Says what is not said and hears all replies. True: content may follow, for those without `refused`. */
bool envelope_pass(struct session *s, struct transaction *t, struct outcome *o);

/* ---- deliver.c ---- */

/* Serves it over the open line and tells send; *next (null: none known yet) may be said along. */
void deliver(struct session *s, struct transaction *t, struct transaction *next);
void tell_done(struct session *s, const struct transaction *t, const struct outcome *o, uint32_t transfer_ms,
    enum rm_closing closing);

/* The connection failed before any of the content was said. False. */
bool line_lost(struct session *s, const struct why *why, struct outcome *o);

/* ---- content.c ---- */

/* Sends the message's trace and content, line ends repaired, dots doubled (DATA, with the final dot) or in chunks (BDAT);
 * the last of it may still wait in the buffer. *n_chunks: replies to be expected yet. REFUSED: a chunk was, with *refusal.
 * MALFORMED: the queue file can't be read. */
enum result content_send(struct session *s, const struct transaction *t, bool chunked, unsigned *n_chunks,
    struct smtp_reply *refusal, struct why *why);
