/* The SMTP session: the greeting, the verbs, who may say what when.
 * Trusts policy for every decision; the peer for nothing.
 * Never relays, accepts a recipient or lets in a sender by itself: it asks, and repeats the answer. */
#include "smtpd/session.h"

#include "base/utf8.h"
#include "net/mailbox.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define UNKNOWN_BEFORE_HELO_MAX 3

/* Whatever a client calls itself is no reason not to listen; policy may have one (HELOCHECK). */
static bool
take_helo(struct session *s, struct bytes name, bool extended)
{
	int len = smtp_helo_take(name, s->helo);

	if (len < 0) {
		session_reply(s, 501, 5, 4, "your name is longer than 255 octets");
		return false;
	}
	session_reset(s);
	s->helo_len = (uint8_t)len;
	s->tell.helo_known = false;
	s->extended = extended;
	s->state = STATE_READY;
	return true;
}

static void
helo(struct session *s, struct bytes argument)
{
	if (!take_helo(s, argument, false))
		return;
	session_add(s, "250 %s\r\n", s->host);
}

static void
ehlo(struct session *s, struct bytes argument)
{
	if (!take_helo(s, argument, true))
		return;
	session_add(s, "250-%s\r\n", s->host);
	session_offer_auth(s);
	session_add(s,
	    "250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"
	    "250-CHUNKING\r\n250-DSN\r\n%s250 LIMITS RCPTMAX=%u\r\n",
	    (unsigned long long)s->may.max_octets, (s->may.flags & SP_STARTTLS) && !s->secure ? "250-STARTTLS\r\n" : "",
	    s->may.max_recipients);
}

/* A path in its one normal form, into room; or the reply that refuses it. subject/detail: 1.7 for senders, 1.3 for
 * recipients (RFC 3463). Only Postmaster may be without a domain (RFC 5321 4.1.1.3), but for a device that policy excuses. */
static bool
normalise(struct session *s, struct bytes path, bool utf8, unsigned detail, struct buf *into)
{
	struct mailbox m;
	struct why why = WHY_NONE;

	if (!utf8 && !utf8_is_ascii(path)) {
		session_reply(s, 550, 6, 7, "the address is not ASCII: say SMTPUTF8 with MAIL");
		return false;
	}
	if (mailbox_parse(path, utf8, &m, &why) != OK) {
		session_reply(s, 501, 1, detail, why.text);
		return false;
	}
	if (path.len > 0 && m.domain_len == 0 && !(s->may.flags & SP_LENIENT) &&
	    !bytes_equal_nocase(mailbox_local(&m), BYTES("postmaster"))) {
		session_reply(s, 501, 1, detail, "the address needs a domain");
		return false;
	}
	mailbox_print(&m, into);
	if (buf_result(into) == OK)
		return true;
	session_reply(s, 501, 1, detail, "the address is too long");
	return false;
}

static enum smtp_dialect
dialect_of(const struct session *s)
{
	return (s->may.flags & SP_LENIENT) ? SMTP_LENIENT : s->extended ? SMTP_EXTENDED : SMTP_PLAIN;
}

