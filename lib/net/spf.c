/* SPF (RFC 7208 4, 5, 6).
 * Trusts the lookups' outcomes; nothing in the records that they bring.
 * Never asks for more names than the limits of 4.6.4, never goes deeper than they allow. */
#include "net/spf.h"

#include "net/domain.h"

#include <string.h>

#define MX_MAX 10 /* hosts of a mechanism mx (4.6.4) */

/* A result, or that a name is waited for, or (of a mechanism) that it fits or not. */
enum step { STEP_FITS = 100, STEP_FITS_NOT, STEP_WAIT };

struct check {
	const struct spf_query *q;
	spf_lookup *lookup;
	void *ctx;
	unsigned n_terms, n_voids;
};

const char *
spf_name(enum spf_result r)
{
	static const char *const names[] = { "none", "neutral", "pass", "fail", "softfail", "temperror", "permerror" };

	return names[r];
}

/* Macros make names of all kinds; their labels have a length (RFC 1035 2.3.4). */
static bool
may_be_asked(struct bytes name)
{
	struct bytes rest = name, label;

	if (name.len == 0 || name.len > SPF_NAME_MAX)
		return false;
	while (bytes_split(&rest, '.', &label))
		if (label.len == 0 || label.len > 63)
			return false;
	return true;
}

/* STEP_FITS: there are records; STEP_FITS_NOT: there are none; or why the check is over. */
static int
look_up(struct check *c, enum rs_type type, struct bytes name, struct spf_answer *a)
{
	enum result r;

	*a = (struct spf_answer){ .outcome = RS_NO_NAME };
	if (!may_be_asked(name))
		return STEP_FITS_NOT;
	r = c->lookup(c->ctx, type, name, a);
	if (r == AGAIN)
		return STEP_WAIT;
	if (r != OK || a->outcome == RS_FAILED || a->outcome == RS_BOGUS)
		return SPF_TEMPERROR;
	return a->outcome == RS_FOUND ? STEP_FITS : STEP_FITS_NOT;
}

/* The same for a mechanism's names: those without an answer are counted. */
static int
look_up_counted(struct check *c, enum rs_type type, struct bytes name, struct spf_answer *a)
{
	int step = look_up(c, type, name, a);

	return step == STEP_FITS_NOT && ++c->n_voids > SPF_VOIDS_MAX ? (int)SPF_PERMERROR : step;
}

static bool
is_in(const uint8_t *address, const uint8_t *network, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(address, network, whole) == 0 &&
	    (rest == 0 || ((address[whole] ^ network[whole]) & (0xff00 >> rest) & 0xff) == 0);
}

static bool
is_among(const struct check *c, const struct spf_term *t, struct bytes records)
{
	unsigned bits = c->q->address_len == 4 ? t->bits4 : t->bits6;
	struct bytes one;

	while (wire_take(&records, &one))
		if (one.len == c->q->address_len && is_in(c->q->address, one.at, bits))
			return true;
	return false;
}

static enum rs_type
address_type(const struct check *c)
{
	return c->q->address_len == 4 ? RS_A : RS_AAAA;
}

static int
fits_a(struct check *c, const struct spf_term *t, struct bytes target)
{
	struct spf_answer a;
	int step = look_up_counted(c, address_type(c), target, &a);

	return step == STEP_FITS && !is_among(c, t, a.records) ? (int)STEP_FITS_NOT : step;
}

/* All hosts are asked about before one is waited for. A host without an address of the client's family is no name without an answer
 * (4.6.4): the limit counts terms. Otherwise three MX hosts without IPv6 would make a record broken for each client that has it. */
static int
fits_mx(struct check *c, const struct spf_term *t, struct bytes target)
{
	struct spf_answer mx, a;
	struct bytes record;
	int step = look_up_counted(c, RS_MX, target, &mx), ended = STEP_FITS_NOT;
	bool waits = false;

	if (step != STEP_FITS)
		return step;
	for (unsigned n = 0; wire_take(&mx.records, &record) && ended == STEP_FITS_NOT; n++) {
		if (n == MX_MAX)
			ended = SPF_PERMERROR;
		else if ((step = look_up(c, address_type(c), bytes_skip(record, 2), &a)) == STEP_WAIT)
			waits = true;
		else if (step == STEP_FITS && is_among(c, t, a.records))
			ended = STEP_FITS;
		else if (step != STEP_FITS && step != STEP_FITS_NOT)
			ended = step;
	}
	return waits ? (int)STEP_WAIT : ended;
}

static bool
is_below(struct bytes name, struct bytes domain)
{
	return bytes_ends_nocase(name, domain) && (name.len == domain.len || name.at[name.len - domain.len - 1] == '.');
}

/* The domain-spec's domain; labels go from the left while it is too long (7.3). */
static bool
target_of(const struct check *c, struct bytes domain, const struct spf_term *t, struct buf *room, struct bytes *target)
{
	*target = domain;
	if (t->spec.len == 0)
		return true;
	if (!spf_expand(c->q, domain, t->spec, false, room) || room->failed)
		return false;
	*target = buf_bytes(room);
	if (target->len > 0 && target->at[target->len - 1] == '.')
		target->len--;
	while (target->len > SPF_NAME_MAX)
		*target = bytes_skip(*target, bytes_find(*target, '.') + 1);
	return true;
}

static int check_domain(struct check *c, struct bytes domain);

