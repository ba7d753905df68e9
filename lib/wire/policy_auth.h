/* What passes between `policy` and `auth`: the exchanges of sessions, one at a time each, and, for POP3, that a session that has
 * logged in is to go on in its user's own process. The ref is policy's mark of the session, the same until PA_FORGET. auth keeps for
 * it who has authenticated; what a front end says later can't change that. */
#pragma once

#include "base/id.h"
#include "wire/smtpd_policy.h"

#define PA_POLICY WIRE_FIRST
#define PA_AUTH WIRE_SECOND

#define PA_USER_MAX 320

struct pa_begin {
	char conn[ID_LEN + 1]; /* for the log */
	uint8_t mechanism;     /* enum sp_mechanism, one that this connection may use */
	uint8_t initial;       /* 1: there is an initial response, which may be empty */
	uint8_t secure;        /* 1: within TLS */
	uint8_t family;        /* enum lp_family, for back-off */
	uint8_t remote[16];    /* as in lp_peer */
}; /* tail: initial response, base64; challenge that was in the greeting (APOP), or ""; mail addresses of the verified certificate
    * (fields in the field); if SCRAM-SHA-256-PLUS is offered, the TLS session's tls-exporter (RFC 9266), else "" */

struct pa_result {
	uint16_t code;        /* 235, or of the refusal: 4xx, 5xx */
	uint16_t enhanced[3]; /* as in sp_answer */
	uint8_t close;        /* 1: and the session is to end */
	uint8_t spare[3];
}; /* tail: who it is (PA_USER_MAX; 235 only, else ""), text */

/*	message		body			tail fds sender	 how often */
#define POLICY_AUTH(M) \
	M(PA_BEGIN, struct pa_begin, 5000, 0, PA_POLICY, ANY)               /* PA_CHALLENGE or PA_RESULT */ \
	M(PA_RESPONSE, struct wire_nothing, SP_SASL_MAX, 0, PA_POLICY, ANY) /* the same. tail: base64, or "*" */ \
	M(PA_CHALLENGE, struct wire_nothing, SP_SASL_MAX, 0, PA_AUTH, ANY)  /* tail: base64 */ \
	M(PA_RESULT, struct pa_result, PA_USER_MAX + SP_TEXT_MAX, 0, PA_AUTH, ANY) /* ends the exchange */ \
	M(PA_BOX, struct wire_nothing, 0, 1, PA_POLICY, \
	    ANY) /* after a PA_RESULT of 235; fd: the channel of the user's pop3box \
							      * (auth_lspawn.h). No answer; the ref is forgotten */ \
	M(PA_FORGET, struct wire_nothing, 0, 0, PA_POLICY, ANY) /* the session is over, or its exchange is */
WIRE_PROTOCOL(policy_auth, POLICY_AUTH)
