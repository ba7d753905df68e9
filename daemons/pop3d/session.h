/* A POP3 session in the AUTHORIZATION state (RFC 1939 4): its state, what its parts share. */
#pragma once

#include "net/pop3_io.h"
#include "wire/channel.h"
#include "wire/smtpd_policy.h"
#include "wire/tell.h"

#define SESSION_OUTPUT 4096
#define SESSION_LINE_MAX \
	1024 /* octets of a command line, CRLF included: more than RFC 2449 4 asks for, so that a password that is too long is
	      * one that was wrong, and stands in the log with its user */

struct session {
	const char *conn; /* id of the connection, for the log */
	struct pop3_io io;
	struct channel policy;
	struct sp_welcome may; /* limits and switches */
	bool secure;           /* io.fd is the plaintext of a TLS session */
	bool utf8;             /* the client said UTF8 */
	bool timestamp;        /* the greeting has a challenge for APOP */
	uint8_t user_len;      /* 0: USER was not said */
	uint8_t user[255];
	uint32_t n_errors;
	struct tell tell;
	bool handed_over; /* the user's own process goes on: policy hears no more from here */
	uint8_t out[SESSION_OUTPUT];
};

/* Serves the connection until the login, or its end. *s is all zero. Both descriptors are the session's and are closed. */
void session_run(struct session *s, int fd, int policy_fd, const char *conn);

void pop3d_refuse(struct session *s, const char *text); /* -ERR, counted, and told to policy for the log */
void pop3d_tell(struct session *s, const char *text);   /* the same without the reply */
void pop3d_end(struct session *s);                      /* what waits is sent, nothing more is read */

/* Whether that mechanism is offered as things are. */
bool pop3d_offers(const struct session *s, enum sp_mechanism m);

/* ---- login.c ---- */
void pop3d_user(struct session *s, struct bytes argument);
void pop3d_pass(struct session *s, struct bytes argument);
void pop3d_apop(struct session *s, struct bytes argument);
void pop3d_auth(struct session *s, struct bytes argument);

/* Adds the mechanisms that are offered, if there are any: title, each with `before` before it, end. */
void pop3d_add_mechanisms(struct session *s, const char *title, const char *before, const char *end);

/* ---- secure.c: STLS (RFC 2595) ---- */
void pop3d_stls(struct session *s, struct bytes argument);

/* Has policy hand the connection to an engine, and goes on with the plaintext that comes back, as if nothing had been said before; first,
 * if `ready` is not null, that is the last that is said in the clear. False: it was refused, with the reply, or the session
 * is over. */
bool pop3d_secure(struct session *s, const char *ready);
