/* The header of a submitted message, completed while it passes.
 * Trusts nothing in it: a line that is no field ends the header.
 * Never keeps more than the start of a line, never changes what is behind the header. */
#include "mail/complete.h"

#include "mail/date.h"

#include <string.h>

void
complete_begin(struct complete *c, const char *id, const char *host)
{
	*c = (struct complete){ .place = COMPLETE_START, .first_line = true, .id = id, .host = host };
}

static void
put_start(struct complete *c, struct buf *out)
{
	buf_add(out, bytes_of(c->start, c->n_start));
	c->n_start = c->n_name = 0;
}

static void
add_missing(const struct complete *c, uint64_t now_s, struct buf *out)
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
}

/* The line in start is not part of the header; octet comes next in it. */
static void
end_header(struct complete *c, uint8_t octet, uint64_t now_s, struct buf *out)
{
	bool blank = octet == '\n' && (c->n_start == 0 || (c->n_start == 1 && c->start[0] == '\r'));

	add_missing(c, now_s, out);
	if (!blank)
		buf_add_string(out, "\r\n");
	put_start(c, out);
	buf_add_octet(out, octet);
	c->place = COMPLETE_OVER;
}

static bool
is_named(const struct complete *c, struct bytes name)
{
	return bytes_equal_nocase(bytes_of(c->start, c->n_name), name);
}

static void
enter_line(struct complete *c, uint8_t octet, struct buf *out)
{
	if (!c->drops) {
		put_start(c, out);
		buf_add_octet(out, octet);
	}
	c->n_start = c->n_name = 0;
	c->place = COMPLETE_LINE;
	c->first_line = false;
}

/* The name has come whole; octet is the colon. */
static void
begin_field(struct complete *c, uint8_t octet, struct buf *out)
{
	c->has_fields = true;
	c->has_date |= is_named(c, BYTES("Date"));
	c->has_id |= is_named(c, BYTES("Message-ID"));
	c->drops = is_named(c, BYTES("Bcc")) || is_named(c, BYTES("Resent-Bcc"));
	enter_line(c, octet, out);
}

static bool
is_blank(uint8_t octet)
{
	return octet == ' ' || octet == '\t';
}

/* The line that separates messages in an mbox: some programs leave it at the front. */
static bool
is_mbox_line(const struct complete *c)
{
	return c->first_line && c->n_start > c->n_name && (is_named(c, BYTES("From")) || is_named(c, BYTES(">From")));
}

/* Whether octet can follow what is in start, so that the line may still become a field, or the blank line. */
static bool
may_go_on(const struct complete *c, uint8_t octet)
{
	if (c->n_start == COMPLETE_NAME_MAX)
		return false;
	if (c->n_start == 0 && octet == '\r')
		return true;
	if (is_blank(octet))
		return c->n_name > 0;
	return octet > ' ' && octet < 0x7f && c->n_start == c->n_name;
}

static void
take_start(struct complete *c, uint8_t octet, uint64_t now_s, struct buf *out)
{
	if (octet == ':' && c->n_name > 0) {
		begin_field(c, octet, out);
	} else if (c->n_start == 0 && is_blank(octet) && c->has_fields) {
		enter_line(c, octet, out);
	} else if (octet != ':' && may_go_on(c, octet)) {
		c->start[c->n_start++] = octet;
		if (octet > ' ')
			c->n_name = c->n_start;
	} else if (is_mbox_line(c)) {
		c->drops = true;
		enter_line(c, octet, out);
	} else {
		end_header(c, octet, now_s, out);
	}
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
	add_missing(c, now_s, out);
	if (c->n_start > 0)
		buf_add_string(out, "\r\n");
	put_start(c, out);
	c->place = COMPLETE_OVER;
}
