/* Messages on their way to a POP3 client.
 * Trusts nothing about the content.
 * Never changes an octet of a line, whatever ends it. */
#include "net/pop3_text.h"

enum { LINE_EMPTY, LINE_CR, LINE_MORE };

static void
add_piece(struct pop3_text *t, struct bytes piece, struct buf *out)
{
	if (t->line == LINE_EMPTY && piece.at[0] == '.')
		buf_add_octet(out, '.');
	buf_add(out, piece);
	t->after_cr = piece.at[piece.len - 1] == '\r';
	t->line = t->line == LINE_EMPTY && piece.len == 1 && t->after_cr ? LINE_CR : LINE_MORE;
}

static void
end_line(struct pop3_text *t, struct buf *out)
{
	buf_add_string(out, t->after_cr ? "\n" : "\r\n");
	if (t->in_body && t->counts)
		t->n_lines--;
	else if (t->line != LINE_MORE)
		t->in_body = true;
	t->ended = t->counts && t->in_body && t->n_lines == 0;
	t->line = LINE_EMPTY;
	t->after_cr = false;
}

void
pop3_text_push(struct pop3_text *t, struct bytes in, struct buf *out)
{
	while (in.len > 0 && !t->ended) {
		size_t n = bytes_find(in, '\n');

		if (n > 0)
			add_piece(t, bytes_first(in, n), out);
		if (n < in.len)
			end_line(t, out);
		in = bytes_skip(in, n + 1);
	}
}

void
pop3_text_finish(struct pop3_text *t, struct buf *out)
{
	if (t->line != LINE_EMPTY)
		buf_add_string(out, "\r\n");
	buf_add_string(out, ".\r\n");
}

void
pop3_size_push(struct pop3_size *s, struct bytes in)
{
	const struct bytes whole = in;

	if (in.len == 0)
		return;
	s->octets += in.len;
	for (size_t at = 0; (at += bytes_find(bytes_skip(whole, at), '\n')) < whole.len; at++)
		s->octets += (at == 0 ? s->last : whole.at[at - 1]) != '\r';
	s->last = whole.at[whole.len - 1];
}

uint64_t
pop3_size_finish(const struct pop3_size *s)
{
	return s->octets > 0 && s->last != '\n' ? s->octets + 2 : s->octets;
}
