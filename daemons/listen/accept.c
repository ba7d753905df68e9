/* Accepting.
 * Trusts the kernel for who is connected, policy for when a session ends; reads nothing from a connection.
 * Never spins on a failure (no descriptors, a full neighbour): it stops accepting for a moment, the kernel's backlog
 * keeps the connections. Never grows with the number of peers. */
#include "listen/accept.h"

#include "base/id.h"
#include "control/rules.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "wire/listen_policy.h"
#include "wire/listen_smtpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAUSE_MS 100
#define NEIGHBOUR_LINE 256 /* messages that may wait for a neighbour */
#define ACCEPTS_A_TURN 16

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

static void
watch_sockets(struct acceptor *a, bool on)
{
	struct why why = WHY_NONE;

	if (a->watching == on)
		return;
	a->watching = on;
	for (size_t i = 0; i < a->n_sockets; i++)
		if (!on)
			loop_forget(&a->loop, &a->sockets[i]);
		else if (loop_watch(&a->loop, &a->sockets[i], EPOLLIN, &why) != OK)
			log_why("listen", EXHAUSTED, &why);
}

static void
pause_accepting(struct acceptor *a)
{
	watch_sockets(a, false);
	(void)loop_at(&a->loop, &a->pause, clock_ms() + PAUSE_MS);
}

static void
pause_over(struct loop *loop, struct timer *t)
{
	struct acceptor *a = container_of(t, struct acceptor, pause);

	(void)loop;
	if (!counts_is_full(a->counts))
		watch_sockets(a, true);
}

static uint8_t
put_address(const union address *from, uint8_t into[16], uint16_t *port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	switch (from->any.sa_family) {
	case AF_INET:
		memcpy(into, &from->in.sin_addr, 4);
		*port = ntohs(from->in.sin_port);
		return LP_IPV4;
	case AF_INET6:
		*port = ntohs(from->in6.sin6_port);
		if (memcmp(&from->in6.sin6_addr, mapped, sizeof mapped) == 0) {
			memcpy(into, from->in6.sin6_addr.s6_addr + 12, 4);
			return LP_IPV4;
		}
		memcpy(into, &from->in6.sin6_addr, 16);
		return LP_IPV6;
	default:
		return LP_UNIX;
	}
}

static enum result
gather_peer(int fd, const union address *remote, struct lp_peer *peer)
{
	union address local = { 0 };
	socklen_t len = sizeof local;
	struct ucred who;

	peer->uid = UINT32_MAX;
	peer->family = put_address(remote, peer->remote, &peer->remote_port);
	if (peer->family == LP_UNIX) {
		len = sizeof who;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
			return BROKEN;
		peer->uid = who.uid;
		peer->pid = (uint32_t)who.pid;
		return OK;
	}
	if (getsockname(fd, &local.any, &len) != 0)
		return BROKEN;
	(void)put_address(&local, peer->local, &peer->local_port);
	return OK;
}

static void
log_refusal(struct acceptor *a, const struct lp_peer *peer, const char *reason)
{
	char text[INET6_ADDRSTRLEN] = "local";
	struct log_line l;

	a->refused++;
	if (a->last_refusal_logged != 0 && a->loop.now - a->last_refusal_logged < 1000)
		return; /* a flood must not flood the log; the next line says how many there were */
	if (peer->family != LP_UNIX)
		(void)inet_ntop(peer->family == LP_IPV4 ? AF_INET : AF_INET6, peer->remote, text, sizeof text);
	log_begin(&l, SEVERITY_WARNING, "refuse-connection");
	log_text(&l, "peer", text);
	log_text(&l, "why", reason);
	if (peer->family == LP_UNIX)
		log_number(&l, "uid", peer->uid);
	log_number(&l, "refused", a->refused);
	log_number(&l, "sessions", counts_sessions(a->counts));
	log_end(&l);
	a->refused = 0;
	a->last_refusal_logged = a->loop.now == 0 ? 1 : a->loop.now;
}

/* Only what no host name could change is refused here; policy decides with all that is known. */
static bool
is_denied(struct acceptor *a, const struct lp_peer *peer)
{
	struct rules_query q = { .address = peer->remote, .address_len = peer->family == LP_IPV4 ? 4 : 16 };
	struct bytes data;

	if (control_number(a->control, ITEM_PEERNAMES) != 0)
		return false; /* a name could change it: policy refuses */
	return peer->family != LP_UNIX && rules_find_in(a->control, &q, &data) == OK && rules_denies(data);
}

/* *told: policy knows of the session, and will say when it is over, whatever else went wrong */
static enum result
hand_out(struct acceptor *a, int connection, const struct lp_peer *peer, bool *told, struct why *why)
{
	struct ls_session session = { 0 };
	int pair[2], to_smtpd[2], to_policy[2];
	enum result r = channel_pair(pair, why);

	if (r != OK)
		return r;
	memcpy(session.conn, peer->conn, sizeof session.conn);
	to_smtpd[0] = to_policy[1] = connection;
	to_smtpd[1] = pair[0];
	to_policy[0] = pair[1];
	r = port_send(&a->policy, LP_PEER, 0, peer, BYTES_NONE, to_policy, why);
	*told = r == OK;
	if (r == OK)
		r = port_send(&a->smtpd, LS_SESSION, 0, &session, BYTES_NONE, to_smtpd, why);
	(void)close(pair[0]);
	(void)close(pair[1]);
	return r;
}

