/* Logging in: USER and PASS, APOP, AUTH (RFC 1939, 5034), and the hand-over to the user's own process.
 * Trusts policy's word that somebody is who they say. What is said is carried, not judged.
 * Never keeps a password: what held one is wiped when the answer is there. */
#include "base/base64.h"
#include "base/secret.h"
#include "net/pop3_command.h"
#include "pop3d/session.h"
#include "sys/log.h"

#include <string.h>

void
pop3d_add_mechanisms(struct session *s, const char *title, const char *before, const char *end)
{
	bool any = false;

	for (unsigned m = 0; m < SP_APOP; m++)
		if (pop3d_offers(s, (enum sp_mechanism)m)) {
			if (!any)
				pop3_io_add(&s->io, "%s", title);
			any = true;
			pop3_io_add(&s->io, "%s%s", before, sp_mechanism_names[m]);
		}
	if (any)
		pop3_io_add(&s->io, "%s", end);
}

/* ---- the exchange ---- */

static void
wipe_input(struct session *s)
{
	secret_wipe(s->io.in, s->io.in_at);
}

static void
gone(struct session *s)
{
	pop3d_refuse(s, "[SYS/TEMP] this host can't serve you now");
	pop3d_end(s);
}

/* The user's process takes over, with what was read behind the login; this one has nothing left. */
static void
hand_over(struct session *s)
{
	struct sp_box box = { .utf8 = s->utf8 };
	struct why why = WHY_NONE;

	pop3_io_flush(&s->io);
	if (channel_send(&s->policy, SP_BOX, 0, &box, pop3_io_rest(&s->io), NULL, &why) != OK)
		gone(s);
	s->handed_over = true;
	s->io.over = true;
}

static bool
is_text(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ' || text.at[i] >= 0x7f)
			return false;
	return true;
}

static void
conclude(struct session *s, const struct sp_answer *a, struct bytes text)
{
	const char *code = a->code < 500 ? "[SYS/TEMP] " : a->code == 535 ? "[AUTH] " : "";

	if (a->code < 200 || !is_text(text)) {
		gone(s);
		return;
	}
	if (a->code < 300) {
		hand_over(s);
		return;
	}
	pop3_io_add(&s->io, "-ERR %s%.*s\r\n", code, (int)text.len, (const char *)text.at);
	s->n_errors++;
	if (a->close != 0)
		pop3d_end(s);
}

/* The response to a challenge: sent to policy as it is, "*" for one that can't be. False: the client is gone. */
static bool
respond(struct session *s, struct why *why)
{
	struct bytes line = BYTES_NONE;
	enum pop3_line got = pop3_io_line(&s->io, SP_SASL_MAX + 2, &line);
	enum result r;

	if (got == POP3_LINE_END) {
		pop3d_tell(s, s->io.late ? "nothing came for too long" : "the connection was lost in a login");
		return false;
	}
	if (got != POP3_LINE_OK || line.len > SP_SASL_MAX) {
		pop3d_tell(s, got == POP3_LINE_BAD ? "a response has no CR or NUL in it" : "a response is too long");
		line = BYTES("*");
	}
	r = channel_send(&s->policy, SP_SASL, 0, NULL, line, NULL, why);
	wipe_input(s);
	return r == OK;
}

static void
exchange(struct session *s, enum sp_mechanism mechanism, const struct bytes *initial)
{
	struct sp_auth ask = { .mechanism = (uint8_t)mechanism, .initial = initial != NULL };
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;
	struct why why = WHY_NONE;

	if (channel_send(&s->policy, SP_AUTH, 0, &ask, initial != NULL ? *initial : BYTES_NONE, NULL, &why) != OK) {
		gone(s);
		return;
	}
	wipe_input(s);
	for (;;) {
		if (channel_receive(&s->policy, &buffer, &m, &why) != OK) {
			gone(s);
			return;
		}
		if (m.type == SP_ANSWER) {
			conclude(s, m.body, m.tail);
			return;
		}
		if (m.type != SP_CHALLENGE || !is_text(m.tail)) {
			wire_close_fds(&m);
			gone(s);
			return;
		}
		pop3_io_add(&s->io, "+ ");
		pop3_io_add_bytes(&s->io, m.tail);
		pop3_io_add(&s->io, "\r\n");
		if (!respond(s, &why)) {
			s->io.over = true;
			return;
		}
	}
}

/* ---- the verbs ---- */

/* A login that was made out of something else than base64. */
static void
exchange_encoded(struct session *s, enum sp_mechanism mechanism, struct bytes plain)
{
	uint8_t room[2048]; /* four octets for three of a name and of a line */
	struct buf encoded = BUF_OVER(room);
	struct bytes initial;

	base64_encode(plain, &encoded);
	initial = buf_bytes(&encoded);
	if (buf_result(&encoded) == OK)
		exchange(s, mechanism, &initial);
	else
		pop3d_refuse(s, "that is too long");
	secret_wipe(room, sizeof room);
}

void
pop3d_user(struct session *s, struct bytes argument)
{
	struct bytes name = bytes_trim(argument);

	if (!pop3d_offers(s, SP_PLAIN))
		pop3d_refuse(s, s->secure ? "USER is not offered: see CAPA" : "not without TLS: say STLS first");
	else if (name.len == 0 || name.len > sizeof s->user)
		pop3d_refuse(s, "say who you are");
	else {
		memcpy(s->user, name.at, name.len);
		s->user_len = (uint8_t)name.len;
		pop3_io_add(&s->io, "+OK\r\n");
	}
}

void
pop3d_pass(struct session *s, struct bytes argument)
{
	uint8_t room[2 + sizeof s->user + SESSION_LINE_MAX];
	struct buf plain = BUF_OVER(room);

	if (s->user_len == 0) {
		pop3d_refuse(s, "say USER first");
		return;
	}
	buf_add_octet(&plain, '\0');
	buf_add(&plain, bytes_of(s->user, s->user_len));
	buf_add_octet(&plain, '\0');
	buf_add(&plain, argument);
	s->user_len = 0;
	exchange_encoded(s, SP_PLAIN, buf_bytes(&plain));
	secret_wipe(room, sizeof room);
}

void
pop3d_apop(struct session *s, struct bytes argument)
{
	if (!pop3d_offers(s, SP_APOP))
		pop3d_refuse(s, "APOP is not offered: see CAPA");
	else if (pop3_is_spent(argument))
		pop3d_refuse(s, "say who you are, and the digest");
	else
		exchange_encoded(s, SP_APOP, bytes_trim(argument));
}

void
pop3d_auth(struct session *s, struct bytes argument)
{
	enum sp_mechanism mechanism;
	struct bytes name, initial;

	if (!pop3_take_word(&argument, &name)) { /* how clients asked before there was CAPA */
		pop3_io_add(&s->io, "+OK");
		pop3d_add_mechanisms(s, "", "\r\n", "");
		pop3_io_add(&s->io, "\r\n.\r\n");
	} else if (!sp_mechanism_of_word(name, &mechanism) || !pop3d_offers(s, mechanism))
		pop3d_refuse(s,
		    s->secure || s->may.mechanisms != 0 ? "that mechanism is not offered: see CAPA"
							: "not without TLS: say STLS first");
	else if (!pop3_take_word(&argument, &initial))
		exchange(s, mechanism, NULL);
	else if (!pop3_is_spent(argument))
		pop3d_refuse(s, "AUTH has a mechanism and one response");
	else {
		if (bytes_equal(initial, BYTES("="))) /* RFC 5034 4: it is empty */
			initial.len = 0;
		exchange(s, mechanism, &initial);
	}
}
