/* Dovecot's auth, asked about passwords.
 * Trusts it for who somebody is: it is what an administrator named. Not for the form of its lines, nor to answer at all.
 * Never waits for it: a question that it does not answer in time, or that was with it when it went, is a trouble. */
#include "authrun/dovecot.h"

#include "authrun/authrun.h"
#include "base/base64.h"
#include "base/secret.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void
forget(struct errand *e)
{
	struct errand **at = &e->a->dovecot.asked;

	while (*at != NULL && *at != e)
		at = &(*at)->next;
	if (*at != NULL)
		*at = e->next;
	loop_cancel(&e->a->loop, &e->limit);
}

static void
settle(struct errand *e, enum ar_outcome outcome, struct bytes who, const char *why)
{
	forget(e);
	errand_conclude(e, outcome, who, why);
}

void
dovecot_close(struct authrun *a)
{
	struct dovecot *d = &a->dovecot;

	if (d->source.fd < 0)
		return;
	loop_forget(&a->loop, &d->source);
	fd_close(&d->source.fd);
	d->greeted = d->has_plain = false;
	secret_wipe(d->in, sizeof d->in);
	d->in_len = 0;
}

static void
lose(struct authrun *a, const char *why)
{
	log_simple(SEVERITY_WARNING, "dovecot", "why", why);
	dovecot_close(a);
	while (a->dovecot.asked != NULL)
		settle(a->dovecot.asked, AR_TROUBLE, BYTES_NONE, why);
}

/* ---- questions ---- */

static const char *
protocol_of(const struct authrun *a)
{
	return strncmp(a->service, "pop3", 4) == 0 ? "pop3" : "smtp";
}

