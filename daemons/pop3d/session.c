/* The POP3 session before the login: the greeting, the verbs.
 * Trusts policy for every decision; the peer for nothing.
 * Never lets anybody in by itself: it carries what is said to policy, and repeats the answer. */
#include "pop3d/session.h"

#include "net/pop3_command.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <string.h>
#include <unistd.h>

void
pop3d_tell(struct session *s, const char *text)
{
	static const struct told nothing;

	tell_refusal(&s->tell, &s->policy, 0, text, &nothing);
}

void
pop3d_refuse(struct session *s, const char *text)
{
	pop3d_tell(s, text);
	pop3_io_add(&s->io, "-ERR %s\r\n", text);
	s->n_errors++;
}

void
pop3d_end(struct session *s)
{
	pop3_io_flush(&s->io);
	s->io.over = true;
}

bool
pop3d_offers(const struct session *s, enum sp_mechanism m)
{
	unsigned offered = s->secure ? s->may.secure_mechanisms : s->may.mechanisms;

	return (offered & 1u << m) != 0 && (m != SP_APOP || s->timestamp);
}

static void
capa(struct session *s, struct bytes argument)
{
	(void)argument;
	pop3_io_add(&s->io, "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n");
	pop3_io_add(&s->io, "UTF8%s\r\n", pop3d_offers(s, SP_PLAIN) ? " USER\r\nUSER" : "");
	pop3d_add_mechanisms(s, "SASL", " ", "\r\n");
	pop3_io_add(&s->io, "%s.\r\n", (s->may.flags & SP_STARTTLS) && !s->secure ? "STLS\r\n" : "");
}

static void
utf8(struct session *s, struct bytes argument)
{
	if (!pop3_is_spent(argument))
		pop3d_refuse(s, "UTF8 has no argument");
	else {
		s->utf8 = true;
		pop3_io_add(&s->io, "+OK UTF-8 it is\r\n");
	}
}

static void
quit(struct session *s, struct bytes argument)
{
	(void)argument;
	pop3_io_add(&s->io, "+OK bye\r\n");
	pop3d_end(s);
}

static void
too_early(struct session *s, struct bytes argument)
{
	(void)argument;
	pop3d_refuse(s, "log in first");
}

static void
other_protocol(struct session *s, struct bytes argument)
{
	(void)argument;
	pop3d_refuse(s, "this is a POP3 server");
	pop3d_end(s);
}

static void
unknown(struct session *s, struct bytes argument)
{
	(void)argument;
	pop3d_refuse(s, "unknown command");
}

static void (*const verbs[POP3_N_VERBS])(struct session *s, struct bytes argument) = {
	[POP3_USER] = pop3d_user,
	[POP3_PASS] = pop3d_pass,
	[POP3_APOP] = pop3d_apop,
	[POP3_AUTH] = pop3d_auth,
	[POP3_STLS] = pop3d_stls,
	[POP3_CAPA] = capa,
	[POP3_UTF8] = utf8,
	[POP3_QUIT] = quit,
	[POP3_STAT] = too_early,
	[POP3_LIST] = too_early,
	[POP3_RETR] = too_early,
	[POP3_DELE] = too_early,
	[POP3_NOOP] = too_early,
	[POP3_RSET] = too_early,
	[POP3_LAST] = too_early,
	[POP3_TOP] = too_early,
	[POP3_UIDL] = too_early,
	[POP3_OTHER_PROTOCOL] = other_protocol,
	[POP3_UNKNOWN] = unknown,
};

static void
converse(struct session *s)
{
	struct pop3_command c;
	struct bytes line;

	while (!s->io.over) {
		switch (pop3_io_line(&s->io, SESSION_LINE_MAX, &line)) {
		case POP3_LINE_OK:
			c = pop3_command_parse(line);
			verbs[c.verb](s, c.argument);
			break;
		case POP3_LINE_TOO_LONG:
			pop3d_refuse(s, "line too long");
			break;
		case POP3_LINE_BAD:
			pop3d_refuse(s, "a line has no CR or NUL in it");
			pop3d_end(s);
			break;
		case POP3_LINE_END:
			if (s->io.late)
				pop3d_tell(s, "nothing came for too long");
			return;
		}
		if (s->n_errors >= s->may.max_errors && !s->io.over) {
			pop3d_refuse(s, "too many errors");
			pop3d_end(s);
		}
	}
}

static bool
is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ' || text.at[i] >= 0x7f)
			return false;
	return true;
}

/* RFC 1939 7: a text in angle brackets */
static bool
has_timestamp(struct bytes greeting)
{
	size_t open = bytes_find(greeting, '<');

	return bytes_find(bytes_skip(greeting, open), '@') < greeting.len - open &&
	    bytes_find(bytes_skip(greeting, open), '>') < greeting.len - open;
}

static bool
be_welcomed(struct session *s)
{
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;
	struct bytes fields[2];
	struct why why = WHY_NONE;

	if (channel_receive(&s->policy, &buffer, &m, &why) != OK || m.type != SP_WELCOME ||
	    !wire_take_all(m.tail, fields, 2) || !is_printable(fields[1]))
		return false;
	memcpy(&s->may, m.body, sizeof s->may);
	s->timestamp = has_timestamp(fields[1]);
	s->io.ends_at = clock_ms() + UINT64_C(1000) * s->may.session_seconds;
	pop3_io_patience(&s->io, s->may.idle_seconds);
	if ((s->may.flags & SP_TLS_AT_ONCE) && ((s->may.flags & SP_REFUSED) || !pop3d_secure(s, NULL))) {
		s->io.over = true; /* nothing is said in the clear here */
		return true;
	}
	pop3_io_add(&s->io, "%s %.*s\r\n", s->may.flags & SP_REFUSED ? "-ERR" : "+OK", (int)fields[1].len,
	    (const char *)fields[1].at);
	if (s->may.flags & SP_REFUSED)
		pop3d_end(s);
	return true;
}

void
session_run(struct session *s, int fd, int policy_fd, const char *conn)
{
	s->conn = conn;
	s->io.fd = fd;
	s->io.out = BUF_OVER(s->out);
	s->policy = channel_of(policy_fd, &smtpd_policy_protocol, SP_SMTPD, true);
	if (be_welcomed(s))
		converse(s);
	else {
		pop3d_refuse(s, "[SYS/TEMP] this host can't serve you now");
		pop3d_end(s);
	}
	if (!s->handed_over)
		tell_rest(&s->tell, &s->policy, BYTES_NONE);
	channel_close(&s->policy);
	(void)close(s->io.fd);
}
