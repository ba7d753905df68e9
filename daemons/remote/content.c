/* The message on its way out: from the queue file, behind its trace fields.
 * Trusts nothing in it for a line end: each line leaves with CRLF, so that no content can end itself or be a command.
 * Never holds more of it than a block. */
#include "remote/remote.h"

#include "sys/fd.h"

#include <string.h>

#define BLOCK (40u << 10)
#define PIECE (16u << 10)
#define CHUNKS_AHEAD 32 /* replies to BDAT that may wait in the socket, if the peer takes commands without waiting */

struct sender {
	struct session *s;
	bool chunked;
	unsigned chunks_ahead;
	bool line_start, after_cr;
	unsigned n_chunks, n_answered;
	struct smtp_reply *refusal;
	struct buf block;
};

/* Not on the stack: touched as far as messages need it. */
static uint8_t block_room[BLOCK + 64], piece_room[PIECE];

/* A chunk that was refused: what follows is not worth sending. */
static enum result
read_answers(struct sender *c, unsigned leave, struct why *why)
{
	while (c->n_chunks - c->n_answered > leave) {
		enum result r = talk_reply(&c->s->line.talk, session_limit(c->s, MINUTES(5)), c->refusal, NULL, why);

		if (r != OK)
			return r;
		c->n_answered++;
		if (c->refusal->code / 100 != 2)
			return REFUSED;
	}
	return OK;
}

static enum result
send_block(struct sender *c, bool last, struct why *why)
{
	struct talk *t = &c->s->line.talk;
	enum result r = OK;

	if (t->out.len > 0 && t->out.len + c->block.len + 64 > TALK_OUT)
		r = talk_flush(t, session_limit(c->s, MINUTES(3)), why);
	if (c->chunked && (c->block.len > 0 || last)) {
		buf_format(&t->out, "BDAT %zu%s\r\n", c->block.len, last ? " LAST" : "");
		c->n_chunks++;
	}
	buf_add(&t->out, buf_bytes(&c->block));
	buf_clear(&c->block);
	if (r == OK && !last)
		r = talk_flush(t, session_limit(c->s, MINUTES(3)), why);
	return r == OK ? read_answers(c, last ? UINT32_MAX : c->chunks_ahead, why) : r;
}

static enum result
add_text(struct sender *c, struct bytes text, struct why *why)
{
	while (text.len > 0) {
		struct bytes part = bytes_first(text, BLOCK / 2);
		enum result r;

		if (c->block.len + part.len > BLOCK && (r = send_block(c, false, why)) != OK)
			return r;
		buf_add(&c->block, part);
		text = bytes_skip(text, part.len);
	}
	return OK;
}

static enum result
end_line(struct sender *c, struct why *why)
{
	c->line_start = true;
	return add_text(c, BYTES("\r\n"), why);
}

/* Text without CR and LF. */
static enum result
add_line_part(struct sender *c, struct bytes part, struct why *why)
{
	enum result r = OK;

	if (part.len == 0)
		return OK;
	if (c->line_start && !c->chunked && part.at[0] == '.')
		r = add_text(c, BYTES("."), why);
	c->line_start = false;
	return r == OK ? add_text(c, part, why) : r;
}

/* CRLF, a lone LF and a lone CR all end a line; what leaves ends in CRLF. */
static enum result
add_content(struct sender *c, struct bytes in, struct why *why)
{
	enum result r = OK;

	while (r == OK && in.len > 0) {
		size_t n;

		if (c->after_cr) {
			c->after_cr = false;
			if (in.at[0] == '\n') {
				in = bytes_skip(in, 1);
				continue;
			}
		}
		n = bytes_find(in, '\n');
		n = bytes_find(bytes_first(in, n), '\r');
		r = add_line_part(c, bytes_first(in, n), why);
		if (n < in.len && r == OK) {
			c->after_cr = in.at[n] == '\r';
			r = end_line(c, why);
		}
		in = bytes_skip(in, n + 1);
	}
	return r;
}

static enum result
add_file(struct sender *c, const struct transaction *t, struct why *why)
{
	uint64_t done = 0;
	enum result r = OK;

	while (r == OK && done < t->message.content_len) {
		uint64_t left = t->message.content_len - done;
		size_t n = 0;

		if (fd_pread_all(t->fd, piece_room, left < PIECE ? (size_t)left : PIECE,
			(off_t)(t->message.content_at + done), &n) != OK ||
		    n == 0)
			return why_set(why, MALFORMED, "the message in the queue can't be read");
		done += n;
		r = add_content(c, bytes_of(piece_room, n), why);
	}
	return r;
}

enum result
content_send(struct session *s, const struct transaction *t, bool chunked, unsigned *n_chunks,
    struct smtp_reply *refusal, struct why *why)
{
	struct sender c = { .s = s, .chunked = chunked, .line_start = true, .refusal = refusal };
	enum result r;

	c.chunks_ahead = (s->line.offer.can & SMTP_CAN_PIPELINE) != 0 ? CHUNKS_AHEAD : 0;
	c.block = BUF_OVER(block_room);
	r = add_content(&c, t->trace, why);
	if (r == OK)
		r = add_file(&c, t, why);
	if (r == OK && !c.line_start)
		r = end_line(&c, why);
	if (r == OK && !chunked)
		r = add_text(&c, BYTES(".\r\n"), why);
	if (r == OK)
		r = send_block(&c, true, why);
	*n_chunks = c.n_chunks - c.n_answered;
	return r;
}
