/* Address lists on a command line.
 * Trusts nothing: a word may come from a web form by way of somebody's program.
 * Never takes a word with a control character, so that no address can bring a line of its own. */
#include "mail/command_line.h"

#include <string.h>

struct taking {
	address_take *take;
	void *ctx;
	const char *what;
	size_t n;
};

static enum result
count_and_take(void *ctx, const struct address *a, struct why *why)
{
	struct taking *t = ctx;

	t->n++;
	return t->take(t->ctx, a, why);
}

static bool
has_control_character(struct bytes word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.at[i] == 0x7f || (word.at[i] < ' ' && word.at[i] != '\t'))
			return true;
	return false;
}

enum result
command_line_list(const char *word, const char *what, address_take *take, void *ctx, struct why *why)
{
	struct taking t = { take, ctx, what, 0 };
	struct why inner = WHY_NONE;
	enum result r;

	if (has_control_character(bytes_of_string(word)))
		return why_set(why, MALFORMED, "the %s has a line end or another control character in it", what);
	r = address_list(bytes_of_string(word), count_and_take, &t, &inner);
	if (r != OK)
		return why_set(why, r, "%s: %s", what, inner.text);
	if (t.n == 0)
		return why_set(why, MALFORMED, "the %s \"%.60s\" has no address in it", what, word);
	return OK;
}

struct single {
	struct buf text;
	size_t n;
};

static enum result
keep_one(void *ctx, const struct address *a, struct why *why)
{
	struct single *s = ctx;

	if (s->n++ > 0)
		return why_set(why, MALFORMED, "expected one address, found more");
	buf_add(&s->text, a->text);
	return OK;
}

enum result
command_line_address(
    const char *word, const char *what, uint8_t room[ADDRESS_MAX], struct bytes *address, struct why *why)
{
	struct single s = { .text = buf_over(room, ADDRESS_MAX) };
	enum result r = command_line_list(word, what, keep_one, &s, why);

	*address = buf_bytes(&s.text);
	return r;
}
