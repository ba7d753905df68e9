/* The header of a submitted message, completed while it passes.
 * Trusts nothing in it: what is no field ends the header.
 * Never keeps more than the start of a line, never changes what is behind the header. */
#include "mail/complete.h"

#include "mail/date.h"

#include <string.h>

void
complete_begin(struct complete *c, const char *id, const char *host)
{
	*c = (struct complete){ .place = COMPLETE_START, .id = id, .host = host };
}

static void
put_start(struct complete *c, struct buf *out)
{
	buf_add(out, bytes_of(c->start, c->n_start));
	c->n_start = 0;
}

static void
end_header(struct complete *c, uint64_t now_s, struct buf *out)
{
	if (!c->has_date) {
		buf_add_string(out, "Date: ");
		date_put(out, now_s);
		buf_add_string(out, "\r\n");
	}
	if (!c->has_id) {
		buf_add_string(out, "Message-ID: <");
		buf_add_string(out, c->id);
		buf_add_octet(out, '@');
		buf_add_string(out, c->host);
		buf_add_string(out, ">\r\n");
	}
	c->place = COMPLETE_OVER;
}

static bool
is_named(const struct complete *c, struct bytes name)
{
	return bytes_equal_nocase(bytes_trim(bytes_of(c->start, c->n_start)), name);
}

/* The name has come whole; the colon is next. */
static void
begin_field(struct complete *c, struct buf *out)
{
	c->has_date |= is_named(c, BYTES("Date"));
	c->has_id |= is_named(c, BYTES("Message-ID"));
	c->drops = is_named(c, BYTES("Bcc")) || is_named(c, BYTES("Resent-Bcc"));
	if (!c->drops)
		put_start(c, out);
	c->n_start = 0;
}

/* A line without a colon: the blank one that ends a header, or the first of a body that has none. */
static void
end_at_line(struct complete *c, uint64_t now_s, struct buf *out)
{
	end_header(c, now_s, out);
	if (c->n_start != 1 || c->start[0] != '\r')
		buf_add_string(out, "\r\n");
	put_start(c, out);
}

static void
take_start(struct complete *c, uint8_t octet, uint64_t now_s, struct buf *out)
{
	bool continues = c->n_start == 0 && (octet == ' ' || octet == '\t');

	if (octet == ':' && c->n_start > 0)
		begin_field(c, out);
	else if (octet == '\n')
		end_at_line(c, now_s, out);
	else if (!continues && c->n_start < COMPLETE_NAME_MAX) {
		c->start[c->n_start++] = octet;
		return;
	} else if (!continues) { /* no field that is looked for */
		c->drops = false;
		put_start(c, out);
	}
	if (c->place == COMPLETE_START)
		c->place = COMPLETE_LINE;
	if (!c->drops || c->place == COMPLETE_OVER)
		buf_add_octet(out, octet);
}

static size_t
take_line(struct complete *c, struct bytes content, struct buf *out)
{
	size_t n = bytes_find(content, '\n');

	if (n < content.len) {
		c->place = COMPLETE_START;
		n++;
	}
	if (!c->drops)
		buf_add(out, bytes_first(content, n));
	return n;
}

void
complete_push(struct complete *c, struct bytes content, uint64_t now_s, struct buf *out)
{
	while (content.len > 0 && c->place != COMPLETE_OVER)
		if (c->place == COMPLETE_LINE)
			content = bytes_skip(content, take_line(c, content, out));
		else {
			take_start(c, content.at[0], now_s, out);
			content = bytes_skip(content, 1);
		}
	buf_add(out, content);
}

void
complete_finish(struct complete *c, uint64_t now_s, struct buf *out)
{
	if (c->place == COMPLETE_OVER)
		return;
	if (c->place == COMPLETE_LINE && !c->drops)
		buf_add_string(out, "\r\n");
	end_header(c, now_s, out);
	put_start(c, out);
}
