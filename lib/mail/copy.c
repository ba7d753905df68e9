/* From a queue file into a file of another form.
 * Trusts queue for the content's framing (CRLF lines); not the content.
 * Never changes an octet of the content but the CR before each LF, and what an mbox needs. */
#include "mail/copy.h"

#include "base/buf.h"
#include "sys/fd.h"

#include <errno.h>
#include <string.h>

#define PIECE 65536

struct copier {
	const struct copy_job *job;
	struct buf out;
	bool held_cr; /* the last octet was a CR: it is known next time what follows */
	bool in_header;
	bool loop;
	uint8_t line[600]; /* of the header line in progress, as far as it fits */
	size_t line_len;
	/* for an mbox: what of `>*From ` this line began with, not yet written */
	bool at_line, has_lf;
	unsigned n_matched;
	uint64_t n_marks;
};

/* Not on the stack: touched as far as messages need it. */
static uint8_t in_octets[PIECE], out_octets[4 * PIECE];

static enum result
flush_out(struct copier *c, struct why *why)
{
	enum result r = fd_write_all(c->job->to_fd, buf_bytes(&c->out));

	buf_clear(&c->out);
	return r == OK ? OK : why_errno(why, r, "writing the message");
}

static void
header_line(struct copier *c)
{
	static const struct bytes field = { (const uint8_t *)"Delivered-To:", 13 };
	struct bytes line = { c->line, c->line_len };

	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	if (line.len == 0)
		c->in_header = false;
	else if (bytes_starts_nocase(line, field) &&
	    bytes_equal_nocase(bytes_trim(bytes_skip(line, field.len)), c->job->recipient))
		c->loop = true;
	c->line_len = 0;
}

static void
watch_header(struct copier *c, struct bytes in)
{
	while (in.len > 0 && c->in_header) {
		size_t n = bytes_find(in, '\n'), room = sizeof c->line - c->line_len;

		memcpy(c->line + c->line_len, in.at, n < room ? n : room);
		c->line_len += n < room ? n : room;
		if (n < in.len)
			header_line(c);
		in = bytes_skip(in, n + 1);
	}
}

static const uint8_t from[] = "From ";
#define FROM_LEN (sizeof from - 1)

/* What was held back is written: quoted, if it was all of it. */
static void
release(struct copier *c)
{
	for (uint64_t i = 0; i < c->n_marks + (c->n_matched == FROM_LEN); i++)
		buf_add_octet(&c->out, '>');
	buf_add(&c->out, bytes_of(from, c->n_matched));
	c->n_marks = c->n_matched = 0;
	c->at_line = false;
}

static void
put_quoted(struct copier *c, struct bytes what)
{
	for (size_t i = 0; i < what.len; i++) {
		uint8_t octet = what.at[i];

		if (c->at_line && c->n_matched == 0 && octet == '>' && c->n_marks < PIECE) {
			c->n_marks++;
			continue;
		}
		if (c->at_line && octet == from[c->n_matched]) {
			if (++c->n_matched == FROM_LEN)
				release(c);
			continue;
		}
		if (c->at_line)
			release(c);
		buf_add_octet(&c->out, octet);
		c->at_line = octet == '\n';
	}
	if (what.len > 0)
		c->has_lf = what.at[what.len - 1] == '\n';
}

static void
put(struct copier *c, struct bytes what)
{
	if (c->job->form == COPY_MBOX)
		put_quoted(c, what);
	else
		buf_add(&c->out, what);
}

/* CRLF becomes LF; a CR before anything else stays */
static void
convert(struct copier *c, struct bytes in)
{
	while (in.len > 0) {
		size_t n;

		if (c->held_cr && in.at[0] != '\n')
			put(c, BYTES("\r"));
		c->held_cr = false;
		n = bytes_find(in, '\r');
		put(c, bytes_first(in, n));
		c->held_cr = n < in.len;
		in = bytes_skip(in, n + 1);
	}
}

static void
add_fields(struct copier *c)
{
	if (c->job->form == COPY_MBOX)
		buf_add(&c->out, c->job->from_line);
	if (c->job->form != COPY_PLAIN) {
		buf_add_string(&c->out, "Return-Path: <");
		buf_add(&c->out, c->job->reverse_path);
		buf_add_string(&c->out, ">\nDelivered-To: ");
		buf_add(&c->out, c->job->recipient);
		buf_add_octet(&c->out, '\n');
	}
	convert(c, c->job->trace);
	c->held_cr = false;
}

static void
end_mbox(struct copier *c)
{
	if (c->job->form != COPY_MBOX)
		return;
	if (c->at_line)
		release(c);
	buf_add_string(&c->out, c->has_lf ? "\n" : "\n\n");
}

enum result
copy_message(const struct copy_job *job, struct why *why)
{
	struct copier c = {
		.job = job, .out = BUF_OVER(out_octets), .in_header = true, .at_line = true, .has_lf = true
	};
	uint64_t done = 0;
	enum result r;
	size_t n;

	add_fields(&c);
	while (done < job->content_len) {
		uint64_t left = job->content_len - done;

		r = fd_pread_all(
		    job->from_fd, in_octets, left < PIECE ? (size_t)left : PIECE, (off_t)(job->content_at + done), &n);
		if (r != OK || n == 0)
			return why_set(why, BROKEN, "the message in the queue can't be read");
		done += n;
		watch_header(&c, bytes_of(in_octets, n));
		convert(&c, bytes_of(in_octets, n));
		if (c.loop)
			return why_set(
			    why, REFUSED, "this message is going in circles: it was delivered to this address before");
		if (done < job->content_len && (r = flush_out(&c, why)) != OK)
			return r;
	}
	if (c.held_cr)
		put(&c, BYTES("\r"));
	end_mbox(&c);
	return flush_out(&c, why);
}
