/* Questions to policy.
 * Trusts policy's decisions; prints its texts only if they are one printable line.
 * Never goes on without an answer, never keeps a descriptor that it did not ask for. */
#include "smtpd/session.h"

#include "base/enhanced.h"

#include <unistd.h>

static bool
gone(struct session *s)
{
	session_reply(s, 421, 3, 2, "this host can't serve you now");
	session_flush(s);
	s->over = true;
	return false;
}

bool
session_may_say(unsigned code, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ' || text.at[i] >= 0x7f)
			return false;
	return code >= 200 && code <= 599;
}

static bool
say(struct session *s, const struct sp_answer *a, struct bytes text)
{
	if (!session_may_say(a->code, text) || a->enhanced[0] > 5 || !enhanced_is_valid(a->enhanced))
		return gone(s);
	if (a->enhanced[0] == 0)
		session_add(s, "%u %.*s\r\n", a->code, (int)text.len, (const char *)text.at);
	else
		session_add(s, "%u %u.%u.%u %.*s\r\n", a->code, a->enhanced[0], a->enhanced[1], a->enhanced[2],
		    (int)text.len, (const char *)text.at);
	if (a->code >= 500)
		s->n_errors++;
	if (a->close != 0) {
		session_flush(s);
		s->over = true;
	}
	return true;
}

static bool
exchange(struct session *s, uint16_t type, const void *body, struct bytes tail, struct wire_buffer *buffer,
    struct wire_message *m)
{
	struct why why = WHY_NONE;
	enum result r = channel_send(&s->policy, type, 0, body, tail, NULL, &why);

	if (r == OK)
		r = channel_receive(&s->policy, buffer, m, &why);
	return r == OK || gone(s);
}

bool
session_ask(struct session *s, uint16_t type, const void *body, struct bytes tail, bool *accepted)
{
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;
	const struct sp_answer *a;

	if (!exchange(s, type, body, tail, &buffer, &m))
		return false;
	if (m.type != SP_ANSWER) {
		wire_close_fds(&m);
		return gone(s);
	}
	a = m.body;
	*accepted = a->code < 300;
	return say(s, a, m.tail);
}

bool
session_ask_sasl(struct session *s, uint16_t type, const void *body, struct bytes tail, bool *more)
{
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;

	if (!exchange(s, type, body, tail, &buffer, &m))
		return false;
	*more = m.type == SP_CHALLENGE;
	if (m.type == SP_ANSWER) {
		s->authenticated = ((const struct sp_answer *)m.body)->code == 235;
		return say(s, m.body, m.tail);
	}
	if (!*more || !session_may_say(334, m.tail)) {
		wire_close_fds(&m);
		return gone(s);
	}
	session_add(s, "334 %.*s\r\n", (int)m.tail.len, (const char *)m.tail.at);
	return true;
}

void
session_cancel_sasl(struct session *s)
{
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;

	if (exchange(s, SP_SASL, NULL, BYTES("*"), &buffer, &m) && m.type != SP_ANSWER) {
		wire_close_fds(&m);
		(void)gone(s);
	}
}

bool
session_ask_content(struct session *s, bool *accepted)
{
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;
	const struct sp_content *content;

	if (!exchange(s, SP_DATA, NULL, BYTES_NONE, &buffer, &m))
		return false;
	*accepted = m.type == SP_CONTENT;
	if (m.type == SP_ANSWER)
		return say(s, m.body, m.tail);
	if (m.type != SP_CONTENT) {
		wire_close_fds(&m);
		return gone(s);
	}
	content = m.body;
	s->content_fd = m.fds[0];
	s->content_max = content->max_octets;
	s->keep_free = content->keep_free;
	return true;
}

void
session_reset(struct session *s)
{
	struct why why = WHY_NONE;

	session_drop_content(s);
	if (s->state & (STATE_RCPT | STATE_BDAT | STATE_BDAT_REFUSED)) /* before a recipient policy knows of nothing */
		if (channel_send(&s->policy, SP_RESET, 0, NULL, BYTES_NONE, NULL, &why) != OK)
			(void)gone(s);
	if (s->state != STATE_CONNECTED)
		s->state = STATE_READY;
	s->n_recipients = 0;
	s->utf8 = false;
}
