/* Authentication of sessions: carried between front end and `auth`; who it was is known here, not there. */
#pragma once

#include "policy/client.h"
#include "wire/calls.h"
#include "wire/policy_auth.h"
#include "wire/port.h"

struct policy;
struct session;

enum login_state {
	LOGIN_NONE,
	LOGIN_ASKED,      /* auth works on it; the front end waits */
	LOGIN_CHALLENGED, /* the front end has a challenge */
	LOGIN_DONE,
	LOGIN_BOXED, /* POP3: the user's own process goes on; the session is over when that ends */
};

#define LOGIN_TIMESTAMP_MAX 320

struct session_login {
	enum login_state state;
	struct caller caller; /* of auth */
	uint64_t ref;         /* of the exchange; 0: auth knows of none */
	uint16_t user_len;
	uint8_t user[PA_USER_MAX];
	char timestamp[LOGIN_TIMESTAMP_MAX]; /* in the greeting, for APOP; or "" */
};

/* The line to auth; closed if this service has none. */
struct auth_line {
	struct port port;
	struct calls asked;
};

enum result login_open(struct policy *p, struct why *why);

/* What the session's rule says; call when the client was met, behind starttls_meet. */
void login_meet(struct policy *p, struct session *s);

/* The mechanisms that are offered: 1 << enum sp_mechanism, or-ed. */
uint16_t login_offers(const struct policy *p, const struct session *s, bool secure);

bool login_is_required(const struct policy *p, const struct session *s); /* before MAIL */

/* Whether a request of that type may come as things are. */
bool login_allows(const struct policy *p, const struct session *s, uint16_t type);

/* SP_AUTH, SP_SASL, SP_BOX. MALFORMED: a front end that talks nonsense. */
enum result login_begin(struct policy *p, struct session *s, const struct wire_message *m, struct why *why);
enum result login_respond(struct policy *p, struct session *s, const struct wire_message *m, struct why *why);
enum result login_box(struct policy *p, struct session *s, const struct wire_message *m, struct why *why);

void login_end(struct policy *p, struct session *s);