static void
mail(struct session *s, struct bytes argument)
{
	struct buf normal = BUF_OVER(s->reverse);
	struct smtp_mail m;
	struct smtp_fault fault;

	if ((s->may.flags & SP_TLS_REQUIRED) && !s->secure) {
		session_reply(s, 530, 7, 0, "must issue a STARTTLS command first");
		return;
	}
	if ((s->may.flags & SP_AUTH_REQUIRED) && !s->authenticated) {
		session_reply(s, 530, 7, 0, "authentication required");
		return;
	}
	if (s->state == STATE_CONNECTED && (s->may.flags & SP_HELO_REQUIRED)) {
		session_reply(s, 503, 5, 1, "say EHLO first");
		return;
	}
	if (!smtp_mail_parse(argument, dialect_of(s), &m, &fault)) {
		session_reply_fault(s, &fault);
		return;
	}
	if ((m.flags & SMTP_XVERP) && !(s->may.flags & SP_LOCAL_PROGRAM)) {
		session_reply(s, 555, 5, 4, "that parameter is not offered");
		return;
	}
	if (s->may.max_octets > 0 && m.octets > s->may.max_octets) {
		session_reply(s, 552, 3, 4, "the message is larger than this host takes");
		return;
	}
	if (m.octets > s->may.room) {
		session_reply(s, 452, 3, 1, "this host has no room for a message of that size now, try again later");
		return;
	}
	if (m.envid.len > sizeof s->envid) {
		session_reply(s, 501, 5, 4, "the ENVID is too long");
		return;
	}
	if (!normalise(s, m.path, (m.flags & SMTP_SMTPUTF8) != 0, 7, &normal))
		return;
	s->mail = (struct sp_mail){ .octets = m.octets, .helo = s->extended ? SP_EHLO : SP_HELO };
	s->mail.body = m.flags & SMTP_8BITMIME ? SP_BODY_8BITMIME : SP_BODY_7BIT;
	s->mail.smtputf8 = (m.flags & SMTP_SMTPUTF8) != 0;
	s->mail.ret = m.flags & SMTP_RET_FULL ? SP_RET_FULL : m.flags & SMTP_RET_HDRS ? SP_RET_HDRS : SP_RET_NONE;
	s->mail.verp = (m.flags & SMTP_XVERP) != 0;
	s->reverse_len = (uint16_t)normal.len;
	s->envid_len = (uint16_t)m.envid.len;
	if (m.envid.len > 0)
		memcpy(s->envid, m.envid.at, m.envid.len);
	s->state = STATE_MAIL;
	s->utf8 = s->mail.smtputf8 != 0;
	session_reply(s, 250, 1, 0, "ok");
}

/* The first recipient brings MAIL along. */
static bool
ask_rcpt(struct session *s, struct bytes path, const struct smtp_rcpt *r, bool *accepted)
{
	uint8_t room[SP_BEGIN_TAIL_MAX];
	struct buf tail = BUF_OVER(room);
	struct sp_begin ask = { .mail = s->mail, .rcpt = { .notify = (uint8_t)r->notify } };

	if (s->n_recipients == 0) {
		wire_put(&tail, bytes_of(s->helo, s->helo_len));
		wire_put(&tail, bytes_of(s->reverse, s->reverse_len));
		wire_put(&tail, bytes_of(s->envid, s->envid_len));
	}
	wire_put(&tail, path);
	wire_put(&tail, r->orcpt);
	if (buf_result(&tail) != OK || r->orcpt.len > SP_ORCPT_MAX) {
		session_reply(s, 501, 1, 3, "the address is too long");
		return false;
	}
	s->tell.helo_known = true;
	if (s->n_recipients == 0)
		return session_ask(s, SP_BEGIN, &ask, buf_bytes(&tail), accepted);
	return session_ask(s, SP_RCPT, &ask.rcpt, buf_bytes(&tail), accepted);
}

static void
rcpt(struct session *s, struct bytes argument)
{
	uint8_t path[SP_PATH_MAX];
	struct buf normal = BUF_OVER(path);
	struct smtp_rcpt r;
	struct smtp_fault fault;
	bool accepted;

	if (!smtp_rcpt_parse(argument, dialect_of(s), &r, &fault)) {
		session_reply_fault(s, &fault);
		return;
	}
	if (s->n_recipients >= s->may.max_recipients) {
		session_reply(s, 452, 5, 3, "too many recipients: send the message again to the others");
		return;
	}
	if (!s->utf8 && !utf8_is_ascii(r.orcpt)) { /* RFC 6533 3 */
		session_reply(s, 501, 5, 4, "the ORCPT is not ASCII: say SMTPUTF8 with MAIL");
		return;
	}
	if (!normalise(s, r.path, s->utf8, 3, &normal))
		return;
	if (ask_rcpt(s, buf_bytes(&normal), &r, &accepted) && accepted) {
		s->state = STATE_RCPT;
		s->n_recipients++;
	}
}

static void
data(struct session *s, struct bytes argument)
{
	if (argument.len > 0)
		session_reply(s, 501, 5, 4, "DATA has no argument");
	else
		session_data(s, argument);
}

