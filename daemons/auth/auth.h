/* The state of `auth`: the exchanges in progress, and who has authenticated. */
#pragma once

#include "auth/backoff.h"
#include "auth/workers.h"
#include "control/control.h"
#include "control/passwords.h"
#include "net/users_follow.h"
#include "sys/loop.h"
#include "wire/auth_authrun.h"
#include "wire/calls.h"
#include "wire/listen_policy.h"
#include "wire/policy_auth.h"
#include "wire/port.h"

#define EXCHANGES_MAX 20000
#define BUCKETS 4096 /* of the table of exchanges; a power of two */
#define BINDING_LEN 32

/* What the next octets of the client are. */
enum phase {
	PHASE_FIRST,       /* the mechanism's first message */
	PHASE_PASSWORD,    /* LOGIN: the name has come */
	PHASE_SCRAM_FINAL, /* the client's second message */
	PHASE_SCRAM_END,   /* an empty response to our last word; it has succeeded */
	PHASE_BUSY,        /* nothing: it waits or is being checked */
	PHASE_DONE,        /* nothing: it has authenticated, and may go on as the user (POP3) */
};

struct exchange {
	struct exchange *next; /* in its bucket */
	struct auth *auth;
	uint64_t ref;
	char conn[ID_LEN + 1];
	uint8_t mechanism; /* enum sp_mechanism */
	bool secure;
	uint8_t family, remote[16];
	enum phase phase;
	struct timer turn; /* runs while it must wait */
	uint64_t began_ms; /* clock_ms, when the client had said all that is judged */
	struct job *job;   /* being hashed */
	bool known;        /* the name has an entry */
	bool verdict;      /* what comes of it if the entry has no hash: the hashing is for show */
	bool for_show;
	struct caller caller; /* of authrun */
	uint64_t account;     /* the name's, for back-off */
	uint16_t name_len, password_len, emails_len, challenge_len, first_len, server_first_len;
	uint8_t binding_len;
	uint8_t name[PA_USER_MAX], password[SASL_NAME_MAX];
	uint8_t binding[BINDING_LEN];
	uint8_t challenge[SASL_TEXT_MAX];    /* CRAM-MD5, APOP */
	uint8_t first[SASL_TEXT_MAX];        /* what the client said first or, of CRAM-MD5, only */
	uint8_t server_first[SASL_TEXT_MAX]; /* SCRAM */
	uint8_t emails[SASL_TEXT_MAX];       /* EXTERNAL: fields */
	struct scram_keys keys;
};

struct auth {
	struct loop loop;
	struct port policy, lspawn, authrun;
	struct users_follower users;
	bool asks;          /* there is a program, or Dovecot, that knows more names */
	struct calls asked; /* of authrun */
	struct source hashed;
	const struct control *control;
	bool is_pop3;
	uint64_t pace_ms; /* failures are told at multiples of it; 0: at once */
	struct bytes me;
	struct workers workers;
	struct backoff backoff;
	uint8_t salt_key[SASL_HASH_LEN]; /* makes salts for names that nobody has */
	struct exchange *buckets[BUCKETS];
	size_t n_exchanges;
	enum result end;
};

/* serve.c */
enum result auth_run(struct auth *a, const struct control *control, const char *service, struct why *why);
void exchange_say(struct exchange *e, struct bytes challenge); /* a challenge, not yet in base64 */
void exchange_end(struct exchange *e, uint16_t code, uint8_t subject, uint8_t detail, const char *text);
void exchange_accept(struct exchange *e); /* it has authenticated as its name */

/* mechanisms.c: what the client said, decoded; or, before it said anything, what it is asked. */
void mechanism_begin(struct exchange *e);
void mechanism_take(struct exchange *e, struct bytes said);
bool mechanism_set_name(struct exchange *e, struct bytes name); /* in lower case; false: it is none */

/* judge.c: name and password, or what proves one, are there; ends the exchange now or later. */
void judge(struct exchange *e);
void judge_hashed(struct auth *a);     /* jobs are done */
void judge_proven(struct exchange *e); /* SCRAM: both sides have shown what they know */
void judge_failed(struct exchange *e, const char *why);
void judge_answered(struct exchange *e, enum ar_outcome outcome, struct bytes who, const char *why); /* by authrun */
void judge_trouble(struct exchange *e, const char *why); /* 454, and no failure of the client */

/* elsewhere.c: whom the tables don't have, authrun may know. */
enum result elsewhere_open(struct auth *a, struct why *why);
bool elsewhere_knows(const struct exchange *e); /* it may */
void elsewhere_ask(struct exchange *e);         /* judge_answered comes of it, or judge_trouble at once */

/* The SCRAM verifier of the exchange's name, or one that fits nobody. */
enum result judge_verifier(struct exchange *e, struct scram_verifier *v);

static inline struct bytes
exchange_name(const struct exchange *e)
{
	return bytes_of(e->name, e->name_len);
}

static inline struct auth *
auth_of_loop(struct loop *loop)
{
	return container_of(loop, struct auth, loop);
}
