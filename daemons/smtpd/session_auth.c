/* AUTH (RFC 4954): carries what both sides say, in base64 as it is.
 * Trusts policy's word that somebody is who he says he is.
 * Never looks into a response, never keeps one: what held it is wiped when it is sent. What was to be a response is never
 * taken for a command. */
#include "smtpd/session.h"

#include "base/secret.h"

static unsigned
offered(const struct session *s)
{
	return s->secure ? s->may.secure_mechanisms : s->may.mechanisms;
}

void
session_offer_auth(struct session *s)
{
	unsigned set = offered(s);
	bool any = false;

	for (unsigned m = 0; m < SP_APOP && !s->authenticated; m++)
		if ((set & 1u << m) != 0) {
			session_add(s, any ? " %s" : "250-AUTH %s", sp_mechanism_names[m]);
			any = true;
		}
	if (any)
		session_add(s, "\r\n");
}

/* All octets of the buffer but those that are still to be read. */
static void
wipe_input(struct session *s)
{
	secret_wipe(s->in, s->in_at);
	secret_wipe(s->in + s->in_len, SESSION_INPUT > s->in_len ? SESSION_INPUT - s->in_len : 0);
}

/* False: there is none, *cancel was said, or the session is over. */
static bool
take_response(struct session *s, struct bytes *line)
{
	switch (session_line(s, line)) {
	case LINE_OK:
		if (line->len <= SP_SASL_MAX)
			return true;
		[[fallthrough]];
	case LINE_TOO_LONG:
		session_cancel_sasl(s);
		if (!s->over)
			session_reply(s, 500, 5, 6, "that response is too long");
		return false;
	case LINE_BAD:
		session_cancel_sasl(s);
		if (!s->over)
			session_reply(s, 501, 5, 2, "a response is base64, and ends with CRLF");
		return false;
	case LINE_END:
		break;
	}
	return false;
}

static void
converse(struct session *s, enum sp_mechanism mechanism, const struct bytes *initial)
{
	struct sp_auth ask = { .mechanism = (uint8_t)mechanism, .initial = initial != NULL };
	struct bytes said = initial != NULL ? *initial : BYTES_NONE;
	bool more, going = session_ask_sasl(s, SP_AUTH, &ask, said, &more);

	wipe_input(s);
	s->in_login = true;
	while (going && more && !s->over && take_response(s, &said)) {
		going = session_ask_sasl(s, SP_SASL, NULL, said, &more);
		wipe_input(s);
	}
	s->in_login = false;
	wipe_input(s);
}

/* True if it may begin; else the reply was given. */
static bool
may_begin(struct session *s, struct bytes name, enum sp_mechanism *mechanism)
{
	bool known = sp_mechanism_of_word(name, mechanism);

	if (known && (offered(s) & 1u << *mechanism))
		return true;
	if (known && !s->secure && (s->may.secure_mechanisms & 1u << *mechanism))
		session_reply(s, 538, 7, 11, "say STARTTLS first"); /* RFC 4954 6 */
	else
		session_reply(s, 504, 5, 4, "that mechanism is not offered");
	return false;
}

static void
begin(struct session *s, struct bytes argument)
{
	struct bytes name = bytes_first(argument, bytes_find(argument, ' '));
	struct bytes initial = bytes_trim(bytes_skip(argument, name.len));
	enum sp_mechanism mechanism;

	if (s->authenticated)
		session_reply(s, 503, 5, 1, "you are authenticated already");
	else if (!s->extended && !(s->may.flags & SP_LENIENT))
		session_reply(s, 503, 5, 1, "say EHLO first");
	else if (argument.len == 0 || bytes_find(initial, ' ') < initial.len)
		session_reply(s, 501, 5, 4, "AUTH expects a mechanism, and perhaps one response");
	else if (initial.len > SP_SASL_MAX)
		session_reply(s, 500, 5, 6, "that response is too long");
	else if (may_begin(s, name, &mechanism))
		converse(s, mechanism, initial.len > 0 ? &initial : NULL);
}

void
session_auth(struct session *s, struct bytes argument)
{
	if (s->may.mechanisms == 0 && s->may.secure_mechanisms == 0) {
		session_reply(s, 502, 5, 1, "not offered here");
		return;
	}
	begin(s, argument);
	wipe_input(s);
	if (!s->authenticated && s->in_at < s->in_len) { /* RFC 4954 4: AUTH is the last of a group */
		session_flush(s);
		s->over = true;
	}
}
