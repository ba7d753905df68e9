/* Sessions of remote around one unconfined `send`.
 * Trusts nothing of it: every message is asserted.
 * Never leaves its own channels. */
#include "send_rig.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

char srig_domain[256];
struct channel srig_deferring;

struct channel
expect_session(const char *domain)
{
	struct wire_message m = srig_receive(&srig_remote, RD_SESSION);
	struct channel session = channel_of(m.fds[0], &send_remote_protocol, RM_REMOTE, true);
	struct bytes fields[RM_PEER_FIELDS];

	srig_be_patient(session.fd);
	m = srig_receive(&session, RM_PEER);
	assert_true(wire_take_all(m.tail, fields, RM_PEER_FIELDS));
	assert_true(domain == NULL || bytes_equal(fields[0], bytes_of_string(domain)));
	(void)snprintf(srig_domain, sizeof srig_domain, "%.*s", (int)fields[0].len, (const char *)fields[0].at);
	return session;
}

uint64_t
expect_transaction(struct channel *session, const struct srig_message *of, unsigned n, const char *first)
{
	struct wire_message m = srig_receive(session, RM_MESSAGE);
	uint64_t ref = m.ref, left = ((const struct rm_message *)m.body)->n_recipients;

	wire_close_fds(&m);
	if (of != NULL) {
		assert_string_equal(((const struct rm_message *)m.body)->id, of->id.text);
		assert_int_equal(left, n);
	}
	for (bool is_first = of != NULL; left > 0; is_first = false) {
		struct bytes rest, address;

		m = srig_receive(session, RM_RECIPIENTS);
		assert_int_equal(m.ref, ref);
		rest = m.tail;
		assert_true(wire_take(&rest, &address));
		assert_true(!is_first || bytes_equal(address, bytes_of_string(first)));
		assert_in_range(((const struct rm_recipients *)m.body)->n, 1, left);
		left -= ((const struct rm_recipients *)m.body)->n;
	}
	return ref;
}

void
remote_answer(
    struct channel *session, uint64_t ref, enum rm_outcome outcome, enum rm_scope scope, bool closing, const char *text)
{
	struct rm_done body = { .outcome = (uint8_t)outcome,
		.enhanced = { 9, 4, 4 },
		.scope = (uint8_t)scope,
		.closing = closing,
		.from_peer = text[0] >= '2' && text[0] <= '5' };
	uint8_t room[1000];
	struct buf tail = BUF_OVER(room);
	struct why why = WHY_NONE;

	wire_put_string(&tail, "mx.far.example");
	wire_put_string(&tail, "192.0.2.25");
	for (int i = 0; i < 3; i++)
		wire_put_string(&tail, "");
	wire_put_string(&tail, text);
	assert_int_equal(channel_send(session, RM_DONE, ref, &body, buf_bytes(&tail), NULL, &why), OK);
}

void
remote_result(struct channel *session, uint64_t ref, uint32_t recipient, enum rm_outcome outcome, const char *text)
{
	struct rm_result body = { .recipient = recipient, .outcome = (uint8_t)outcome, .enhanced = { 9, 1, 1 } };
	struct why why = WHY_NONE;

	assert_int_equal(channel_send(session, RM_RESULT, ref, &body, bytes_of_string(text), NULL, &why), OK);
}

void
srig_defer(const struct srig_message *m)
{
	struct pollfd p = { srig_deferring.fd, POLLIN, 0 };
	char octet;

	/* it is used again, unless send has closed it meanwhile */
	if (srig_deferring.fd >= 0 && poll(&p, 1, 5000) == 1 && recv(srig_deferring.fd, &octet, 1, MSG_PEEK) == 0)
		channel_close(&srig_deferring);
	if (srig_deferring.fd < 0)
		srig_deferring = expect_session("far.example");
	remote_answer(&srig_deferring, expect_transaction(&srig_deferring, m, 1, "someone@far.example"), RM_TEMPORARY,
	    RM_OF_RECIPIENT, false, "451 not now");
}

void
expect_delivered(struct channel *session, const struct srig_message *m)
{
	remote_answer(session, expect_transaction(session, m, 1, "a@far.example"), RM_DELIVERED, RM_OF_RECIPIENT, false,
	    "250 ok");
	expect_done(m);
}

struct channel
expect_all_read(void)
{
	struct srig_message last = srig_simple("joe@local.example");

	announce(&last);
	return expect_spawn(2001);
}
