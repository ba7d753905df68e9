/* From a connection to its handshake's result.
 * Trusts the engine's word on the peer for what it is; its messages are checked, and bounded in number by their size.
 * Never reads from the connection. */
#include "ucspi/handshake.h"

#include "sys/clock.h"
#include "sys/fd.h"
#include "wire/channel.h"
#include "wire/policy_keyload.h"

#include <poll.h>
#include <string.h>

#define GRACE_MS 5000 /* the engine ends a handshake itself; this is for an engine that has gone mad */

static enum result
send_on(int fd, const struct wire_protocol *protocol, uint16_t type, const void *body, struct bytes tail,
    const int *fds, struct why *why)
{
	struct channel c = channel_of(fd, protocol, WIRE_FIRST, true);

	return channel_send(&c, type, 0, body, tail, fds, why);
}

/* The one certificate that can be shown: its key alone is the signer's then. */
static struct bytes
only_certificate(const struct pt_session *session, struct bytes tail)
{
	struct bytes protocol, list, first;

	if (session->engine.by_name != 0 || !wire_take(&tail, &protocol) || !wire_take(&tail, &list) ||
	    !wire_take(&list, &first) || list.len > 0 || first.len > PK_NAME_MAX)
		return BYTES_NONE;
	return first;
}

enum result
handshake_begin(const struct pt_session *session, struct bytes tail, int tls_fd, int keyload_fd, int connection,
    int plain, int ended, int *facts, struct why *why)
{
	struct pk_signer buy = { .role = session->engine.role == PT_CLIENT ? PK_TLS_CLIENT : PK_TLS_SERVER,
		.wait_ms = session->handshake_ms };
	int signer[2] = { -1, -1 }, ends[2] = { -1, -1 };
	enum result r;

	memcpy(buy.conn, session->conn, sizeof buy.conn);
	if ((r = channel_pair(signer, why)) == OK && (r = channel_pair(ends, why)) == OK &&
	    (r = send_on(keyload_fd, &policy_keyload_protocol, PK_SIGNER, &buy, only_certificate(session, tail),
		 &signer[1], why)) == OK) {
		int gifts[5] = { connection, plain, signer[0], ends[0], ended };

		r = send_on(tls_fd, &policy_tls_protocol, ended >= 0 ? PT_SESSION_TO_ITS_END : PT_SESSION, session,
		    tail, gifts, why);
	}
	fd_close(&signer[0]);
	fd_close(&signer[1]);
	fd_close(&ends[0]);
	*facts = ends[1];
	return r;
}

static void
copy_text(char *into, size_t size, struct bytes from)
{
	size_t n = from.len < size ? from.len : size - 1;

	memcpy(into, from.at, n);
	into[n] = '\0';
}

enum result
handshake_hear(struct handshake *h, int facts, unsigned ms, struct why *why)
{
	static struct wire_buffer buffer;
	struct channel c = channel_of(facts, &tls_facts_protocol, TF_POLICY, true);
	uint64_t end = clock_ms() + ms + GRACE_MS, now;
	struct pollfd p = { facts, POLLIN, 0 };
	struct bytes fields[TF_N_FIELDS];
	struct wire_message m;
	enum result r;

	for (;;) {
		if ((now = clock_ms()) >= end || poll(&p, 1, (int)(end - now)) <= 0)
			return why_set(why, AGAIN, "the engine said nothing");
		if ((r = channel_receive(&c, &buffer, &m, why)) != OK)
			return why_set(why, r, "the engine has gone");
		if (m.type == TF_FACTS)
			break;
		if (m.type == TF_FAILED)
			return why_set(why, REFUSED, "%.*s", (int)m.tail.len, (const char *)m.tail.at);
		buf_add(&h->variables, m.tail);
	}
	if (h->variables.failed || !wire_take_all(m.tail, fields, TF_N_FIELDS))
		return why_set(why, EXHAUSTED, "the engine says too much");
	copy_text(h->protocol, sizeof h->protocol, fields[0]);
	copy_text(h->cipher, sizeof h->cipher, fields[1]);
	return OK;
}
