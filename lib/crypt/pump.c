/* The pump between peer and plaintext.
 * Trusts neither side: either may stall, flood, close half or vanish at any octet.
 * Never holds more than one piece a direction, and never waits for one side while the other could go on. */
#include "crypt/arena.h"
#include "crypt/internal.h"

#include "base/secret.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/idle.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define PIECE 16384    /* octets: one record at most */
#define QUIET_MS 1000u /* after that much silence memory is given back */

struct piece {
	uint8_t *octets;
	size_t at, len;
	bool ended;  /* nothing more comes in */
	bool passed; /* and the other side knows */
};

struct pump {
	struct tls_session *s;
	int plain_fd;
	struct piece in, out;     /* from the peer; to the peer */
	bool net_ready, net_full; /* may read; must wait before it writes */
	bool plain_ready, plain_full;
	bool plain_gone; /* nobody reads our plaintext any more */
	bool moved;      /* something went on in this round */
	enum result end;
	struct why *why;
};

/* Passwords go through here: nothing of what was said lies in memory afterwards. */
static void
pass(struct piece *piece, size_t n)
{
	secret_wipe(piece->octets + piece->at, n);
	piece->at += n;
	piece->len -= n;
}

/* ---- from the peer ---- */

static void
net_read(struct pump *p)
{
	int n, error;

	ERR_clear_error();
	errno = 0;
	n = SSL_read(p->s->ssl, p->in.octets, PIECE);
	if (n > 0) {
		p->in.at = 0;
		p->in.len = (size_t)n;
		p->s->n_in += (uint64_t)n;
		p->moved = true;
		p->net_ready = SSL_has_pending(p->s->ssl) == 1;
		return;
	}
	p->net_ready = false;
	error = SSL_get_error(p->s->ssl, n);
	if (error == SSL_ERROR_WANT_READ)
		return;
	if (error == SSL_ERROR_WANT_WRITE) {
		p->net_full = true;
		return;
	}
	p->in.ended = p->moved = true;
	if (error == SSL_ERROR_ZERO_RETURN)
		p->s->closed_well = true;
	else
		p->end = failure_why(p->s, error, p->why);
}

static void
plain_write(struct pump *p)
{
	ssize_t n = send(p->plain_fd, p->in.octets + p->in.at, p->in.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n > 0) {
		pass(&p->in, (size_t)n);
		p->moved = true;
	} else if (errno == EAGAIN)
		p->plain_full = true;
	else if (errno != EINTR) {
		p->plain_gone = p->moved = true;
		p->in.len = 0;
	}
}

/* ---- to the peer ---- */

