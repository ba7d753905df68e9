/* The resolver: libunbound, with threads of its own, and bounds around it.
 * Trusts libunbound for DNSSEC and the DNS format; its records' contents are looked at once more before they are passed on.
 * Never passes on an answer to another question, nor more than fits into one message. */
#include "resolve/resolver.h"

#include "net/domain.h"
#include "sys/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>

#define RECORDS_MAX 1000
#define MX_MAX 100
#define TLSA_OCTETS 6000 /* of all: a client passes them on with more */
#define TLSA_DIGEST_MAX 80
#define NAME_MAX_OCTETS 255
#define CLASS_IN 1
#define TYPE_DNSKEY 48

struct question {
	struct resolver *resolver;
	resolver_answer *answer;
	void *ctx;
	uint16_t type;
};

struct resolver {
	struct ub_ctx *ub;
	unsigned n; /* questions that wait */
};

/* a name in wire form to text, lower case; false if it is malformed or compressed */
static bool
put_name(struct buf *b, struct bytes wire)
{
	size_t start = b->len;

	while (wire.len > 0 && wire.at[0] != 0) {
		struct bytes label = bytes_first(bytes_skip(wire, 1), wire.at[0]);

		if (wire.at[0] > 63 || label.len != wire.at[0])
			return false;
		if (b->len > start)
			buf_add_octet(b, '.');
		for (size_t i = 0; i < label.len; i++) {
			if (label.at[i] <= ' ' || label.at[i] >= 0x7f || label.at[i] == '.' || label.at[i] == '\\')
				return false; /* such a name is nobody's host */
			buf_add_octet(b, ascii_lower(label.at[i]));
		}
		wire = bytes_skip(wire, 1u + label.len);
	}
	return wire.len == 1 && b->len - start <= NAME_MAX_OCTETS;
}

static bool
put_txt(struct buf *b, struct bytes wire)
{
	while (wire.len > 0) {
		size_t n = wire.at[0];

		if (wire.len - 1 < n)
			return false;
		buf_add(b, bytes_first(bytes_skip(wire, 1), n));
		wire = bytes_skip(wire, n + 1);
	}
	return true;
}

/* An MX record whose name can be no host's is still there: left out, it would look as if the domain had none, and its own address
 * would get the mail. The name comes with its odd octets written as \\DDD, so that nobody takes it for a host. */
static bool
put_odd_name(struct buf *b, struct bytes wire)
{
	size_t start = b->len;

	for (struct bytes label; wire.len > 0 && wire.at[0] != 0 && b->len - start < NAME_MAX_OCTETS;
	     wire = bytes_skip(wire, 1u + label.len)) {
		label = bytes_first(bytes_skip(wire, 1), wire.at[0]);
		if (b->len > start)
			buf_add_octet(b, '.');
		for (size_t i = 0; i < label.len; i++)
			if (ascii_is_alnum(label.at[i]) || label.at[i] == '-' || label.at[i] == '_')
				buf_add_octet(b, ascii_lower(label.at[i]));
			else
				buf_format(b, "\\%03u", label.at[i]);
	}
	if (bytes_find(bytes_of(b->at + start, b->len - start), '\\') == b->len - start)
		buf_add_octet(b, '\\');
	return true;
}

static bool
put_mx(struct buf *b, struct bytes data)
{
	size_t before;

	if (data.len < 2)
		return false;
	buf_add(b, bytes_first(data, 2));
	before = b->len;
	if (put_name(b, bytes_skip(data, 2)))
		return true;
	b->len = before;
	return put_odd_name(b, bytes_skip(data, 2));
}

/* one record's data in the form of client_resolve.h */
static bool
put_record(struct buf *b, uint16_t type, struct bytes data)
{
	switch (type) {
	case RS_A:
		buf_add(b, data);
		return data.len == 4;
	case RS_AAAA:
		buf_add(b, data);
		return data.len == 16;
	case RS_MX:
		return put_mx(b, data);
	case RS_TLSA:
		buf_add(b, data);
		return data.len >= 3;
	case RS_TXT:
		return put_txt(b, data);
	default:
		return put_name(b, data);
	}
}

