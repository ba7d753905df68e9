/* TLS of a session: who gets it, with which certificates, and what is known afterwards. */
#pragma once

#include "wire/rack.h"
#include "wire/port.h"
#include "wire/tls_facts.h"

struct policy;
struct session;

enum tls_wish {
	TLS_OFF, /* not offered */
	TLS_OFFERED,
	TLS_REQUIRED, /* no MAIL before it */
};

enum tls_state { TLS_PLAIN, TLS_SHAKING, TLS_SECURE, TLS_BROKEN };

#define TLS_EMAILS_MAX 1024

struct session_tls {
	enum tls_wish wish;
	enum tls_state state;
	bool at_once; /* before the greeting */
	struct port facts;
	enum tf_peer peer;
	char protocol[16], cipher[64], group[32], common_name[128], server_name[128];
	uint8_t exporter[32]; /* as in tf_facts */
	size_t emails_len;
	uint8_t emails[TLS_EMAILS_MAX]; /* fields: addresses in the verified certificate */
};

/* The engine and the signer's zygote; closed if this service has none. */
struct tls_lines {
	struct port tls, keyload;
	struct rack rack; /* of the certificates that there are */
};

enum result starttls_open(struct policy *p, struct why *why);

/* What the session's rule says; call when the client was met. */
void starttls_meet(struct policy *p, struct session *s);

/* SP_TLS_START: hands the connection to an engine with a signer of its own and answers SP_TLS_PLAIN, or refuses. */
enum result starttls_begin(struct policy *p, struct session *s, struct why *why);

/* Before a request is looked at: the engine's facts, which were sent before it. MALFORMED: the front end speaks before
 * the handshake is done. */
enum result starttls_settle(struct session *s, struct why *why);

/* Whether a verified certificate would do instead of a password (UCSPITLS ? and @). */
bool starttls_may_credit(const struct session *s);

/* Whether the address is in the verified certificate. */
bool starttls_has_email(const struct session_tls *t, struct bytes address);

void starttls_end(struct session *s);