static void
rset(struct session *s, struct bytes argument)
{
	(void)argument;
	session_reset(s);
	session_reply(s, 250, 0, 0, "forgotten");
}

static void
noop(struct session *s, struct bytes argument)
{
	(void)argument;
	session_reply(s, 250, 0, 0, "fine");
}

static void
vrfy(struct session *s, struct bytes argument)
{
	if (argument.len == 0)
		session_reply(s, 501, 5, 4, "VRFY expects an address");
	else
		session_reply(s, 252, 5, 0, "send it, and you will know");
}

static void
expn(struct session *s, struct bytes argument)
{
	(void)argument;
	session_reply(s, 502, 5, 1, "EXPN is not offered");
}

static void
help(struct session *s, struct bytes argument)
{
	(void)argument;
	session_reply(s, 214, 0, 0, "RFC 5321: EHLO HELO AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT");
}

static void
quit(struct session *s, struct bytes argument)
{
	(void)argument;
	session_add(s, "221 2.0.0 %s bye\r\n", s->host);
	session_flush(s);
	s->over = true;
}

static void
other_protocol(struct session *s, struct bytes argument)
{
	(void)argument;
	session_reply(s, 421, 7, 0, "this is an SMTP server");
	session_flush(s);
	s->over = true;
}

static void
unknown(struct session *s, struct bytes argument)
{
	(void)argument;
	session_reply(s, 500, 5, 2, "unknown command");
	if (s->state == STATE_CONNECTED && ++s->n_unknown >= UNKNOWN_BEFORE_HELO_MAX)
		other_protocol(s, argument);
}

#define ANYTIME (STATE_CONNECTED | STATE_READY | STATE_MAIL | STATE_RCPT | STATE_BDAT | STATE_BDAT_REFUSED)

/* What may be said when, and what is answered otherwise. BDAT must read its chunk in any state, so it looks itself. */
static const struct {
	unsigned states;
	void (*say)(struct session *s, struct bytes argument);
	const char *otherwise;
	bool shown; /* a line of it that is refused goes to the log: it can't have a password in it */
} verbs[SMTP_N_VERBS] = {
	[SMTP_EHLO] = { ANYTIME, ehlo, "", true },
	[SMTP_HELO] = { ANYTIME, helo, "", true },
	[SMTP_MAIL] = { STATE_CONNECTED | STATE_READY, mail, "say MAIL once", true },
	[SMTP_RCPT] = { STATE_MAIL | STATE_RCPT, rcpt, "say MAIL first", true },
	[SMTP_DATA] = { STATE_RCPT, data, "say MAIL and RCPT first", true },
	[SMTP_BDAT] = { ANYTIME, session_bdat, "", true },
	[SMTP_RSET] = { ANYTIME, rset, "" },
	[SMTP_NOOP] = { ANYTIME, noop, "" },
	[SMTP_VRFY] = { ANYTIME, vrfy, "", true },
	[SMTP_EXPN] = { ANYTIME, expn, "" },
	[SMTP_HELP] = { ANYTIME, help, "" },
	[SMTP_QUIT] = { ANYTIME, quit, "" },
	[SMTP_STARTTLS] = { STATE_CONNECTED | STATE_READY | STATE_MAIL | STATE_RCPT, session_starttls,
	    "not within BDAT", true },
	[SMTP_AUTH] = { STATE_CONNECTED | STATE_READY, session_auth, "not during a transaction" },
	[SMTP_OTHER_PROTOCOL] = { ANYTIME, other_protocol, "" },
	[SMTP_UNKNOWN] = { ANYTIME, unknown, "" },
};

static void
obey(struct session *s, struct bytes line)
{
	struct smtp_command c = smtp_command_parse(line);

	s->line = verbs[c.verb].shown ? line : BYTES_NONE;
	if (verbs[c.verb].states & s->state)
		verbs[c.verb].say(s, c.argument);
	else
		session_reply(s, 503, 5, 1, verbs[c.verb].otherwise);
	s->line = BYTES_NONE;
	if (s->n_errors >= s->may.max_errors && !s->over) {
		session_reply(s, 421, 7, 0, "too many errors");
		session_flush(s);
		s->over = true;
	}
}