static void
neighbour_failed(struct acceptor *a, enum result r, const struct why *why)
{
	a->end = r;
	a->why = *why;
	a->loop.stop = true;
}

static void
begin(struct acceptor *a, int fd, const union address *remote)
{
	struct lp_peer peer = { 0 };
	struct counts_peer who = { 0 };
	struct why why = WHY_NONE;
	const char *over = "";
	bool told = false;
	struct id id;
	enum result r;

	if (gather_peer(fd, remote, &peer) != OK)
		return; /* gone already */
	memcpy(who.address, peer.remote, sizeof who.address);
	if (peer.family == LP_UNIX)
		memcpy(who.address, &peer.uid, sizeof peer.uid);
	who.family = peer.family;
	if (is_denied(a, &peer)) {
		log_refusal(a, &peer, "denied by the rules");
		return;
	}
	if (counts_begin(a->counts, &who, &peer.slot, &over) != OK) {
		log_refusal(a, &peer,
		    strcmp(over, "user") == 0          ? "too many sessions of this user"
			: strcmp(over, "address") == 0 ? "too many sessions from this address"
						       : "too many sessions from this network");
		return;
	}
	id = id_next(&a->last_id, clock_wall_us());
	memcpy(peer.conn, id.text, sizeof peer.conn);
	peer.n_sessions = counts_sessions(a->counts);
	r = hand_out(a, fd, &peer, &told, &why);
	if (r == OK)
		return;
	if (!told)
		(void)counts_end(a->counts, peer.slot);
	if (r == EXHAUSTED) {
		log_why("accept", r, &why);
		pause_accepting(a);
	} else
		neighbour_failed(a, r, &why);
}

static void
socket_ready(struct loop *loop, struct source *s, uint32_t events)
{
	struct acceptor *a = container_of(loop, struct acceptor, loop);

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN && a->watching && !loop->stop; i++) {
		union address remote = { 0 };
		socklen_t len = sizeof remote;
		int fd;

		if (counts_is_full(a->counts)) {
			watch_sockets(a, false); /* until a session ends */
			return;
		}
		fd = accept4(s->fd, &remote.any, &len, SOCK_CLOEXEC);
		if (fd >= 0) {
			begin(a, fd, &remote);
			(void)close(fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_simple(SEVERITY_ERROR, "accept", "why", strerrordesc_np(errno));
			pause_accepting(a);
		}
		return; /* none waits, or it is gone already */
	}
}

static enum result
from_policy(struct port *p, struct wire_message *m, struct why *why)
{
	struct acceptor *a = container_of(p, struct acceptor, policy);
	const struct lp_ended *ended = m->body;

	if (counts_end(a->counts, ended->slot) != OK)
		return why_set(why, MALFORMED, "policy ended session %u, which is not there", ended->slot);
	if (a->pause.slot == 0)
		watch_sockets(a, true);
	return OK;
}

static enum result
from_smtpd(struct port *p, struct wire_message *m, struct why *why)
{
	(void)p;
	(void)m;
	return why_set(why, MALFORMED, "smtpd has nothing to say here");
}

static void
policy_ended(struct port *p, enum result r, struct why *why)
{
	neighbour_failed(container_of(p, struct acceptor, policy), r, why);
}

static void
smtpd_ended(struct port *p, enum result r, struct why *why)
{
	neighbour_failed(container_of(p, struct acceptor, smtpd), r, why);
}

static const struct port_events policy_events = { from_policy, policy_ended };
static const struct port_events smtpd_events = { from_smtpd, smtpd_ended };

enum result
acceptor_run(struct acceptor *a, const struct control *control, size_t n_sockets, struct why *why)
{
	struct channel smtpd = channel_of(LISTEN_SMTPD_FD, &listen_smtpd_protocol, LS_LISTEN, false);
	struct channel policy = channel_of(LISTEN_POLICY_FD, &listen_policy_protocol, LP_LISTEN, false);
	enum result r;

	a->control = control;
	a->n_sockets = n_sockets;
	a->end = OK;
	a->pause.due = pause_over;
	a->counts = counts_open((uint32_t)control_number(control, ITEM_CONCURRENCYINCOMING),
	    (uint32_t)control_number(control, ITEM_CONCURRENCYADDRESS),
	    (uint32_t)control_number(control, ITEM_CONCURRENCYNETWORK));
	if (a->counts == NULL)
		return why_set(why, EXHAUSTED, "no memory to count sessions");
	for (size_t i = 0; i < n_sockets; i++)
		a->sockets[i] = (struct source){ .fd = LISTEN_SOCKETS_FD + (int)i, .ready = socket_ready };
	if ((r = loop_open(&a->loop, why)) != OK ||
	    (r = port_open(&a->smtpd, &a->loop, smtpd, &smtpd_events, NEIGHBOUR_LINE, why)) != OK ||
	    (r = port_open(&a->policy, &a->loop, policy, &policy_events, NEIGHBOUR_LINE, why)) != OK)
		return r;
	watch_sockets(a, true);
	if ((r = loop_run(&a->loop, why)) != OK)
		return r;
	*why = a->why;
	return a->end;
}
