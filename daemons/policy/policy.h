/* The state of `policy`: its sessions, its conversations. */
#pragma once

#include "policy/client.h"
#include "policy/dnslists.h"
#include "policy/spf.h"
#include "policy/envelope.h"
#include "policy/login.h"
#include "policy/programs.h"
#include "policy/reply.h"
#include "policy/starttls.h"
#include "policy/usage.h"
#include "net/users_follow.h"
#include "sys/log.h"
#include "wire/policy_queue.h"
#include "wire/door.h"
#include "wire/port.h"

/* What a session is about to do. */
enum stage {
	STAGE_IDLE,       /* no transaction */
	STAGE_CHECKING,   /* a recipient is looked into; the session waits */
	STAGE_ENVELOPE,   /* a recipient was accepted */
	STAGE_OPENING,    /* queue was asked for a descriptor; the session waits */
	STAGE_WRITING,    /* the session has the descriptor */
	STAGE_COMMITTING, /* queue was asked to keep the message; the session waits */
};

/* A recipient while it is looked into. */
struct pending {
	bool first; /* brought MAIL along */
	uint8_t notify;
	uint16_t path_len, orcpt_len;
	uint8_t path[SP_PATH_MAX], orcpt[SP_ORCPT_MAX];
};

/* What was refused to a session, for the log. */
struct refusals {
	uint32_t n;        /* in all */
	uint32_t n_logged; /* lines about what was decided here */
	uint32_t n_told;   /* SP_TELL of the front end */
	uint16_t code;     /* of the last; 0: it had none */
	uint8_t why_len;
	uint8_t why[SP_TELL_TEXT_MAX];
};

struct session {
	struct port port;
	bool used;
	bool abandoned; /* the front end is gone; only queue's answer to a commit is waited for */
	bool lost;      /* queue forgot the transaction (it was replaced) */
	enum stage stage;
	uint16_t turn; /* of the transaction: tells late answers from those that are waited for */
	uint32_t next_free;
	uint64_t began_ms, waits_since_ms;
	uint32_t n_accepted;
	struct refusals refusals;
	uint8_t helo_len;
	uint8_t helo[SP_HELO_MAX]; /* the last name that was said, for the log */
	struct client client;
	struct envelope envelope;
	struct session_tls tls;
	struct session_login login;
	int connection; /* for an engine or a pop3box, and never read here; the plain text of POP3 within TLS; -1: not needed */
	bool naming; /* waits for its peer's name; nothing was said to it yet */
	uint8_t host_len;
	uint8_t host[255];
	struct listings listings;
	struct spf_state spf;
	struct pending pending;
	uint64_t asked_since_ms;
	uint64_t awaited;    /* questions to resolve, a bit each (names.h) */
	uint16_t ask_turn;   /* tells late answers from those that are waited for */
	uint16_t unanswered; /* questions of this slot, of sessions before this one, too */
	uint16_t open_turns; /* turns since there were none of them */
	struct timer tarpit; /* runs while a recipient is held back */
	struct trial trial;
	bool program_asked;
	uint16_t program_turn;   /* tells late answers from those that are waited for */
	uint32_t n_asked, n_bad; /* recipients of the session, and how many were refused */
};

/* The conversation with queue: opened when first needed, and anew after it broke. */
struct queue_line {
	struct port port;
	int doorway;
	uint64_t room;      /* octets that it has room for, as it said last; UINT64_MAX: it has not */
	uint64_t looked_ms; /* when it was asked for that */
};

/* The conversation with resolve, if that service runs. */
struct name_line {
	struct port port;
	bool wanted;      /* there is a doorway */
	bool peers;       /* the item peernames */
	uint32_t n_asked; /* and not answered */
};

#define POLICY_ENDED_MAX 64

/* References to queue and authrun: 15 bits of a turn, which tells late answers from those that are waited for, and the slot. */
#define SLOT_BITS 17
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
static_assert((1u << SLOT_BITS) > 100000, "more sessions than references: see concurrencyincoming in schema.def");

struct policy {
	struct loop loop;
	struct port listen;
	struct users_follower users;
	struct queue_line queue;
	struct tls_lines tls;
	struct name_line names;
	struct dnslists dnslists;
	struct auth_line auth;
	struct program_line programs;
	struct settings settings;
	struct usage usage;       /* of users who have authenticated */
	struct session *sessions; /* settings.max_sessions of them; made once */
	uint32_t n_sessions, free_session;
	uint32_t n_used; /* of the slots, ever */
	struct timer sweep, tell;
	uint32_t ended[POLICY_ENDED_MAX]; /* slots of listen's, still to be told */
	uint32_t n_ended;
	bool retired; /* listen is gone: end with the last session */
	enum result end;
};

/* Runs until listen is gone and the last session has ended: OK. Else why it can't go on. */
enum result policy_run(struct policy *p, const struct settings *s, struct why *why);

/* sessions.c */
enum result sessions_open(struct policy *p, struct why *why);
enum result sessions_from_listen(struct port *port, struct wire_message *m, struct why *why);
void sessions_tell_ended(struct policy *p);
void session_answer(struct policy *p, struct session *s, const struct reply *r);
void session_after_commit(struct policy *p, struct session *s, const struct reply *r, const char *id);
void session_end(struct policy *p, struct session *s);
void session_lost(struct policy *p, struct session *s, const char *from, enum result r, const struct why *why);

void session_named(struct policy *p, struct session *s, struct bytes host, enum host_known known);

/* Answers a recipient or what else was asked; a refusal is logged. */
void session_decide(struct policy *p, struct session *s, const struct reply *r, struct bytes recipient);

/* session_log.c */
void session_log(struct log_line *l, const struct session *s); /* which connection */
void session_log_refusal(struct session *s, const struct reply *r, struct bytes recipient);
void session_log_denied(struct session *s, enum result met);
void session_log_accept(const struct session *s, const char *id);
void session_log_end(const struct session *s, uint64_t now_ms, uint32_t n_sessions);
void session_heard_helo(struct session *s, struct bytes name);
enum result session_told(struct session *s, const struct wire_message *m, struct why *why); /* SP_TELL */

/* welcome.c */
enum result session_welcome(const struct policy *p, struct session *s, enum result met, struct why *why);

/* transaction.c: the part of a session that queue has. */
void transaction_open(struct policy *p, struct session *s);
void transaction_commit(struct policy *p, struct session *s, const struct sp_commit *said);
void transaction_abort(struct policy *p, struct session *s);
void transactions_look(struct policy *p);  /* asks queue how much room it has, now and then */
void transactions_sweep(struct policy *p); /* ends what queue has left unanswered too long */
extern const struct port_events queue_events;

static inline struct policy *
policy_of_loop(struct loop *loop)
{
	return container_of(loop, struct policy, loop);
}