static void
bad_line(struct session *s)
{
	s->line = BYTES_NONE;
	session_reply(s, 500, 5, 2, "commands end with CRLF, and have no other CR, LF or NUL");
	session_flush(s);
	s->over = true;
}

static void
converse(struct session *s)
{
	struct bytes line;

	while (!s->over)
		switch (session_line(s, &line)) {
		case LINE_OK:
			obey(s, line);
			break;
		case LINE_TOO_LONG:
			s->line = BYTES_NONE;
			session_reply(s, 500, 5, 2, "line too long");
			break;
		case LINE_BAD:
			bad_line(s);
			break;
		case LINE_END:
			return;
		}
}

static void
set_time_limits(const struct session *s)
{
	struct timeval idle = { (time_t)s->may.idle_seconds, 0 };

	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
	(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof idle);
}

/* A peer that has something to say before it was greeted is no mail server's client. False: the session is over. */
static bool
hold_greeting(struct session *s)
{
	struct timeval wait = { (time_t)s->may.greet_seconds, 0 };
	uint8_t octet;
	ssize_t n;
	bool ignored;

	if (s->may.greet_seconds == 0 || (s->may.flags & SP_REFUSED))
		return true;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	do
		n = recv(s->fd, &octet, 1, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	set_time_limits(s);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return true;
	if (n > 0)
		(void)session_ask(s, SP_EARLY, NULL, BYTES_NONE, &ignored);
	s->over = true;
	return false;
}

/* Before the peer has said anything: whoever takes the session over finds the limit set. */
static bool
bound_files(const struct session *s)
{
	struct rlimit most;

	if (!s->bounds_files || s->may.max_octets == 0 ||
	    __builtin_add_overflow(s->may.max_octets, (uint64_t)STORE_CONTENT_AT_MAX, &most.rlim_max))
		return true;
	most.rlim_cur = most.rlim_max;
	return setrlimit(RLIMIT_FSIZE, &most) == 0;
}

static bool
be_welcomed(struct session *s)
{
	WIRE_UNCLEARED struct wire_buffer buffer;
	struct wire_message m;
	struct bytes fields[2];
	struct why why = WHY_NONE;

	if (channel_receive(&s->policy, &buffer, &m, &why) != OK || m.type != SP_WELCOME ||
	    !wire_take_all(m.tail, fields, 2) || fields[0].len >= sizeof s->host)
		return false;
	if (!session_may_say(220, fields[0]) || !session_may_say(((const struct sp_welcome *)m.body)->code, fields[1]))
		return false;
	memcpy(&s->may, m.body, sizeof s->may);
	memcpy(s->host, fields[0].at, fields[0].len);
	s->ends_at = clock_ms() + UINT64_C(1000) * s->may.session_seconds;
	if (!bound_files(s))
		return false;
	set_time_limits(s);
	if ((s->may.flags & SP_TLS_AT_ONCE) && ((s->may.flags & SP_REFUSED) || !session_secure(s, NULL))) {
		s->over = true; /* nothing is said in the clear here */
		return true;
	}
	if (!hold_greeting(s))
		return true;
	session_add(s, "%u %.*s\r\n", s->may.code, (int)fields[1].len, (const char *)fields[1].at);
	if (s->may.flags & SP_REFUSED) {
		session_flush(s);
		s->over = true;
	}
	return true;
}

void
session_run(struct session *s, int fd, int policy_fd, const char *conn)
{
	s->fd = fd;
	s->conn = conn;
	s->content_fd = -1;
	s->state = STATE_CONNECTED;
	s->policy = channel_of(policy_fd, &smtpd_policy_protocol, SP_SMTPD, true);
	s->out = buf_over(s->out_octets, sizeof s->out_octets);
	if (be_welcomed(s))
		converse(s);
	else
		session_reply(s, 421, 3, 2, "this host can't serve you now");
	session_flush(s);
	tell_rest(&s->tell, &s->policy, bytes_of(s->helo, s->helo_len));
	session_drop_content(s);
	channel_close(&s->policy);
	(void)close(s->fd);
}
