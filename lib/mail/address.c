/* Address lists.
 * Trusts nothing: the text is whatever somebody piped in.
 * Never reads past the value, never recurses: comments nest by counting. */
#include "mail/address.h"

#include <string.h>

struct parser {
	struct bytes value;
	size_t at;
	uint8_t room[ADDRESS_MAX];
	struct buf text;  /* of the address in progress */
	unsigned n_words; /* that followed one another without a dot or @ between */
	bool joined;      /* the last token was a dot or @: the next word belongs to it */
	bool has_at, in_angle, had_angle;
	size_t end;
	address_take *take;
	void *ctx;
};

#define QUOTED_BEFORE 40u /* octets of the list that an error shows before the fault, and behind it */
#define QUOTED_BEHIND 20u

/* The text around octet at, in quotes, with a dot for each control character and ... where something is left out. */
static void
quote(const struct parser *p, struct buf *into)
{
	size_t at = p->at < p->value.len ? p->at : p->value.len, from = at > QUOTED_BEFORE ? at - QUOTED_BEFORE : 0;
	struct bytes part = bytes_first(bytes_skip(p->value, from), at - from + QUOTED_BEHIND);
	bool more = from + part.len < p->value.len;

	while (part.len > 0 && (part.at[part.len - 1] == '\n' || part.at[part.len - 1] == '\r'))
		part.len--;
	buf_add_string(into, from > 0 ? "\"..." : "\"");
	for (size_t i = 0; i < part.len; i++)
		buf_add_octet(into, part.at[i] < ' ' || part.at[i] == 0x7f ? '.' : part.at[i]);
	buf_add_string(into, more ? "...\"" : "\"");
}

static enum result
expected(const struct parser *p, const char *what, struct why *why)
{
	uint8_t room[QUOTED_BEFORE + QUOTED_BEHIND + 9];
	struct buf quoted = BUF_OVER(room);

	quote(p, &quoted);
	return why_set(why, MALFORMED, "expected %s at octet %zu of the address list %.*s", what, p->at + 1,
	    (int)quoted.len, (const char *)room);
}

static bool
skip_comment(struct parser *p)
{
	size_t depth = 0;

	for (; p->at < p->value.len; p->at++) {
		uint8_t c = p->value.at[p->at];

		if (c == '\\')
			p->at++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0) {
			p->at++;
			return true;
		}
	}
	return false;
}

static void
forget(struct parser *p)
{
	buf_clear(&p->text);
	p->n_words = 0;
	p->joined = p->has_at = false;
}

static void
add_word(struct parser *p, size_t len)
{
	if (!p->joined)
		p->n_words++;
	p->joined = false;
	buf_add(&p->text, bytes_first(bytes_skip(p->value, p->at), len));
	p->at += len;
	p->end = p->at;
}

/* a quoted string or a domain literal, to its closing octet */
static bool
take_until(struct parser *p, uint8_t closing)
{
	size_t i = p->at + 1;

	while (i < p->value.len && p->value.at[i] != closing)
		i += p->value.at[i] == '\\' ? 2 : 1;
	if (i >= p->value.len || bytes_find(bytes_first(p->value, i), '\0') < i) /* no address has a NUL in it */
		return false;
	add_word(p, i + 1 - p->at);
	return true;
}

static bool
is_atom(uint8_t c)
{
	return c > ' ' && c != 0x7f && strchr("()<>@,;:\\\".[]", c) == NULL;
}

static size_t
atom_len(const struct parser *p)
{
	size_t n = 0;

	while (p->at + n < p->value.len && is_atom(p->value.at[p->at + n]))
		n++;
	return n;
}

static enum result
finish(struct parser *p, struct why *why)
{
	struct address a = { buf_bytes(&p->text), p->end, p->has_at };
	enum result r = OK;

	if (p->text.failed)
		return expected(p, "a shorter address", why);
	if (a.text.len > 0) {
		if (p->n_words != 1 || p->joined)
			return expected(p, "an address", why);
		r = p->take(p->ctx, &a, why);
	}
	forget(p);
	return r;
}

static enum result
open_angle(struct parser *p, struct why *why)
{
	if (p->in_angle || p->had_angle)
		return expected(p, "a comma", why);
	forget(p); /* what came before was a name */
	p->in_angle = true;
	p->at++;
	return OK;
}

static enum result
close_angle(struct parser *p, struct why *why)
{
	enum result r;

	if (!p->in_angle)
		return expected(p, "<", why);
	r = finish(p, why);
	p->in_angle = false;
	p->had_angle = true;
	p->at++;
	return r;
}

static enum result
separator(struct parser *p, struct why *why)
{
	enum result r = OK;

	if (p->in_angle) { /* a source route: @one,@two:rest */
		forget(p);
	} else {
		r = p->had_angle ? OK : finish(p, why);
		p->had_angle = false;
		forget(p);
	}
	p->at++;
	return r;
}

static enum result
special(struct parser *p, uint8_t c, struct why *why)
{
	switch (c) {
	case '<':
		return open_angle(p, why);
	case '>':
		return close_angle(p, why);
	case ',':
	case ';':
		return separator(p, why);
	case ':': /* the end of a group's name, or of a source route */
		forget(p);
		p->at++;
		return OK;
	case '@':
		p->has_at = true;
		[[fallthrough]];
	case '.':
		if (c == '@' && p->text.len == 0 && !p->in_angle)
			return expected(p, "a local part", why);
		buf_add_octet(&p->text, c);
		p->joined = true;
		p->end = ++p->at;
		return OK;
	default:
		return expected(p, "no control character", why);
	}
}

enum result
address_list(struct bytes value, address_take *take, void *ctx, struct why *why)
{
	struct parser p = { .value = value, .take = take, .ctx = ctx };
	enum result r = OK;

	p.text = BUF_OVER(p.room);
	while (r == OK && p.at < value.len) {
		uint8_t c = value.at[p.at];
		size_t n = atom_len(&p);

		if (n > 0)
			add_word(&p, n);
		else if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			p.at++;
		else if (c == '(')
			r = skip_comment(&p) ? OK : expected(&p, "the end of a comment", why);
		else if (c == '"')
			r = take_until(&p, '"') ? OK : expected(&p, "the end of a quoted string", why);
		else if (c == '[')
			r = take_until(&p, ']') ? OK : expected(&p, "the end of a domain literal", why);
		else
			r = special(&p, c, why);
	}
	if (r == OK && p.in_angle)
		return expected(&p, ">", why);
	if (r == OK && !p.had_angle)
		r = finish(&p, why);
	return r;
}