static bool
write_whole(struct authrun *a, struct bytes what)
{
	ssize_t n = send(a->dovecot.source.fd, what.at, what.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	return n >= 0 && (size_t)n == what.len;
}

static bool
put_question(struct errand *e)
{
	uint8_t room[2048];
	struct buf line = BUF_OVER(room);
	char remote[INET6_ADDRSTRLEN] = "";
	bool done;

	e->dovecot_id = ++e->a->dovecot.last_id;
	/* no-penalty: auth slows down whoever fails, by account and network */
	buf_format(&line, "AUTH\t%u\tPLAIN\tservice=%s\tnologin\tno-penalty", e->dovecot_id, protocol_of(e->a));
	if (e->secure)
		buf_add_string(&line, "\tsecured");
	if ((e->family == 4 || e->family == 6) &&
	    inet_ntop(e->family == 4 ? AF_INET : AF_INET6, e->remote, remote, sizeof remote) != NULL)
		buf_format(&line, "\trip=%s", remote);
	buf_add_string(&line, "\tresp=");
	base64_encode(bytes_of(e->input, e->input_len), &line);
	buf_add_octet(&line, '\n');
	secret_wipe(e->input, sizeof e->input);
	done = !line.failed && write_whole(e->a, buf_bytes(&line));
	secret_wipe(room, sizeof room);
	return done;
}

/* Those that came before it had greeted. */
static void
put_waiting(struct authrun *a)
{
	for (struct errand *e = a->dovecot.asked; e != NULL; e = e->next)
		if (e->dovecot_id == 0 && !put_question(e)) {
			lose(a, "Dovecot takes no question");
			return;
		}
}

/* ---- answers ---- */

static void
answered(struct authrun *a, const struct dovecot_line *l)
{
	struct errand *e = a->dovecot.asked;
	char why[AR_REASON_MAX];

	while (e != NULL && e->dovecot_id != l->number)
		e = e->next;
	if (e == NULL || l->number == 0)
		return; /* too late */
	if (l->kind == DOVECOT_OK) {
		settle(e, l->shut ? AR_BAD : AR_GOOD, l->shut ? BYTES_NONE : l->user,
		    l->shut ? "Dovecot says nologin" : "");
		return;
	}
	(void)snprintf(why, sizeof why, "Dovecot %s%.*s",
	    l->kind == DOVECOT_CONT ? "wants more than a password"
		: l->temporary      ? "has a trouble"
				    : "says no",
	    (int)(l->reason.len < 100 ? l->reason.len : 100), l->reason.at == NULL ? "" : (const char *)l->reason.at);
	settle(e, l->kind == DOVECOT_FAIL && !l->temporary ? AR_BAD : AR_TROUBLE, BYTES_NONE, why);
}

/* False: the conversation is over. */
static bool
take_line(struct authrun *a, struct bytes line)
{
	struct dovecot *d = &a->dovecot;
	struct dovecot_line l;

	if (dovecot_cut(line, &l) != OK || (l.kind == DOVECOT_VERSION && l.number != 1)) {
		lose(a, "what answers at dovecotauth does not speak version 1 of Dovecot's protocol");
		return false;
	}
	switch (l.kind) {
	case DOVECOT_MECH:
		d->has_plain = d->has_plain || bytes_equal_nocase(l.name, BYTES("PLAIN"));
		break;
	case DOVECOT_DONE:
		d->greeted = true;
		if (d->has_plain)
			put_waiting(a);
		else
			lose(a, "Dovecot does not offer PLAIN");
		break;
	case DOVECOT_OK:
	case DOVECOT_FAIL:
	case DOVECOT_CONT:
		answered(a, &l);
		break;
	case DOVECOT_VERSION:
	case DOVECOT_OTHER:
		break;
	}
	return d->source.fd >= 0;
}

static void
take_lines(struct authrun *a)
{
	struct dovecot *d = &a->dovecot;
	struct bytes rest = bytes_of(d->in, d->in_len);
	size_t end;

	while ((end = bytes_find(rest, '\n')) < rest.len) {
		if (!take_line(a, bytes_first(rest, end)))
			return;
		rest = bytes_skip(rest, end + 1);
	}
	memmove(d->in, rest.at, rest.len);
	d->in_len = rest.len;
}

static void
ready(struct loop *loop, struct source *s, uint32_t events)
{
	struct authrun *a = authrun_of_loop(loop);
	struct dovecot *d = &a->dovecot;
	ssize_t n;

	(void)events;
	if (d->in_len == sizeof d->in) {
		lose(a, "Dovecot sent a line that is too long");
		return;
	}
	n = recv(s->fd, d->in + d->in_len, sizeof d->in - d->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lose(a, "Dovecot has gone");
		return;
	}
	d->in_len += (size_t)n;
	take_lines(a);
}

/* ---- the beginning ---- */

static bool
greet(struct authrun *a)
{
	char text[64];

	(void)snprintf(text, sizeof text, "VERSION\t1\t1\nCPID\t%d\n", (int)getpid());
	return write_whole(a, bytes_of_string(text));
}

static bool
connect_to(struct authrun *a)
{
	struct dovecot *d = &a->dovecot;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct why why = WHY_NONE;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(to.sun_path, d->path.at, d->path.len);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
		(void)why_errno(&why, ABSENT, "connecting to %s", to.sun_path);
		log_why("dovecot", ABSENT, &why);
		fd_close(&fd);
		return false;
	}
	d->source = (struct source){ .fd = fd, .ready = ready };
	d->in_len = 0;
	d->last_id = 0;
	if (loop_watch(&a->loop, &d->source, EPOLLIN, &why) == OK && greet(a))
		return true;
	dovecot_close(a);
	return false;
}

static void
too_late(struct loop *loop, struct timer *t)
{
	struct authrun *a = authrun_of_loop(loop);

	if (a->dovecot.greeted)
		settle(container_of(t, struct errand, limit), AR_TROUBLE, BYTES_NONE, "Dovecot did not answer in time");
	else
		lose(a, "Dovecot does not greet");
}

void
dovecot_ask(struct errand *e)
{
	struct authrun *a = e->a;

	e->limit.due = too_late;
	if ((a->dovecot.source.fd < 0 && !connect_to(a)) ||
	    loop_at(&a->loop, &e->limit, clock_ms() + a->limit_ms) != OK) {
		errand_conclude(e, AR_TROUBLE, BYTES_NONE, "Dovecot can't be asked");
		return;
	}
	e->next = a->dovecot.asked;
	a->dovecot.asked = e;
	if (a->dovecot.greeted)
		put_waiting(a);
}

void
dovecot_open(struct authrun *a)
{
	a->dovecot.source.fd = -1;
	a->dovecot.path = control_text(a->control, ITEM_DOVECOTAUTH);
	if (a->dovecot.path.len >= sizeof((struct sockaddr_un *)0)->sun_path)
		a->dovecot.path = BYTES_NONE; /* the item's bound is less */
}
