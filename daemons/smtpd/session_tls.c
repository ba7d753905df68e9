/* STARTTLS (RFC 3207), and TLS before the greeting: policy hands the connection to an engine, plaintext comes back.
 * Trusts policy that what comes back is a TLS session with this peer.
 * Never keeps an octet that was read before the handshake, nor the connection itself. */
#include "smtpd/session.h"

#include "sys/log.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static bool
end(struct session *s)
{
	s->over = true;
	return false;
}

static void
log_injection(const struct session *s)
{
	struct log_line l;

	log_begin(&l, SEVERITY_WARNING, "starttls-pipelined");
	log_text(&l, "conn", s->conn);
	log_number(&l, "octets", s->in_len - s->in_at);
	log_end(&l);
}

/* Everything that was said in the clear is forgotten (RFC 3207 4.2). */
static void
begin_anew(struct session *s)
{
	s->in_at = s->in_len = 0;
	s->state = STATE_CONNECTED;
	s->extended = s->utf8 = false;
	s->helo_len = 0;
	s->n_recipients = s->n_unknown = 0;
	s->secure = true;
	s->authenticated = false;
}

static void
take_plaintext(struct session *s, int fd)
{
	struct timeval idle = { (time_t)s->may.idle_seconds, 0 };

	(void)close(s->fd);
	s->fd = fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof idle);
	begin_anew(s);
}

bool
session_secure(struct session *s, const char *ready)
{
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;
	struct why why = WHY_NONE;
	const struct sp_answer *a;

	if (channel_send(&s->policy, SP_TLS_START, 0, NULL, BYTES_NONE, NULL, &why) != OK ||
	    channel_receive(&s->policy, &buffer, &m, &why) != OK)
		return end(s);
	if (m.type == SP_ANSWER && ready != NULL) {
		a = m.body;
		session_add(s, "%u %u.%u.%u %.*s\r\n", a->code, a->enhanced[0], a->enhanced[1], a->enhanced[2],
		    (int)m.tail.len, (const char *)m.tail.at);
		return false;
	}
	if (m.type != SP_TLS_PLAIN) {
		wire_close_fds(&m);
		return end(s);
	}
	if (ready != NULL) {
		session_add(s, "%s\r\n", ready);
		session_flush(s);
	}
	take_plaintext(s, m.fds[0]);
	return true;
}

void
session_starttls(struct session *s, struct bytes argument)
{
	if (!(s->may.flags & SP_STARTTLS) || s->secure || s->state == STATE_CONNECTED) {
		session_reply(s, s->state == STATE_CONNECTED && !s->secure ? 503 : 502, 5, 1,
		    s->secure                        ? "TLS is spoken already"
			: s->may.flags & SP_STARTTLS ? "say EHLO first"
						     : "not offered here");
		return;
	}
	if (s->authenticated) {
		session_reply(s, 503, 5, 1, "TLS comes before AUTH");
		return;
	}
	if (argument.len > 0) {
		session_reply(s, 501, 5, 4, "STARTTLS has no argument");
		return;
	}
	if (s->in_at < s->in_len) { /* somebody hopes that it will be taken for said within TLS */
		log_injection(s);
		session_reply(s, 501, 5, 4, "nothing may follow STARTTLS before TLS is spoken");
		session_flush(s);
		s->over = true;
		return;
	}
	session_reset(s);
	session_flush(s);
	if (!s->over)
		(void)session_secure(s, "220 2.0.0 ready to speak TLS");
}
