/* Mailboxes.
 * Trusts nothing: the text is the peer's.
 * Never lets a control octet, a line end or a zero through, quoted or not; never reads a local part in two ways. */
#include "net/mailbox.h"

#include "base/utf8.h"
#include "net/domain.h"

#include <assert.h>
#include <string.h>

static bool
is_atext(uint8_t c)
{
	return ascii_is_alnum(c) || (c != '\0' && c < 0x80 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
add_local(struct mailbox *m, uint8_t c)
{
	if (m->local_len == MAILBOX_PART_MAX)
		return false;
	m->local[m->local_len++] = c;
	return true;
}

/* UTF-8, but not what ends a line or steers a terminal: C1, U+2028, U+2029 */
static bool
is_allowed_8bit(struct bytes text, bool utf8)
{
	static const char separator[] = "\xe2\x80";

	if (!utf8 || utf8_sequence(text) == 0 || (text.at[0] == 0xc2 && text.at[1] < 0xa0))
		return false;
	return !bytes_starts(text, BYTES(separator)) || (text.at[2] != 0xa8 && text.at[2] != 0xa9);
}

/* "quoted string"; returns the octets it takes, 0 if it is malformed */
static size_t
take_quoted(struct bytes text, bool utf8, struct mailbox *m)
{
	for (size_t i = 1; i < text.len; i++) {
		uint8_t c = text.at[i];
		size_t n;

		if (c == '"')
			return i + 1;
		if (c == '\\' && ++i < text.len)
			c = text.at[i];
		if (i == text.len || c < ' ' || c == 0x7f)
			return 0;
		if (c >= 0x80 && !is_allowed_8bit(bytes_skip(text, i), utf8))
			return 0;
		n = c >= 0x80 ? utf8_sequence(bytes_skip(text, i)) : 1;
		for (size_t k = 0; k < n; k++)
			if (!add_local(m, text.at[i + k]))
				return 0;
		i += n - 1;
	}
	return 0;
}

/* dot-string; dots at odd places are taken as qmail and Postfix do, since such addresses exist */
static size_t
take_dot_string(struct bytes text, bool utf8, struct mailbox *m)
{
	size_t i = 0;

	while (i < text.len && text.at[i] != '@') {
		size_t n = 1;

		if (text.at[i] >= 0x80) {
			if (!is_allowed_8bit(bytes_skip(text, i), utf8))
				return 0;
			n = utf8_sequence(bytes_skip(text, i));
		} else if (!is_atext(text.at[i]) && text.at[i] != '.')
			return 0;
		for (size_t k = 0; k < n; k++)
			if (!add_local(m, text.at[i + k]))
				return 0;
		i += n;
	}
	return i;
}

/* @one,@two:rest - RFC 5321 4.1.1.3: accepted and ignored */
static bool
drop_source_route(struct bytes *text, bool utf8)
{
	struct bytes route, hop;
	size_t colon = bytes_find(*text, ':');

	if (text->len == 0 || text->at[0] != '@')
		return true;
	if (colon == text->len)
		return false;
	route = bytes_first(*text, colon);
	while (bytes_split(&route, ',', &hop))
		if (hop.len < 2 || hop.at[0] != '@' ||
		    (!domain_is_valid(bytes_skip(hop, 1), utf8) && !domain_is_literal(bytes_skip(hop, 1))))
			return false;
	*text = bytes_skip(*text, colon + 1);
	return text->len > 0;
}

static enum result
take_domain(struct bytes domain, bool utf8, struct mailbox *m, struct why *why)
{
	m->literal = domain_is_literal(domain);
	if (!m->literal && !domain_is_valid(domain, utf8))
		return why_set(why, MALFORMED, "bad domain");
	memcpy(m->domain, domain.at, domain.len); /* at most DOMAIN_MAX */
	m->domain_len = (uint16_t)domain.len;
	return OK;
}

enum result
mailbox_parse(struct bytes text, bool utf8, struct mailbox *m, struct why *why)
{
	size_t n;

	static_assert(DOMAIN_MAX <= MAILBOX_PART_MAX, "a valid domain fits");
	m->local_len = m->domain_len = 0;
	m->literal = false;
	m->utf8 = !utf8_is_ascii(text);
	if (text.len == 0)
		return OK;
	if (text.len > MAILBOX_MAX)
		return why_set(why, MALFORMED, "address too long");
	if (m->utf8 && !utf8)
		return why_set(why, MALFORMED, "address is not ASCII");
	if (!drop_source_route(&text, utf8))
		return why_set(why, MALFORMED, "bad source route");
	n = text.at[0] == '"' ? take_quoted(text, utf8, m) : take_dot_string(text, utf8, m);
	if (n == 0 || m->local_len == 0)
		return why_set(why, MALFORMED, "bad local part");
	if (n == text.len)
		return OK;
	if (text.at[n] != '@')
		return why_set(why, MALFORMED, "bad local part");
	return take_domain(bytes_skip(text, n + 1), utf8, m, why);
}

bool
mailbox_is_empty(const struct mailbox *m)
{
	return m->local_len == 0;
}

struct bytes
mailbox_local(const struct mailbox *m)
{
	return bytes_of(m->local, m->local_len);
}

struct bytes
mailbox_domain(const struct mailbox *m)
{
	return bytes_of(m->domain, m->domain_len);
}

static bool
needs_quotes(struct bytes local)
{
	for (size_t i = 0; i < local.len; i++)
		if (!is_atext(local.at[i]) && local.at[i] != '.' && local.at[i] < 0x80)
			return true;
	return false;
}

void
mailbox_print(const struct mailbox *m, struct buf *into)
{
	struct bytes local = mailbox_local(m);
	bool quotes = needs_quotes(local);

	if (quotes)
		buf_add_octet(into, '"');
	for (size_t i = 0; i < local.len; i++) {
		if (local.at[i] == '"' || local.at[i] == '\\')
			buf_add_octet(into, '\\');
		buf_add_octet(into, local.at[i]);
	}
	if (quotes)
		buf_add_octet(into, '"');
	if (m->domain_len > 0) {
		buf_add_octet(into, '@');
		buf_add(into, mailbox_domain(m));
	}
}