/* Adds one record; false: there is no room for it. */
static bool
add_record(struct buf *tail, struct rs_answer *a, struct bytes data)
{
	uint8_t room[4096];
	struct buf one = BUF_OVER(room);
	size_t before = tail->len;

	if (!put_record(&one, a->type, data) || (one.failed && a->type != RS_TLSA))
		return true;
	if (one.failed)
		return false;
	wire_put(tail, buf_bytes(&one));
	if (tail->failed) {
		tail->failed = false;
		tail->len = before;
		return false;
	}
	a->n++;
	return true;
}

/* Of MX records the best preferences come first: there may be more than have room. Place of the next, by *last; false: no more. */
static bool
next_best(const struct ub_result *result, uint64_t *last, size_t *which)
{
	uint64_t best = UINT64_MAX;

	for (size_t i = 0; result->data[i] != NULL; i++) {
		const uint8_t *octets = (const uint8_t *)result->data[i];
		uint64_t key;

		if (result->len[i] < 2)
			continue;
		key = ((uint64_t)octets[0] << 8 | octets[1]) << 32 | (i + 1);
		if (key > *last && key < best) {
			best = key;
			*which = i;
		}
	}
	*last = best;
	return best != UINT64_MAX;
}

/* One that is left out could be the one that matches, and all of them left out would look like none: digests come first, what
 * has no room after them makes an answer without a digest a failure. */
static enum rs_outcome
put_tlsa(struct buf *tail, struct rs_answer *a, const struct ub_result *result)
{
	struct buf within = buf_over(tail->at, TLSA_OCTETS);
	unsigned n_digests = 0;
	bool all = true;

	within.len = tail->len;
	for (int turn = 0; turn < 2; turn++)
		for (size_t i = 0; result->data[i] != NULL; i++) {
			struct bytes data = bytes_of(result->data[i], (size_t)result->len[i]);
			bool is_digest = data.len <= TLSA_DIGEST_MAX;

			if (is_digest != (turn == 0))
				continue;
			if (data.len < 3 || !add_record(&within, a, data))
				all = false;
			else
				n_digests += is_digest && data.at[0] >= 2;
		}
	tail->len = within.len;
	return all || n_digests > 0 ? RS_FOUND : RS_FAILED;
}

/* What fits is enough: no host has so many. */
static void
put_records(struct buf *tail, struct rs_answer *a, const struct ub_result *result)
{
	uint64_t last = 0;
	size_t i = 0;

	if (result->data == NULL)
		return;
	if (a->type == RS_MX) {
		while (a->n < MX_MAX && next_best(result, &last, &i) &&
		    add_record(tail, a, bytes_of(result->data[i], (size_t)result->len[i])))
			continue;
		return;
	}
	for (; result->data[i] != NULL && a->n < RECORDS_MAX; i++)
		if (!add_record(tail, a, bytes_of(result->data[i], (size_t)result->len[i])))
			return;
}

static void
put_canonical(struct buf *tail, const struct ub_result *result)
{
	uint8_t room[NAME_MAX_OCTETS + 1];
	struct buf name = BUF_OVER(room);

	if (result->canonname != NULL)
		(void)domain_normalise(bytes_of_string(result->canonname), &name);
	wire_put(tail, name.failed ? BYTES_NONE : buf_bytes(&name));
}

static enum rs_outcome
outcome_of(int error, const struct ub_result *result)
{
	if (error != 0 || result == NULL)
		return RS_FAILED;
	if (result->bogus)
		return RS_BOGUS;
	if (result->havedata)
		return RS_FOUND;
	if (result->nxdomain)
		return RS_NO_NAME;
	return result->rcode == 0 ? RS_NO_DATA : RS_FAILED;
}

