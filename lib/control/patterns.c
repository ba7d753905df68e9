/* Wildcards, and the lists of unwanted names.
 * Trusts the checked lists; the names come from the network.
 * Never takes more time than the product of the lengths of text and pattern. */
#include "control/patterns.h"

#include <string.h>

/* One element of a pattern at `at`: whether it fits octet c; *next is what is behind it. */
static bool
element_fits(struct bytes at, uint8_t c, struct bytes *next)
{
	bool negated, fits = false;
	size_t i;

	*next = bytes_skip(at, 1);
	if (at.at[0] == '?')
		return true;
	if (at.at[0] == '\\' && at.len > 1) {
		*next = bytes_skip(at, 2);
		return at.at[1] == c;
	}
	if (at.at[0] != '[')
		return at.at[0] == c;
	negated = at.len > 1 && at.at[1] == '^';
	i = negated ? 2 : 1;
	for (bool first = true; i < at.len && (first || at.at[i] != ']'); first = false, i++) {
		if (i + 2 < at.len && at.at[i + 1] == '-' && at.at[i + 2] != ']') {
			fits = fits || (at.at[i] <= c && c <= at.at[i + 2]);
			i += 2;
		} else
			fits = fits || at.at[i] == c;
	}
	*next = bytes_skip(at, i + 1);
	return fits != negated;
}

/* Only the last star seen is ever gone back to: an earlier one could not do better. */
bool
wildmat(struct bytes text, struct bytes pattern)
{
	struct bytes star = BYTES_NONE, retry = BYTES_NONE, next;

	for (;;) {
		if (pattern.len > 0 && pattern.at[0] == '*') {
			pattern = bytes_skip(pattern, 1);
			star = pattern;
			retry = text;
			if (pattern.len == 0)
				return true;
			continue;
		}
		if (text.len == 0)
			return pattern.len == 0;
		if (pattern.len > 0 && element_fits(pattern, text.at[0], &next)) {
			pattern = next;
			text = bytes_skip(text, 1);
			continue;
		}
		if (star.at == NULL || retry.len == 0)
			return false;
		retry = bytes_skip(retry, 1);
		text = retry;
		pattern = star;
	}
}

bool
pattern_is_wild(struct bytes line, bool marked)
{
	if (line.len > 0 && line.at[0] == '!')
		return true;
	for (size_t i = 0; i < line.len; i++)
		if (memchr("*[\\", line.at[i], 3) != NULL || (line.at[i] == '?' && (i > 0 || !marked)))
			return true;
	return false;
}

#define TEXT_MAX 1024

/* Case counts in patterns; but a peer must not get past one by writing in capitals. So a text fits as it is, or in lower
 * case. */
static bool
fits(struct bytes text, struct bytes pattern)
{
	uint8_t lower[TEXT_MAX];

	if (wildmat(text, pattern))
		return true;
	if (text.len > sizeof lower)
		return false;
	for (size_t i = 0; i < text.len; i++)
		lower[i] = ascii_lower(text.at[i]);
	return wildmat(bytes_of(lower, text.len), pattern);
}

/* The last line that fits decides. */
static bool
wildcards_refuse(const struct control *c, enum control_item item, struct bytes text)
{
	struct bytes at = control_lines(c, item), line;
	bool refused = false;

	while (control_next_line(&at, &line)) {
		bool exception = line.len > 0 && line.at[0] == '!';

		if (exception != refused) /* could change nothing */
			continue;
		if (fits(text, exception ? bytes_skip(line, 1) : line))
			refused = !exception;
	}
	return refused;
}

/* Looks up before + text + after; OK if it is in the list. */
static enum result
listed(const struct control *c, enum control_item item, const char *before, struct bytes text, const char *after)
{
	uint8_t room[TEXT_MAX];
	struct buf key = BUF_OVER(room);
	struct bytes none;

	buf_add_string(&key, before);
	buf_add(&key, text);
	buf_add_string(&key, after);
	return key.failed ? ABSENT : control_find(c, item, buf_bytes(&key), &none);
}

static struct bytes
domain_of(struct bytes address)
{
	return bytes_skip(address, bytes_find_last(address, '@') + 1);
}

/* Settles a look-up: true if the search is over, with *r its result. */
static bool
settles(enum result found, enum result *r, struct verdict *v, enum verdict_says says, char form)
{
	if (found == ABSENT)
		return false;
	*r = found;
	if (found == OK) {
		v->says = says;
		v->form = form;
	}
	return true;
}

