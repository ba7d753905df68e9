/* STLS (RFC 2595), and TLS before the greeting: policy hands the connection to an engine, plaintext comes back.
 * Trusts policy that what comes back is a TLS session with this peer.
 * Never keeps an octet that was read before the handshake, nor the connection itself. */
#include "net/pop3_command.h"
#include "pop3d/session.h"
#include "sys/log.h"

#include <unistd.h>

static bool
end(struct session *s)
{
	s->io.over = true;
	return false;
}

static void
log_injection(const struct session *s)
{
	struct log_line l;

	log_begin(&l, SEVERITY_WARNING, "starttls-pipelined");
	log_text(&l, "conn", s->conn);
	log_number(&l, "octets", pop3_io_rest(&s->io).len);
	log_end(&l);
}

/* Everything that was said in the clear is forgotten (RFC 2595 4). */
static void
begin_anew(struct session *s, int fd)
{
	(void)close(s->io.fd);
	s->io.fd = fd;
	s->io.in_at = s->io.in_len = 0;
	pop3_io_patience(&s->io, s->may.idle_seconds);
	s->user_len = 0;
	s->utf8 = false;
	s->secure = true;
}

bool
pop3d_secure(struct session *s, const char *ready)
{
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;
	struct why why = WHY_NONE;

	if (channel_send(&s->policy, SP_TLS_START, 0, NULL, BYTES_NONE, NULL, &why) != OK ||
	    channel_receive(&s->policy, &buffer, &m, &why) != OK)
		return end(s);
	if (m.type == SP_ANSWER && ready != NULL) {
		pop3d_refuse(s, "[SYS/TEMP] TLS is not available now");
		return false;
	}
	if (m.type != SP_TLS_PLAIN) {
		wire_close_fds(&m);
		return end(s);
	}
	if (ready != NULL) {
		pop3_io_add(&s->io, "%s\r\n", ready);
		pop3_io_flush(&s->io);
	}
	begin_anew(s, m.fds[0]);
	return true;
}

void
pop3d_stls(struct session *s, struct bytes argument)
{
	if (!(s->may.flags & SP_STARTTLS) || s->secure)
		pop3d_refuse(s, s->secure ? "TLS is spoken already" : "not offered here");
	else if (!pop3_is_spent(argument))
		pop3d_refuse(s, "STLS has no argument");
	else if (pop3_io_rest(&s->io).len > 0) { /* somebody hopes that it will be taken for said within TLS */
		log_injection(s);
		pop3d_refuse(s, "nothing may follow STLS before TLS is spoken");
		pop3d_end(s);
	} else {
		pop3_io_flush(&s->io);
		if (!s->io.over)
			(void)pop3d_secure(s, "+OK begin TLS");
	}
}