static void
answered(void *data, int error, struct ub_result *result)
{
	struct question *q = data;
	struct rs_answer a = { .type = q->type };
	static uint8_t room[RS_TAIL_MAX];
	struct buf tail = BUF_OVER(room);

	a.outcome = (uint8_t)outcome_of(error, result);
	if (result != NULL && error == 0) {
		a.secure = result->secure != 0 && !result->bogus;
		a.ttl = result->ttl > 0 ? (uint32_t)result->ttl : 0;
		put_canonical(&tail, result);
		if (a.outcome == RS_FOUND && a.type == RS_TLSA && result->data != NULL)
			a.outcome = (uint8_t)put_tlsa(&tail, &a, result);
		else if (a.outcome == RS_FOUND)
			put_records(&tail, &a, result);
		if (a.outcome == RS_FOUND && a.n == 0)
			a.outcome = RS_NO_DATA;
	} else
		wire_put(&tail, BYTES_NONE);
	ub_resolve_free(result);
	q->resolver->n--;
	q->answer(q->ctx, &a, buf_bytes(&tail));
	free(q);
}

enum result
resolver_ask(struct resolver *r, uint16_t type, struct bytes name, resolver_answer *answer, void *ctx)
{
	char text[NAME_MAX_OCTETS + 2];
	struct question *q;

	if (name.len == 0 || name.len > NAME_MAX_OCTETS || bytes_find(name, '\0') < name.len)
		return MALFORMED;
	if (r->n >= RS_IN_FLIGHT)
		return EXHAUSTED;
	q = calloc(1, sizeof *q);
	if (q == NULL)
		return EXHAUSTED;
	memcpy(text, name.at, name.len);
	text[name.len] = '\0';
	*q = (struct question){ .resolver = r, .answer = answer, .ctx = ctx, .type = type };
	r->n++;
	if (ub_resolve_async(r->ub, text, type, CLASS_IN, q, answered, NULL) != 0) {
		r->n--;
		free(q);
		return MALFORMED;
	}
	return OK;
}

int
resolver_fd(const struct resolver *r)
{
	return ub_fd(r->ub);
}

void
resolver_ready(struct resolver *r)
{
	int error = ub_process(r->ub);

	if (error != 0)
		log_simple(SEVERITY_ERROR, "resolver", "why", ub_strerror(error));
}

static int
set_lines(struct ub_ctx *ub, const struct control *c, enum control_item item, int (*set)(struct ub_ctx *, const char *))
{
	struct bytes at = control_lines(c, item), line;
	char text[1024];
	int error = 0;

	while (error == 0 && control_next_line(&at, &line)) {
		(void)snprintf(text, sizeof text, "%.*s", (int)line.len, (const char *)line.at);
		error = set(ub, text);
	}
	return error;
}

static int
set_anchor(struct ub_ctx *ub, const char *anchor)
{
	return ub_ctx_add_ta(ub, anchor);
}

static int
set_forwarder(struct ub_ctx *ub, const char *address)
{
	if (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 || strncmp(address, "::1@", 4) == 0)
		(void)ub_ctx_set_option(ub, "do-not-query-localhost:", "no");
	return ub_ctx_set_fwd(ub, address);
}

/* Zones for which the library has answers of its own. Reverse names of this host are the name server's to give, if one is
 * configured; and so are names that a network uses for itself. RFC 6761 and 7686 keep the rest (localhost, invalid, onion). */
static void
open_zones(struct ub_ctx *ub, bool forwards)
{
	static const char *const zones[] = { "127.in-addr.arpa.", "test.", "home.arpa.", "resolver.arpa.",
		"service.arpa.", "254.169.in-addr.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.",
		"b.e.f.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa.", "d.f.ip6.arpa.", "0.in-addr.arpa.",
		"255.255.255.255.in-addr.arpa." };

	for (size_t i = 0; i < (forwards ? nitems(zones) : 1); i++)
		(void)ub_ctx_zone_remove(ub, zones[i]);
}

