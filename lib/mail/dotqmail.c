/* The lines of a `.qmail` file, and its name.
 * Trusts nothing in it: it is a user's, and the extension is a stranger's.
 * Never does anything: it says what is to be done, in the order of the lines. */
#include "mail/dotqmail.h"

struct reading {
	dotqmail_take *take;
	void *ctx;
	bool forward_only;
	unsigned line, n_items;
};

static enum result
put(struct reading *r, enum dotqmail_kind kind, struct bytes text, struct why *why)
{
	struct dotqmail_item item = { kind, text };

	if (text.len > DOTQMAIL_LINE_MAX)
		return why_set(
		    why, EXHAUSTED, "line %u of the .qmail file has more than %u octets", r->line, DOTQMAIL_LINE_MAX);
	if (++r->n_items > DOTQMAIL_ITEMS_MAX)
		return why_set(why, EXHAUSTED, "the .qmail file has more than %u instructions", DOTQMAIL_ITEMS_MAX);
	return r->take(r->ctx, &item, why);
}

static enum result
put_file(struct reading *r, struct bytes line, struct why *why)
{
	if (r->forward_only)
		return put(
		    r, DOTQMAIL_ERROR, BYTES("Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)"), why);
	if (line.at[line.len - 1] != '/')
		return put(r, DOTQMAIL_MBOX, line, why);
	while (line.len > 1 && line.at[line.len - 1] == '/')
		line.len--;
	return put(r, DOTQMAIL_MAILDIR, line, why);
}

static enum result
put_program(struct reading *r, struct bytes line, struct why *why)
{
	if (r->forward_only)
		return put(
		    r, DOTQMAIL_ERROR, BYTES("Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)"), why);
	return put(r, DOTQMAIL_PROGRAM, bytes_skip(line, 1), why);
}

static enum result
take_line(struct reading *r, struct bytes line, struct why *why)
{
	while (line.len > 0 && (line.at[line.len - 1] == ' ' || line.at[line.len - 1] == '\t'))
		line.len--;
	if (line.len == 0)
		return r->line > 1
		    ? OK
		    : put(r, DOTQMAIL_ERROR, BYTES("Uh-oh: first line of .qmail file is blank. (#4.2.1)"), why);
	switch (line.at[0]) {
	case '#':
		return OK;
	case '.':
	case '/':
		return put_file(r, line, why);
	case '|':
		return put_program(r, line, why);
	case '+':
		r->forward_only |= bytes_equal(line, BYTES("+list"));
		return OK;
	case '&':
		line = bytes_skip(line, 1);
		break;
	default:
		break;
	}
	return put(r, DOTQMAIL_FORWARD, line, why);
}

enum result
dotqmail_parse(struct bytes text, bool executable, dotqmail_take *take, void *ctx, struct why *why)
{
	struct reading reading = { .take = take, .ctx = ctx, .forward_only = executable };
	enum result r = OK;

	if (text.len == 0)
		return put(&reading, DOTQMAIL_DEFAULT, BYTES_NONE, why);
	if (text.len > DOTQMAIL_FILE_MAX)
		return why_set(why, EXHAUSTED, "the .qmail file has more than %u octets", DOTQMAIL_FILE_MAX);
	if (bytes_find(text, '\0') < text.len)
		return why_set(why, EXHAUSTED, "the .qmail file has a zero octet in it");
	while (text.len > 0 && r == OK) {
		size_t n = bytes_find(text, '\n');

		reading.line++;
		r = take_line(&reading, bytes_first(text, n), why);
		text = bytes_skip(text, n + 1);
	}
	return r;
}

/* ---- names ---- */

static void
put_safe(struct buf *name, struct bytes extension)
{
	for (size_t i = 0; i < extension.len; i++)
		buf_add_octet(name, extension.at[i] == '.' ? ':' : ascii_lower(extension.at[i]));
}

void
dotqmail_name(struct buf *name, struct bytes dash, struct bytes extension, const char *more)
{
	buf_add_string(name, ".qmail");
	buf_add(name, dash);
	put_safe(name, extension);
	buf_add_string(name, more);
}

bool
dotqmail_next(struct dotqmail_search *s, struct buf *name, struct bytes *rest)
{
	const struct bytes word = BYTES("default");

	buf_clear(name);
	*rest = BYTES_NONE;
	if (!s->begun) {
		s->begun = true;
		s->n = s->extension.len + 1;
		dotqmail_name(name, s->dash, s->extension, "");
		if (bytes_ends_nocase(s->extension, word))
			*rest = bytes_skip(s->extension, s->extension.len - word.len);
		return true;
	}
	while (s->n-- > 0) {
		if (s->n > 0 && s->extension.at[s->n - 1] != '-')
			continue;
		dotqmail_name(name, s->dash, bytes_first(s->extension, s->n), "default");
		*rest = bytes_of(
		    s->extension.len > 0 ? s->extension.at + s->n : (const uint8_t *)"", s->extension.len - s->n);
		return true;
	}
	s->n = 0;
	return false;
}
