/* What passes between a process that needs DNS and `resolve`. Questions carry a ref of the client's; each has one answer
 * with that ref. At most RS_IN_FLIGHT of all clients may wait, and fewer of each session of remote; more are answered by
 * RS_FAILED at once. */
#pragma once

#include "wire/wire.h"

#define RS_CLIENT WIRE_FIRST
#define RS_RESOLVE WIRE_SECOND

#define RS_IN_FLIGHT 4096
#define RS_TAIL_MAX 7900

enum rs_type {
	RS_A = 1,
	RS_CNAME = 5,
	RS_PTR = 12,
	RS_MX = 15,
	RS_TXT = 16,
	RS_AAAA = 28,
	RS_TLSA = 52
}; /* as registered */

enum rs_outcome {
	RS_FOUND,
	RS_NO_DATA, /* the name is there, records of this type are not */
	RS_NO_NAME,
	RS_FAILED, /* no answer in time, or no server that answers */
	RS_BOGUS,  /* DNSSEC says that the answer is forged */
	RS_BAD_QUESTION,
};

struct rs_ask {
	uint16_t type; /* enum rs_type */
	uint16_t spare[3];
}; /* tail: the name, as A-labels */

struct rs_peer {
	uint8_t family; /* 4 or 6 */
	uint8_t spare[7];
	uint8_t address[16];
}; /* answered by RS_ANSWER of type RS_PTR: the names of this address that have this address (RFC 1912 2.1) */

struct rs_answer {
	uint16_t type;
	uint8_t outcome; /* enum rs_outcome */
	uint8_t secure;  /* 1: validated by DNSSEC, or its absence is */
	uint32_t ttl;
	uint16_t n; /* records in the tail */
	uint16_t spare[3];
};
/* tail: the canonical name ("" if it is the name asked for); then n records, one field each: A 4 octets; AAAA 16; MX 2
 * octets of preference and the name; TLSA usage, selector, matching type and data; TXT the strings joined; PTR, CNAME the
 * name. Names are lower case, without a final dot; "" is the root. The name of an MX record that can be no host's has a \ in it. */

/* clang-format off */
/*	message		body			tail fds sender	 how often */
#define CLIENT_RESOLVE(M) \
	M(RS_ASK, struct rs_ask, 300, 0, RS_CLIENT, ANY) \
	M(RS_PEER, struct rs_peer, 0, 0, RS_CLIENT, ANY) \
	M(RS_ANSWER, struct rs_answer, RS_TAIL_MAX, 0, RS_RESOLVE, ANY)
/* clang-format on */
WIRE_PROTOCOL(client_resolve, CLIENT_RESOLVE)