static int
fits_include(struct check *c, struct bytes target)
{
	int step = check_domain(c, target);

	switch (step) { /* 5.2 */
	case SPF_PASS:
		return STEP_FITS;
	case SPF_FAIL:
	case SPF_SOFTFAIL:
	case SPF_NEUTRAL:
		return STEP_FITS_NOT;
	case SPF_NONE:
		return SPF_PERMERROR;
	default:
		return step;
	}
}

static int
fits_asking(struct check *c, struct bytes domain, const struct spf_term *t)
{
	uint8_t octets[1024];
	struct buf room = BUF_OVER(octets);
	struct spf_answer a;
	struct bytes target;

	if (++c->n_terms > SPF_TERMS_MAX || !target_of(c, domain, t, &room, &target))
		return SPF_PERMERROR;
	switch (t->kind) {
	case SPF_INCLUDE:
		return fits_include(c, target);
	case SPF_A:
		return fits_a(c, t, target);
	case SPF_MX:
		return fits_mx(c, t, target);
	case SPF_PTR: /* the name was confirmed before (5.5) */
		return c->q->host.at != NULL && is_below(c->q->host, target) ? STEP_FITS : STEP_FITS_NOT;
	default: /* exists: an A record, whatever the peer has (5.7) */
		return look_up_counted(c, RS_A, target, &a);
	}
}

static int
fits(struct check *c, struct bytes domain, const struct spf_term *t)
{
	const struct spf_query *q = c->q;

	switch (t->kind) {
	case SPF_ALL:
		return STEP_FITS;
	case SPF_IP4:
		return q->address_len == 4 && is_in(q->address, t->network, t->bits4) ? STEP_FITS : STEP_FITS_NOT;
	case SPF_IP6:
		return q->address_len == 16 && is_in(q->address, t->network, t->bits6) ? STEP_FITS : STEP_FITS_NOT;
	case SPF_REDIRECT:
	case SPF_EXPLANATION:
	case SPF_OTHER:
		return STEP_FITS_NOT;
	default:
		return fits_asking(c, domain, t);
	}
}

static int
redirect(struct check *c, struct bytes domain, const struct spf_term *t)
{
	uint8_t octets[1024];
	struct buf room = BUF_OVER(octets);
	struct bytes target;
	int step;

	if (++c->n_terms > SPF_TERMS_MAX || !target_of(c, domain, t, &room, &target))
		return SPF_PERMERROR;
	step = check_domain(c, target);
	return step == SPF_NONE ? (int)SPF_PERMERROR : step; /* 6.1 */
}

/* An error anywhere in a record is one of all of it (4.6). */
static bool
is_sound(struct bytes terms, struct spf_term *to)
{
	unsigned n_redirects = 0, n_explanations = 0;
	struct spf_term t;
	enum result r;

	to->kind = SPF_OTHER;
	while ((r = spf_next_term(&terms, &t)) == OK) {
		n_explanations += t.kind == SPF_EXPLANATION;
		n_redirects += t.kind == SPF_REDIRECT;
		if (t.kind == SPF_REDIRECT)
			*to = t;
	}
	return r == ABSENT && n_redirects <= 1 && n_explanations <= 1;
}

static int
check_record(struct check *c, struct bytes domain, struct bytes terms)
{
	struct spf_term t, to;

	if (!is_sound(terms, &to))
		return SPF_PERMERROR;
	while (spf_next_term(&terms, &t) == OK) {
		int step = fits(c, domain, &t);

		if (step == STEP_FITS)
			return (int)t.says;
		if (step != STEP_FITS_NOT)
			return step;
	}
	return to.kind == SPF_REDIRECT ? redirect(c, domain, &to) : (int)SPF_NEUTRAL;
}

static int
check_domain(struct check *c, struct bytes domain)
{
	struct bytes record, terms = BYTES_NONE, found = BYTES_NONE;
	struct spf_answer a;
	unsigned n = 0;
	int step = look_up(c, RS_TXT, domain, &a);

	if (step == STEP_FITS_NOT)
		return SPF_NONE;
	if (step != STEP_FITS)
		return step;
	while (wire_take(&a.records, &record))
		if (spf_is_record(record, &terms)) {
			found = terms;
			n++;
		}
	if (n == 0)
		return SPF_NONE;
	return n == 1 ? check_record(c, domain, found) : (int)SPF_PERMERROR;
}

static bool
may_have_record(struct bytes domain)
{
	return domain.len <= SPF_NAME_MAX && domain_is_valid(domain, false) && bytes_find(domain, '.') < domain.len;
}

enum result
spf_check(const struct spf_query *q, spf_lookup *lookup, void *ctx, struct bytes rules, enum spf_result *result)
{
	struct check c = { .q = q, .lookup = lookup, .ctx = ctx };
	int step = may_have_record(q->domain) ? check_domain(&c, q->domain) : (int)SPF_NONE;

	if (step == STEP_WAIT)
		return AGAIN;
	if (rules.len > 0 && (step == SPF_FAIL || step == SPF_SOFTFAIL || step == SPF_NEUTRAL || step == SPF_NONE)) {
		struct check own = { .q = q, .lookup = lookup, .ctx = ctx };
		int ours = check_record(&own, q->domain, rules);

		if (ours == STEP_WAIT)
			return AGAIN;
		if (ours == SPF_PASS)
			step = ours;
	}
	*result = (enum spf_result)step;
	return OK;
}