static void
plain_read(struct pump *p)
{
	ssize_t n = recv(p->plain_fd, p->out.octets, PIECE, MSG_DONTWAIT);

	p->plain_ready = false;
	if (n > 0) {
		p->out.at = 0;
		p->out.len = (size_t)n;
		p->moved = true;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		p->out.ended = p->moved = true;
}

static void
net_write(struct pump *p)
{
	int n, error;

	ERR_clear_error();
	errno = 0;
	n = SSL_write(p->s->ssl, p->out.octets + p->out.at, (int)p->out.len);
	if (n > 0) {
		pass(&p->out, (size_t)n);
		p->s->n_out += (uint64_t)n;
		p->moved = true;
		return;
	}
	error = SSL_get_error(p->s->ssl, n);
	if (error == SSL_ERROR_WANT_WRITE)
		p->net_full = true;
	else if (error == SSL_ERROR_WANT_READ)
		p->net_ready = false;
	else
		p->end = failure_why(p->s, error, p->why);
}

/* ---- the ends ---- */

/* Before the end can be read: who reads it can tell then whether it is one. */
static void
tell_how_it_ended(struct tls_session *s)
{
	static const uint8_t ended = TLS_ENDED;

	if (s->closed_well && s->ended_fd >= 0)
		(void)!send(s->ended_fd, &ended, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	fd_close(&s->ended_fd);
}

static void
pass_ends(struct pump *p)
{
	if (p->in.ended && p->in.len == 0 && !p->in.passed) {
		tell_how_it_ended(p->s);
		(void)shutdown(p->plain_fd, SHUT_WR);
		p->in.passed = p->moved = true;
	}
	if (p->out.ended && p->out.len == 0 && !p->out.passed) {
		ERR_clear_error();
		if (SSL_shutdown(p->s->ssl) < 0 && SSL_get_error(p->s->ssl, -1) == SSL_ERROR_WANT_WRITE) {
			p->net_full = true;
			return;
		}
		p->out.passed = p->moved = true;
	}
}

static bool
is_over(const struct pump *p)
{
	if (p->end != OK)
		return p->in.len == 0 || p->plain_gone; /* what came in order is still delivered */
	return p->out.passed && (p->in.passed || p->plain_gone);
}

/* One round over all that can go on without waiting. */
static void
go_on(struct pump *p)
{
	p->moved = false;
	if (p->net_ready && !p->in.ended && p->in.len == 0)
		net_read(p);
	if (p->in.len > 0 && !p->plain_full)
		plain_write(p);
	if (p->end == OK && p->plain_ready && !p->out.ended && p->out.len == 0)
		plain_read(p);
	if (p->end == OK && p->out.len > 0 && !p->net_full)
		net_write(p);
	if (p->end == OK && !p->net_full)
		pass_ends(p);
}

static void
rest(struct pump *p)
{
	arena_trim();
	idle_trim_stack();
	if (p->in.len == 0)
		idle_trim(p->in.octets, PIECE);
	if (p->out.len == 0)
		idle_trim(p->out.octets, PIECE);
}

static enum result
wait_for_more(struct pump *p, unsigned idle_ms)
{
	struct pollfd f[2] = {
		{ .fd = p->end == OK ? p->s->net_fd : -1,
		    .events = (short)((!p->in.ended && p->in.len == 0 ? POLLIN : 0) | (p->net_full ? POLLOUT : 0)) },
		{ .fd = p->plain_gone ? -1 : p->plain_fd,
		    .events = (short)((!p->out.ended && p->out.len == 0 ? POLLIN : 0) |
			(p->in.len > 0 ? POLLOUT : 0)) },
	};
	int n = poll(f, 2, (int)(idle_ms < QUIET_MS ? idle_ms : QUIET_MS));

	if (n == 0 && idle_ms > QUIET_MS) {
		rest(p);
		n = poll(f, 2, (int)(idle_ms - QUIET_MS));
	}

	if (n < 0 && errno != EINTR)
		return why_errno(p->why, BROKEN, "waiting for octets");
	if (n == 0)
		return why_set(p->why, AGAIN, "nothing came for %u s", idle_ms / 1000);
	p->net_ready |= (f[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
	if (f[0].revents & (POLLOUT | POLLERR | POLLHUP))
		p->net_full = false;
	p->plain_ready |= (f[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
	if (f[1].revents & (POLLOUT | POLLERR | POLLHUP))
		p->plain_full = false;
	/* the other end is closed for good: once all of it is read, nobody is there to read ours */
	if ((f[1].revents & (POLLHUP | POLLERR)) && p->out.ended)
		p->plain_gone = true;
	if (p->plain_gone)
		p->in.len = 0;
	return OK;
}

enum result
tls_pump(struct tls_session *s, int plain_fd, unsigned idle_ms, struct why *why)
{
	__attribute__((aligned(4096))) static uint8_t in[PIECE],
	    out[PIECE]; /* a process has one session; pages that stay unused cost nothing */
	struct pump p = { .s = s,
		.plain_fd = plain_fd,
		.in.octets = in,
		.out.octets = out,
		.why = why,
		.net_ready = SSL_has_pending(s->ssl) == 1 };
	enum result r = OK;

	while (!is_over(&p) && r == OK) {
		do
			go_on(&p);
		while (p.moved && !is_over(&p));
		if (!is_over(&p))
			r = wait_for_more(&p, idle_ms);
	}
	if (r != OK || p.end != OK) {
		tell_how_it_ended(s);
		(void)shutdown(plain_fd, SHUT_RDWR);
		if (r == AGAIN)
			(void)SSL_shutdown(s->ssl);
		return r != OK ? r : p.end;
	}
	return OK;
}
