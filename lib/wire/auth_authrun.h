/* What passes between `auth` and `authrun`: whether somebody whom auth's tables don't have has proved who he is. */
#pragma once

#include "base/id.h"
#include "wire/wire.h"

#define AR_AUTH WIRE_FIRST
#define AR_AUTHRUN WIRE_SECOND

#define AR_NAME_MAX 320
#define AR_SECRET_MAX 320
#define AR_TIMESTAMP_MAX 1024
#define AR_REASON_MAX 200

struct ar_check {
	char conn[ID_LEN + 1]; /* for the log */
	uint8_t is_digest;     /* 1: what is shown is a digest of the timestamp and the password (APOP, CRAM-MD5) */
	uint8_t secure;        /* 1: within TLS */
	uint8_t family;        /* enum lp_family */
	uint8_t remote[16];    /* as in lp_peer */
	uint8_t spare;
}; /* tail: name; password or digest; timestamp or "" */

enum ar_outcome {
	AR_GOOD,
	AR_BAD,
	AR_TROUBLE, /* it can't be said now */
};

struct ar_verdict {
	uint8_t outcome; /* enum ar_outcome */
	uint8_t spare[3];
}; /* tail: who it is, if that is not the name as it was asked (AR_GOOD only), else ""; why, for the log */

/*	message		body			tail fds sender	 how often */
#define AUTH_AUTHRUN(M) \
	M(AR_CHECK, struct ar_check, 1700, 0, AR_AUTH, ANY) \
	M(AR_VERDICT, struct ar_verdict, AR_NAME_MAX + AR_REASON_MAX + 8, 0, AR_AUTHRUN, ANY)
WIRE_PROTOCOL(auth_authrun, AUTH_AUTHRUN)