enum result
pattern_check_helo(const struct control *c, struct bytes name, struct verdict *v)
{
	enum result r;

	*v = (struct verdict){ VERDICT_NONE, ' ' };
	if (name.len == 0)
		return OK;
	if (settles(listed(c, ITEM_BADHELO, "", name, "!"), &r, v, VERDICT_EXEMPT, '!') ||
	    settles(listed(c, ITEM_BADHELO, "", name, ""), &r, v, VERDICT_BAD, ' '))
		return r;
	if (wildcards_refuse(c, ITEM_BADHELO, name))
		*v = (struct verdict){ VERDICT_BAD, '*' };
	return OK;
}

enum result
pattern_check_recipient(const struct control *c, struct bytes address, struct verdict *v)
{
	enum result r;

	*v = (struct verdict){ VERDICT_NONE, ' ' };
	if (settles(listed(c, ITEM_BADRCPTTO, "", address, ""), &r, v, VERDICT_BAD, ' ') ||
	    settles(listed(c, ITEM_BADRCPTTO, "@", domain_of(address), ""), &r, v, VERDICT_BAD, '@'))
		return r;
	if (wildcards_refuse(c, ITEM_BADRCPTTO, address))
		*v = (struct verdict){ VERDICT_BAD, '*' };
	return OK;
}

/* Whether a host is `domain` or below it. */
static bool
is_within(struct bytes host, struct bytes domain)
{
	return bytes_ends_nocase(host, domain) &&
	    (host.len == domain.len || (domain.len > 0 && host.at[host.len - domain.len - 1] == '.'));
}

/* ~hostpart: a host below a listed name must send for that name only. */
static enum result
check_host_part(const struct control *c, struct bytes host, struct bytes domain)
{
	enum result r = ABSENT;

	for (struct bytes part = host; part.len > 0; part = bytes_skip(part, bytes_find(part, '.') + 1)) {
		r = listed(c, ITEM_BADMAILFROM, "~", part, "");
		if (r == OK && is_within(domain, part))
			r = ABSENT; /* listed, and its own name is used */
		if (r != ABSENT)
			break;
	}
	return r;
}

/* The forms that depend on who the peer is. */
static bool
check_forms(
    const struct control *c, struct bytes address, const struct peer_name *peer, struct verdict *v, enum result *r)
{
	struct bytes domain = domain_of(address);

	if (!peer->relays &&
	    (settles(listed(c, ITEM_BADMAILFROM, "@", domain, "+"), r, v, VERDICT_BAD, '+') ||
		settles(listed(c, ITEM_BADMAILFROM, "", address, "+"), r, v, VERDICT_BAD, '+')))
		return true;
	if (peer->host.len == 0)
		return settles(listed(c, ITEM_BADMAILFROM, "@", domain, "-"), r, v, VERDICT_BAD, '-') ||
		    settles(listed(c, ITEM_BADMAILFROM, "", address, "-"), r, v, VERDICT_BAD, '-');
	if (!is_within(peer->host, domain) &&
	    (settles(listed(c, ITEM_BADMAILFROM, "@", domain, "="), r, v, VERDICT_BAD, '=') ||
		settles(listed(c, ITEM_BADMAILFROM, "", domain, "="), r, v, VERDICT_BAD, '=')))
		return true;
	return settles(check_host_part(c, peer->host, domain), r, v, VERDICT_BAD, '~');
}

enum result
pattern_check_sender(const struct control *c, struct bytes address, const struct peer_name *peer, struct verdict *v)
{
	enum result r;

	*v = (struct verdict){ VERDICT_NONE, ' ' };
	if (address.len == 0) /* the null sender must get through (RFC 5321 4.5.5) */
		return OK;
	if (settles(listed(c, ITEM_BADMAILFROM, "?", address, ""), &r, v, VERDICT_EXEMPT, '?') ||
	    check_forms(c, address, peer, v, &r) ||
	    settles(listed(c, ITEM_BADMAILFROM, "", address, ""), &r, v, VERDICT_BAD, ' ') ||
	    settles(listed(c, ITEM_BADMAILFROM, "@", domain_of(address), ""), &r, v, VERDICT_BAD, '@'))
		return r;
	if (wildcards_refuse(c, ITEM_BADMAILFROM, address))
		*v = (struct verdict){ VERDICT_BAD, '*' };
	return OK;
}