static void
tried_dnssec(void *data, int error, struct ub_result *result)
{
	(void)data;
	if (error == 0 && result != NULL && result->bogus)
		log_simple(SEVERITY_ERROR, "forwarders-without-dnssec", "why",
		    "the name servers of the item forwarders do not pass DNSSEC on: every answer counts as forged, so "
		    "no "
		    "mail goes out. Name servers there that do, or empty the item (resolve then asks the servers of "
		    "each "
		    "zone), or empty trustanchor (then nothing is validated)");
	ub_resolve_free(result);
}

/* Whether the root's keys come with signatures that fit the trust anchor. */
static void
try_dnssec(struct resolver *r)
{
	(void)ub_resolve_async(r->ub, ".", TYPE_DNSKEY, CLASS_IN, NULL, tried_dnssec, NULL);
}

/* What came of the items, which may name files that are other ones tomorrow. */
static void
tell(const struct control *c)
{
	struct bytes servers = control_lines(c, ITEM_FORWARDERS), anchors = control_lines(c, ITEM_TRUSTANCHOR), line;
	uint8_t room[LOG_LINE_MAX / 2];
	struct buf asked = BUF_OVER(room);
	struct log_line l;
	unsigned n = 0;

	for (; control_next_line(&servers, &line) && !asked.failed; buf_add(&asked, line))
		if (asked.len > 0)
			buf_add_octet(&asked, ' ');
	while (control_next_line(&anchors, &line))
		n++;
	log_begin(&l, SEVERITY_INFO, "resolver");
	log_bytes(&l, "asks", asked.len > 0 ? buf_bytes(&asked) : BYTES("the servers of each zone"));
	log_number(&l, "anchors", n);
	log_end(&l);
}

enum result
resolver_open(struct resolver **made, const struct control *c, struct why *why)
{
	static const char *const options[][2] = { { "qname-minimisation:", "yes" }, { "unblock-lan-zones:", "yes" },
		{ "insecure-lan-zones:", "yes" }, { "harden-glue:", "yes" }, { "harden-dnssec-stripped:", "yes" },
		{ "harden-below-nxdomain:", "yes" }, { "use-caps-for-id:", "no" }, { "msg-cache-size:", "16m" },
		{ "rrset-cache-size:", "32m" }, { "cache-max-ttl:", "86400" }, { "outgoing-range:", "512" },
		{ "num-queries-per-thread:", "2048" }, { "jostle-timeout:", "1000" }, { "delay-close:", "0" } };
	/* a network's own names, which the root says do not exist */
	static const char *const unsigned_zones[] = { "test.", "home.arpa.", "internal.", "local.", "lan." };
	struct resolver *r = calloc(1, sizeof *r);
	int error = 0;

	if (r == NULL || (r->ub = ub_ctx_create()) == NULL) {
		free(r);
		return why_set(why, EXHAUSTED, "no memory for the resolver");
	}
	for (size_t i = 0; i < nitems(options); i++)
		(void)ub_ctx_set_option(r->ub, options[i][0], options[i][1]);
	error = ub_ctx_async(r->ub, 1);
	if (error == 0)
		error = set_lines(r->ub, c, ITEM_TRUSTANCHOR, set_anchor);
	if (error == 0)
		error = set_lines(r->ub, c, ITEM_FORWARDERS, set_forwarder);
	if (error == 0 && control_lines(c, ITEM_FORWARDERS).len > 0)
		for (size_t i = 0; i < nitems(unsigned_zones); i++)
			(void)ub_ctx_set_option(r->ub, "domain-insecure:", unsigned_zones[i]);
	if (error != 0)
		return why_set(
		    why, REFUSED, "the resolver does not take trustanchor or forwarders: %s", ub_strerror(error));
	open_zones(r->ub, control_lines(c, ITEM_FORWARDERS).len > 0); /* it ends the configuration */
	tell(c);
	if (control_lines(c, ITEM_FORWARDERS).len > 0)
		try_dnssec(r);
	*made = r;
	return OK;
}
