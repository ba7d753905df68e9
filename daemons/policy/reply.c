/* Replies.
 * Trusts its callers' texts; an administrator's words are made printable.
 * Never makes a line longer than the session takes. */
#include "policy/reply.h"

struct reply
reply_of_failure(enum result r)
{
	if (r == EXHAUSTED)
		return REFUSAL(452, 4, 3, 1, "out of room for mail, try again later", "no room");
	return REFUSAL(451, 4, 3, 0, "a trouble of this host, try again later", "trouble");
}

struct bytes
reply_text(const struct reply *r, char room[SP_TEXT_MAX])
{
	struct bytes text = bytes_of_string(r->text);
	struct buf line = buf_over(room, SP_TEXT_MAX);

	buf_add(&line, bytes_first(text, SP_TEXT_MAX - 1));
	if (r->custom.len > 0 && line.len + 1 < SP_TEXT_MAX) {
		buf_add_octet(&line, ' ');
		for (size_t i = 0; i < r->custom.len && line.len < SP_TEXT_MAX; i++)
			buf_add_octet(&line, r->custom.at[i] < 0x20 || r->custom.at[i] > 0x7e ? '?' : r->custom.at[i]);
	}
	return buf_bytes(&line);
}
