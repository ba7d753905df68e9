/* Whether a host may send mail for a domain (SPF, RFC 7208). The names are looked up by the caller, who may take his time: a
 * check that lacks an answer is begun again when it is there. */
#pragma once

#include "base/buf.h"
#include "base/result.h"
#include "wire/client_resolve.h"

enum spf_result { SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR };

const char *spf_name(enum spf_result r); /* "softfail" */

struct spf_query {
	const uint8_t *address;      /* of the peer */
	size_t address_len;          /* 4 or 16 */
	struct bytes local, domain;  /* of the sender; with a null sender postmaster and the HELO name (2.4) */
	struct bytes helo, receiver; /* receiver: name of this host */
	struct bytes host;           /* confirmed name of the peer; at null if there is none: for ptr and %{p} */
	uint64_t now_s;
};

struct spf_answer {
	enum rs_outcome outcome;
	struct bytes records; /* as of rs_answer, without the canonical name; at most SPF_RECORDS_MAX octets */
};

#define SPF_NAME_MAX 253
#define SPF_TERMS_MAX 10 /* that ask (4.6.4) */
#define SPF_VOIDS_MAX 2  /* names without an answer */

/* OK: *a has the answer, valid until the check returns; AGAIN: it is not there yet. */
typedef enum result spf_lookup(void *ctx, enum rs_type type, struct bytes name, struct spf_answer *a);

/* `rules`: mechanisms of this host's administrator; what they let pass, passes, if the domain's record does not. OK, or AGAIN:
 * an answer is missing. */
enum result spf_check(
    const struct spf_query *q, spf_lookup *lookup, void *ctx, struct bytes rules, enum spf_result *result);

/* Expands the macros of a domain-spec or explanation (7); `domain` is the one whose record it stands in. False: it breaks the
 * syntax. A text too long for `into` fails there. */
bool spf_expand(const struct spf_query *q, struct bytes domain, struct bytes text, bool explanation, struct buf *into);

/* ---- the parts of a record (spf_record.c) ---- */

enum spf_kind {
	SPF_ALL,
	SPF_INCLUDE,
	SPF_A,
	SPF_MX,
	SPF_PTR,
	SPF_IP4,
	SPF_IP6,
	SPF_EXISTS,
	SPF_REDIRECT,
	SPF_EXPLANATION,
	SPF_OTHER
};

struct spf_term {
	enum spf_kind kind;
	enum spf_result says; /* by its qualifier, if it fits */
	struct bytes spec;    /* domain-spec; nothing: the domain itself */
	uint8_t network[16];
	unsigned bits4, bits6; /* of a, mx; bits4 of ip4, bits6 of ip6 */
};

/* Whether a TXT record is one of SPF's; *terms is what is behind its version. */
bool spf_is_record(struct bytes text, struct bytes *terms);

/* The next term: OK, ABSENT at the end, MALFORMED. */
enum result spf_next_term(struct bytes *terms, struct spf_term *t);
