/* The syntax of SPF records (RFC 7208 4.5, 4.6.1, 5, 6, 12).
 * Trusts nothing in a record.
 * Never takes a term that it does not understand for one that does not fit. */
#include "net/spf.h"

#include <arpa/inet.h>
#include <string.h>

bool
spf_is_record(struct bytes text, struct bytes *terms)
{
	struct bytes version = BYTES("v=spf1");

	if (!bytes_starts_nocase(text, version) || (text.len > version.len && text.at[version.len] != ' '))
		return false;
	*terms = bytes_skip(text, version.len);
	return true;
}

static bool
take_qualifier(struct bytes *text, enum spf_result *says)
{
	static const char marks[] = "+-~?";
	static const enum spf_result results[] = { SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_NEUTRAL };
	const char *mark = text->len > 0 ? memchr(marks, text->at[0], 4) : NULL;

	*says = mark == NULL ? SPF_PASS : results[mark - marks];
	if (mark != NULL)
		*text = bytes_skip(*text, 1);
	return mark != NULL;
}

/* Digits at the end, after `slashes`; cut off if they are there. False: too great a number. */
static bool
take_bits(struct bytes *text, const char *slashes, unsigned most, unsigned *bits)
{
	size_t digits = 0, n = strlen(slashes), at;
	uint64_t number;

	while (digits < text->len && ascii_is_digit(text->at[text->len - digits - 1]))
		digits++;
	if (digits == 0 || digits + n > text->len)
		return true;
	at = text->len - digits;
	if (memcmp(text->at + at - n, slashes, n) != 0)
		return true;
	if ((digits > 1 && text->at[at] == '0') || !bytes_to_number(bytes_skip(*text, at), most, &number))
		return false;
	*bits = (unsigned)number;
	*text = bytes_first(*text, at - n);
	return true;
}

static bool
macros_are_sound(struct bytes spec)
{
	static const uint8_t nobody[4] = { 0 };
	struct spf_query q = { .address = nobody, .address_len = 4, .domain = BYTES("a.example"), .local = BYTES("a") };
	uint8_t room[1024];
	struct buf out = BUF_OVER(room);

	return spf_expand(&q, q.domain, spec, false, &out);
}

/* toplabel of 7.1: not a number, no hyphen at its ends */
static bool
is_top_label(struct bytes label)
{
	bool number = true;

	if (label.len == 0 || label.at[0] == '-' || label.at[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		if (!ascii_is_alnum(label.at[i]) && label.at[i] != '-')
			return false;
		number = number && ascii_is_digit(label.at[i]);
	}
	return !number;
}

/* domain-end of 7.1: a macro, or a dot and a top label */
static bool
ends_as_a_domain(struct bytes spec)
{
	size_t dot, percent = bytes_find_last(spec, '%');

	if (spec.len >= 2 && spec.at[spec.len - 2] == '%' && memchr("%_-", spec.at[spec.len - 1], 3) != NULL)
		return true;
	if (percent + 1 < spec.len && spec.at[percent + 1] == '{' && spec.at[spec.len - 1] == '}')
		return true;
	if (spec.at[spec.len - 1] == '.')
		spec.len--;
	dot = bytes_find_last(spec, '.');
	return dot < spec.len && is_top_label(bytes_skip(spec, dot + 1));
}

/* a, mx, ptr, include, exists, redirect: their domain-spec. */
static enum result
take_spec(struct bytes rest, bool must, struct spf_term *t)
{
	if (rest.len == 0)
		return must ? MALFORMED : OK;
	if (rest.len == 1 || (rest.at[0] != ':' && rest.at[0] != '='))
		return MALFORMED;
	t->spec = bytes_skip(rest, 1);
	return t->spec.len <= 255 && macros_are_sound(t->spec) && ends_as_a_domain(t->spec) ? OK : MALFORMED;
}

static enum result
take_hosts(struct bytes rest, struct spf_term *t)
{
	if (!take_bits(&rest, "//", 128, &t->bits6) || !take_bits(&rest, "/", 32, &t->bits4))
		return MALFORMED;
	if (rest.len > 0 && rest.at[rest.len - 1] == '/')
		return MALFORMED;
	return take_spec(rest, false, t);
}

static enum result
take_network(struct bytes rest, int family, struct spf_term *t)
{
	char text[INET6_ADDRSTRLEN];

	if (rest.len < 2 || rest.at[0] != ':')
		return MALFORMED;
	rest = bytes_skip(rest, 1);
	if (!take_bits(&rest, "/", family == AF_INET ? 32 : 128, family == AF_INET ? &t->bits4 : &t->bits6) ||
	    rest.len >= sizeof text)
		return MALFORMED;
	memcpy(text, rest.at, rest.len);
	text[rest.len] = '\0';
	return inet_pton(family, text, t->network) == 1 ? OK : MALFORMED;
}

static const struct {
	const char *name;
	enum spf_kind kind;
} mechanisms[] = {
	{ "all", SPF_ALL },
	{ "include", SPF_INCLUDE },
	{ "a", SPF_A },
	{ "mx", SPF_MX },
	{ "ptr", SPF_PTR },
	{ "ip4", SPF_IP4 },
	{ "ip6", SPF_IP6 },
	{ "exists", SPF_EXISTS },
};

static enum result
take_mechanism(struct bytes name, struct bytes rest, struct spf_term *t)
{
	size_t i = 0;

	while (i < nitems(mechanisms) && !bytes_equal_nocase(name, bytes_of_string(mechanisms[i].name)))
		i++;
	if (i == nitems(mechanisms))
		return MALFORMED;
	t->kind = mechanisms[i].kind;
	switch (t->kind) {
	case SPF_ALL:
		return rest.len == 0 ? OK : MALFORMED;
	case SPF_A:
	case SPF_MX:
		return take_hosts(rest, t);
	case SPF_IP4:
		return take_network(rest, AF_INET, t);
	case SPF_IP6:
		return take_network(rest, AF_INET6, t);
	default:
		return take_spec(rest, t->kind != SPF_PTR, t);
	}
}

static size_t
name_len(struct bytes text)
{
	size_t n = 0;

	while (n < text.len && (ascii_is_alnum(text.at[n]) || memchr("-_.", text.at[n], 3) != NULL))
		n++;
	return n;
}

enum result
spf_next_term(struct bytes *terms, struct spf_term *t)
{
	struct bytes text, name;
	bool qualified;

	while (terms->len > 0 && terms->at[0] == ' ')
		*terms = bytes_skip(*terms, 1);
	if (terms->len == 0)
		return ABSENT;
	text = bytes_first(*terms, bytes_find(*terms, ' '));
	*terms = bytes_skip(*terms, text.len);
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < 0x21 || text.at[i] > 0x7e)
			return MALFORMED;
	*t = (struct spf_term){ .kind = SPF_OTHER, .bits4 = 32, .bits6 = 128 };
	qualified = take_qualifier(&text, &t->says);
	name = bytes_first(text, name_len(text));
	text = bytes_skip(text, name.len);
	if (name.len == 0 || ascii_is_digit(name.at[0]))
		return MALFORMED;
	if (text.len == 0 || text.at[0] != '=')
		return take_mechanism(name, text, t);
	if (qualified)
		return MALFORMED;
	if (bytes_equal_nocase(name, BYTES("redirect")))
		t->kind = SPF_REDIRECT;
	else if (bytes_equal_nocase(name, BYTES("exp")))
		t->kind = SPF_EXPLANATION;
	else
		return macros_are_sound(bytes_skip(text, 1)) ? OK : MALFORMED; /* not known: 6 */
	return take_spec(text, true, t);
}
