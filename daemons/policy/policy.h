/* The state of `policy`: its sessions, its conversations. Data alone: each module's functions are in its own header. */
#pragma once

#include "control/checks.h"
#include "policy/client.h"
#include "policy/dnslists.h"
#include "policy/spf.h"
#include "policy/envelope.h"
#include "policy/login.h"
#include "policy/names.h"
#include "policy/programs.h"
#include "policy/reply.h"
#include "policy/starttls.h"
#include "policy/usage.h"
#include "net/users_follow.h"
#include "sys/log.h"
#include "wire/calls.h"
#include "wire/policy_queue.h"
#include "wire/port.h"

/* What a session is about to do. */
enum stage {
	STAGE_ARRIVED,    /* it was not greeted yet; the session waits */
	STAGE_IDLE,       /* no transaction */
	STAGE_CHECKING,   /* a recipient is looked into; the session waits */
	STAGE_ENVELOPE,   /* a recipient was accepted */
	STAGE_OPENING,    /* queue was asked for a descriptor; the session waits */
	STAGE_WRITING,    /* the session has the descriptor */
	STAGE_INSPECTING, /* the whole message is there; checks look at it; the session waits */
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
	bool ending; /* it is over, and the loop concludes it; or only queue's answer to a commit is waited for */
	bool marked; /* in the list of those that the loop looks at */
	bool lost;   /* queue forgot the transaction (it was replaced) */
	enum stage stage;
	struct session *next_marked;
	uint32_t next_free;
	uint64_t began_ms;
	uint32_t n_accepted;
	struct refusals refusals;
	uint8_t helo_len;
	uint8_t helo[SP_HELO_MAX]; /* the last name that was said, for the log */
	struct client client;
	struct envelope envelope;
	struct session_tls tls;
	struct session_login login;
	int connection; /* for an engine or a pop3box, and never read here; the plain text of POP3 within TLS; -1: not needed */
	enum host_known host_known; /* of the name that was looked up */
	uint8_t host_len;
	uint8_t host[255];
	struct listings listings;
	struct spf_state spf;
	struct pending pending_rcpt;
	uint32_t pending;               /* checks that wait for what they need: 1 << enum check_id */
	struct caller asking[N_CHECKS]; /* of resolve, of authrun: by check */
	struct caller transaction;      /* of queue */
	uint64_t transaction_ref;       /* by which queue knows it */
	struct sp_commit commit;        /* while it is inspected */
	struct timer tarpit;            /* runs while a recipient is held back */
	struct trial trial;
	uint32_t n_asked, n_bad; /* recipients of the session, and how many were refused */
};

/* The conversation with queue: opened when first needed, and anew after it broke. */
struct queue_line {
	struct port port;
	struct calls asked;
	int doorway;
	uint64_t room;      /* octets that it has room for, as it said last; UINT64_MAX: it has not */
	uint64_t looked_ms; /* when it was asked for that */
};

#define POLICY_ENDED_MAX 64

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
	uint32_t n_used;        /* of the slots, ever */
	struct session *marked; /* the loop looks at these before it waits */
	struct timer tell;
	uint32_t ended[POLICY_ENDED_MAX]; /* slots of listen's, still to be told */
	uint32_t n_ended;
	bool retired; /* listen is gone: end with the last session */
	enum result end;
};

/* Runs until listen is gone and the last session has ended: OK. Else why it can't go on. */
enum result policy_run(struct policy *p, const struct settings *s, struct why *why);

static inline struct policy *
policy_of_loop(struct loop *loop)
{
	return container_of(loop, struct policy, loop);
}
