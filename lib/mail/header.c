/* The end of a header.
 * Trusts nothing: what is piped in may have no header at all, and then all of it is body.
 * Never looks at a line twice that was whole. */
#include "mail/header.h"

#define NAME_LOOKED_FOR \
	1000 /* octets of a line: RFC 5322 2.1.1 allows it 998, so a colon behind them ends no field name */

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* name, blanks, colon */
static bool
is_field(struct bytes line)
{
	size_t n = 0, blanks;

	while (n < line.len && line.at[n] > ' ' && line.at[n] < 0x7f && line.at[n] != ':')
		n++;
	for (blanks = 0; n + blanks < line.len && is_blank(line.at[n + blanks]); blanks++)
		;
	return n > 0 && n + blanks < line.len && line.at[n + blanks] == ':';
}

static bool
belongs(struct bytes line, bool first)
{
	if (first && (bytes_starts(line, BYTES("From ")) || bytes_starts(line, BYTES(">From "))))
		return true;
	return is_field(line) || (!first && is_blank(line.at[0]));
}

bool
header_find_end(struct header_end *h, struct bytes text, bool ended)
{
	while (h->line_at < text.len) {
		struct bytes rest = bytes_skip(text, h->line_at), line;
		size_t n = bytes_find(rest, '\n');

		if (n == rest.len && !ended) {
			if (rest.len < NAME_LOOKED_FOR || belongs(bytes_first(rest, NAME_LOOKED_FOR), h->line_at == 0))
				return false;
			h->header_len = h->body_at = h->line_at;
			return true;
		}
		line = bytes_first(rest, n > 0 && rest.at[n - 1] == '\r' ? n - 1 : n);
		h->header_len = h->body_at = h->line_at;
		if (line.len == 0) {
			h->body_at += n < rest.len ? n + 1 : n;
			return true;
		}
		if (!belongs(line, h->line_at == 0))
			return true;
		h->line_at += n < rest.len ? n + 1 : n;
	}
	h->header_len = h->body_at = h->line_at;
	return ended;
}
