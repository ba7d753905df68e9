/* Decoding of message content.
 * Trusts nothing: every octet is the peer's, and so is every cut.
 * Never ends DATA at anything but CRLF.CRLF, never turns what it refuses into a line end. */
#include "net/smtp_data.h"

#include <string.h>

void
smtp_data_begin(struct smtp_data *d, bool chunked, bool excuse_lf, bool excuse_cr)
{
	*d = (struct smtp_data){
		.state = SMTP_DATA_START, .chunked = chunked, .excuse_lf = excuse_lf, .excuse_cr = excuse_cr
	};
}

struct out {
	uint8_t *at;
	size_t n;
	const uint8_t
	    *lf; /* the next LF of the input, or its end; kept, so that no octet is looked at once for each line */
};

static void
put(struct smtp_data *d, struct out *o, const void *what, size_t len)
{
	if (d->fault != SMTP_DATA_FINE)
		return;
	memcpy(o->at + o->n, what, len);
	o->n += len;
}

static void
note(struct smtp_data *d, enum smtp_data_fault fault)
{
	if (d->fault == SMTP_DATA_FINE)
		d->fault = fault;
}

/* a LF that no CR precedes */
static void
bare_lf(struct smtp_data *d, struct out *o)
{
	if (d->excuse_lf) {
		put(d, o, "\r\n", 2);
		d->state = SMTP_DATA_START_LF;
		return;
	}
	note(d, SMTP_DATA_BARE_LF);
	d->state = SMTP_DATA_TEXT; /* whatever follows, no line starts here */
}

/* text up to the next CR or LF, or to the end; returns what was used, the line end not included */
static size_t
span(struct smtp_data *d, struct bytes in, struct out *o)
{
	size_t n;

	if (o->lf == NULL || o->lf < in.at)
		o->lf = in.at + bytes_find(in, '\n');
	n = bytes_find(bytes_first(in, (size_t)(o->lf - in.at)), '\r');
	if (n > 0 && memchr(in.at, '\0', n) != NULL)
		note(d, SMTP_DATA_NUL);
	put(d, o, in.at, n);
	return n;
}

static size_t
text(struct smtp_data *d, struct bytes in, struct out *o)
{
	size_t n = span(d, in, o);

	d->state = SMTP_DATA_TEXT;
	if (n == in.len)
		return n;
	if (in.at[n] == '\r')
		d->state = SMTP_DATA_CR;
	else
		bare_lf(d, o);
	return n + 1;
}

/* after a held CR */
static size_t
after_cr(struct smtp_data *d, uint8_t c, struct out *o)
{
	if (c == '\n') {
		put(d, o, "\r\n", 2);
		d->state = SMTP_DATA_START;
		return 1;
	}
	if (d->excuse_cr && c == '\r') { /* of a CR CR LF, or two line ends */
		d->state = SMTP_DATA_CR_CR;
		return 1;
	}
	if (d->excuse_cr) {
		put(d, o, "\r\n", 2);
		d->state = SMTP_DATA_START_LF;
		return 0;
	}
	note(d, SMTP_DATA_BARE_CR);
	d->state = c == '\r' ? SMTP_DATA_CR : SMTP_DATA_TEXT;
	return c == '\r';
}

/* after two CRs that are excused */
static size_t
after_crs(struct smtp_data *d, uint8_t c, struct out *o)
{
	put(d, o, "\r\n", 2);
	if (c == '\n') {
		d->state = SMTP_DATA_START;
		return 1;
	}
	if (c == '\r')
		return 1;
	put(d, o, "\r\n", 2);
	d->state = SMTP_DATA_START_LF;
	return 0;
}

static size_t
after_dot_cr(struct smtp_data *d, uint8_t c, struct out *o)
{
	if (c == '\n') {
		d->state = SMTP_DATA_END;
		return 1;
	}
	if (d->excuse_cr) { /* a line of one dot that a bare CR ends: it ends nothing */
		put(d, o, ".", 1);
		d->state = SMTP_DATA_CR;
		return 0;
	}
	note(d, SMTP_DATA_BARE_CR);
	d->state = c == '\r' ? SMTP_DATA_CR : SMTP_DATA_TEXT;
	return c == '\r';
}

static size_t
step(struct smtp_data *d, struct bytes in, struct out *o)
{
	uint8_t c = in.at[0];

	switch (d->state) {
	case SMTP_DATA_START:
		if (c != '.' || d->chunked)
			return text(d, in, o);
		d->state = SMTP_DATA_DOT;
		return 1;
	case SMTP_DATA_START_LF:
		if (c != '.' || d->chunked)
			return text(d, in, o);
		d->state = SMTP_DATA_DOT_LF;
		return 1;
	case SMTP_DATA_DOT_LF:
		if (c == '\r' || c == '\n')
			put(d, o, ".", 1); /* this line of one dot ends nothing: it is content */
		return text(d, in, o);
	case SMTP_DATA_TEXT:
		return text(d, in, o);
	case SMTP_DATA_CR:
		return after_cr(d, c, o);
	case SMTP_DATA_CR_CR:
		return after_crs(d, c, o);
	case SMTP_DATA_DOT:
		if (c == '\r') {
			d->state = SMTP_DATA_DOT_CR;
			return 1;
		}
		if (c == '\n' && d->excuse_lf)
			put(d, o, ".", 1); /* a line of one dot that a bare LF ends: it ends nothing */
		return text(d, in, o);     /* else the dot was stuffing */
	case SMTP_DATA_DOT_CR:
		return after_dot_cr(d, c, o);
	case SMTP_DATA_END:
		break;
	}
	return 0;
}

size_t
smtp_data_push(struct smtp_data *d, struct bytes in, uint8_t *out, size_t *n)
{
	struct out o = { out, 0, NULL };
	size_t used = 0;

	while (used < in.len && d->state != SMTP_DATA_END)
		used += step(d, bytes_skip(in, used), &o);
	*n = o.n;
	return used;
}

size_t
smtp_data_finish(struct smtp_data *d, uint8_t out[2])
{
	bool whole = d->state == SMTP_DATA_START || d->state == SMTP_DATA_START_LF; /* DOT states are of DATA alone */

	if (d->state == SMTP_DATA_CR && !d->excuse_cr)
		note(d, SMTP_DATA_BARE_CR);
	d->state = SMTP_DATA_END;
	out[0] = '\r';
	out[1] = '\n';
	return whole || d->fault != SMTP_DATA_FINE ? 0 : 2;
}

static void
line_ended(struct smtp_hops *h)
{
	struct bytes start = { h->start, h->n_start };

	if (h->n_start == 0 || (h->n_start == 1 && h->start[0] == '\r'))
		h->over = true;
	else if (bytes_starts_nocase(start, BYTES("Received:")))
		h->received++;
	else if (bytes_starts_nocase(start, BYTES("Delivered-To:")))
		h->delivered_to++;
	h->n_start = 0;
}

void
smtp_hops_push(struct smtp_hops *h, struct bytes content)
{
	while (content.len > 0 && !h->over) {
		size_t n = bytes_find(content, '\n');
		size_t room = sizeof h->start - h->n_start, kept = n < room ? n : room;

		memcpy(h->start + h->n_start, content.at, kept);
		h->n_start = (uint8_t)(h->n_start + kept);
		if (n < content.len)
			line_ended(h);
		content = bytes_skip(content, n + 1);
	}
}
