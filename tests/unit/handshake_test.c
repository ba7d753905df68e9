/* Handshakes of the engine whose key is on the other side of a call. The peer is OpenSSL itself, in a child. */
#include "handshake_rig.h"
#include "unit.h"
#include "wire/wire.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void
handshakes_of_both_versions_work_with_every_key(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (int k = 0; k < OTHER_KEY; k++)
		for (size_t v = 0; v < 2; v++) {
			struct tls_options o = { .role = TLS_SERVER,
				.certificates = showing(k, -1),
				.rack = &house.rack,
				.protocol = BYTES("smtp") };
			struct peer as = { .version = versions[v], .own_key = -1, .alpn = "\x04smtp" };
			struct outcome out = meet(&o, &as);

			assert_string_equal(out.why.text, "");
			assert_int_equal(out.handshake, OK);
			assert_int_equal(out.pump, OK);
			assert_int_equal(out.status, 0);
			assert_int_equal(out.n_signed, 1);
			assert_string_equal(out.facts.protocol, v == 0 ? "TLSv1.2" : "TLSv1.3");
			assert_string_equal(out.facts.application, "smtp");
			assert_memory_equal(out.facts.own_spki, house.pairs[k].spki, SPKI_LEN);
			assert_true(out.session.closed_well);
		}
}

static void
in_the_client_role_our_certificate_is_shown(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (int k = 0; k < OTHER_KEY; k++)
		for (size_t v = 0; v < 2; v++) {
			struct tls_options o = { .role = TLS_CLIENT,
				.certificates = showing(k, -1),
				.rack = &house.rack,
				.verify = TLS_VERIFY_REQUIRED,
				.ca = ca_pem() };
			struct peer as = { .server = true,
				.version = versions[v],
				.own_key = P256_KEY,
				.emails = "DNS:mail.example.org" };
			struct outcome out = meet(&o, &as);

			assert_string_equal(out.why.text, "");
			assert_int_equal(out.handshake, OK);
			assert_int_equal(out.facts.peer, TLS_PEER_VERIFIED);
			assert_int_equal(out.n_signed, 1);
			assert_int_equal(out.status, 0);
		}
}

static void
the_peer_decides_which_kind_of_key_it_sees(void **state)
{
	struct tls_options o = { .role = TLS_SERVER, .certificates = showing(RSA_KEY, P256_KEY), .rack = &house.rack };
	struct peer as = { .own_key = -1, .sigalgs = "rsa_pss_rsae_sha256" };

	(void)state;
	assert_memory_equal(meet(&o, &as).facts.own_spki, house.pairs[RSA_KEY].spki, SPKI_LEN);
	as.sigalgs = "ecdsa_secp256r1_sha256";
	assert_memory_equal(meet(&o, &as).facts.own_spki, house.pairs[P256_KEY].spki, SPKI_LEN);
	as.sigalgs = "ed25519";
	assert_int_equal(meet(&o, &as).handshake, REFUSED);
}

static void
the_server_name_chooses_and_an_unknown_one_does_not(void **state)
{
	struct tls_options o = {
		.role = TLS_SERVER, .certificates = showing(RSA_KEY, -1), .rack = &house.rack, .by_name = true
	};
	struct peer as = { .own_key = -1, .name = "A.example.net" };
	struct outcome out = meet(&o, &as);

	(void)state;
	assert_string_equal(out.facts.server_name, "A.example.net");
	assert_memory_equal(out.facts.own_spki, house.pairs[P384_KEY].spki, SPKI_LEN);
	as.name = "elsewhere.example";
	assert_memory_equal(meet(&o, &as).facts.own_spki, house.pairs[RSA_KEY].spki, SPKI_LEN);
	as.name = "a.example.net";
	o.by_name = false;
	assert_memory_equal(meet(&o, &as).facts.own_spki, house.pairs[RSA_KEY].spki, SPKI_LEN);
}

static void
client_certificates_are_facts_or_conditions(void **state)
{
	struct tls_options o = { .role = TLS_SERVER,
		.certificates = showing(P256_KEY, -1),
		.rack = &house.rack,
		.verify = TLS_VERIFY_OPTIONAL,
		.ca_names = ca_pem() };
	struct peer as = { .own_key = P256_KEY, .emails = "email:a@example.org,email:b@example.org" };
	struct outcome out = meet(&o, &as);
	struct bytes emails = buf_bytes(&out.facts.emails), one;

	(void)state;
	assert_int_equal(out.facts.peer, TLS_PEER_VERIFIED);
	assert_string_equal(out.facts.common_name, "peer");
	assert_true(wire_take(&emails, &one) && bytes_equal(one, BYTES("a@example.org")));
	assert_true(wire_take(&emails, &one) && bytes_equal(one, BYTES("b@example.org")));
	as.own_key = -1;
	assert_int_equal(meet(&o, &as).facts.peer, TLS_PEER_NONE);
	o.verify = TLS_VERIFY_REQUIRED;
	out = meet(&o, &as);
	assert_int_equal(out.handshake, REFUSED);
	assert_non_null(strstr(out.why.text, "no certificate"));
	o.verify = TLS_VERIFY_NONE;
	as.own_key = P256_KEY;
	assert_int_equal(meet(&o, &as).facts.peer, TLS_PEER_NONE);
}

static void
failures_are_told_in_words(void **state)
{
	struct tls_options o = { .role = TLS_SERVER,
		.certificates = showing(P256_KEY, -1),
		.rack = &house.rack,
		.protocol = BYTES("smtp") };
	struct peer http = { .own_key = -1, .raw = "GET / HTTP/1.1\r\nHost: a\r\n\r\n" };
	struct peer plain = { .own_key = -1, .raw = "EHLO client.example.org\r\n" };
	struct peer web = { .own_key = -1, .alpn = "\x02h2\x08http/1.1" };
	struct peer old = { .own_key = -1, .version = TLS1_1_VERSION };
	struct outcome out;

	(void)state;
	out = meet(&o, &http);
	assert_int_equal(out.handshake, REFUSED);
	assert_non_null(strstr(out.why.text, "HTTP"));
	out = meet(&o, &plain);
	assert_int_equal(out.handshake, REFUSED);
	assert_non_null(strstr(out.why.text, "not TLS"));
	out = meet(&o, &web);
	assert_int_equal(out.handshake, REFUSED);
	assert_non_null(strstr(out.why.text, "wrong protocol"));
	assert_true(out.session.n_alerts > 0 && out.session.alerts[0].sent);
	assert_string_equal(out.session.alerts[0].name, "no application protocol");
	out = meet(&o, &old);
	assert_int_equal(out.handshake, REFUSED);
	assert_non_null(strstr(out.why.text, "version"));
	house.refuses = true;
	out = meet(&o, &(struct peer){ .own_key = -1 });
	house.refuses = false;
	assert_int_equal(out.handshake, BROKEN);
	assert_non_null(strstr(out.why.text, "not today"));
}

static void
an_end_without_close_notify_is_told(void **state)
{
	struct tls_options o = { .role = TLS_SERVER, .certificates = showing(P256_KEY, -1), .rack = &house.rack };
	struct peer as = { .own_key = -1, .rude = true };
	struct outcome out = meet(&o, &as);

	(void)state;
	assert_int_equal(out.handshake, OK);
	assert_int_equal(out.pump, ABSENT);
	assert_false(out.session.closed_well);
}

/* Both applications write far more than any buffer holds before either reads to the end. */
static void
full_duplex_never_stands_still(void **state)
{
	enum { MUCH = 4 << 20 };
	struct tls_options o = { .role = TLS_SERVER, .certificates = showing(P256_KEY, -1), .rack = &house.rack };
	struct tls_options c = { .role = TLS_CLIENT };
	enum signing_purpose purpose = SIGN_TLS_SERVER;
	int net[2], plain[2][2], status;
	struct why why = WHY_NONE;
	pid_t pids[2];

	(void)state;
	provider_set_signer(sign_here, &purpose);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, net), 0);
	for (int side = 0; side < 2; side++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, plain[side]), 0);
		if ((pids[side] = fork()) == 0) {
			struct tls_engine *e;
			struct tls_session s;

			close(net[!side]);
			close(plain[side][1]);
			if (side == 1)
				close(plain[0][1]);
			if (engine_open(&e, side == 0 ? &o : &c, &why) != OK ||
			    tls_begin(&s, e, net[side], NULL, &why) != OK || tls_handshake(&s, 5000, &why) != OK)
				_exit(1);
			_exit(tls_pump(&s, plain[side][0], 5000, &why) == OK ? 0 : 2);
		}
		close(plain[side][0]);
	}
	close(net[0]);
	close(net[1]);
	{
		static char octets[65536];
		size_t sent[2] = { 0 }, got[2] = { 0 };

		while (got[0] < MUCH || got[1] < MUCH) {
			struct pollfd f[2] = { { plain[0][1], (short)(POLLIN | (sent[0] < MUCH ? POLLOUT : 0)), 0 },
				{ plain[1][1], (short)(POLLIN | (sent[1] < MUCH ? POLLOUT : 0)), 0 } };

			assert_true(poll(f, 2, 5000) > 0);
			for (int i = 0; i < 2; i++) {
				ssize_t n;

				if ((f[i].revents & POLLOUT) &&
				    (n = send(plain[i][1], octets, sizeof octets, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
					sent[i] += (size_t)n;
					if (sent[i] >= MUCH)
						shutdown(plain[i][1], SHUT_WR);
				} else if (f[i].revents & (POLLIN | POLLHUP)) {
					n = recv(plain[i][1], octets, 300, MSG_DONTWAIT);
					assert_true(n != 0 || got[i] >= MUCH); /* else its child has died */
					got[i] += n > 0 ? (size_t)n : 0;
				}
			}
		}
		assert_true(got[0] == sent[1] && got[1] == sent[0]);
	}
	close(plain[0][1]);
	close(plain[1][1]);
	for (int side = 0; side < 2; side++) {
		waitpid(pids[side], &status, 0);
		assert_int_equal(status, 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshakes_of_both_versions_work_with_every_key),
		cmocka_unit_test(in_the_client_role_our_certificate_is_shown),
		cmocka_unit_test(the_peer_decides_which_kind_of_key_it_sees),
		cmocka_unit_test(the_server_name_chooses_and_an_unknown_one_does_not),
		cmocka_unit_test(client_certificates_are_facts_or_conditions),
		cmocka_unit_test(failures_are_told_in_words),
		cmocka_unit_test(an_end_without_close_notify_is_told),
		cmocka_unit_test(full_duplex_never_stands_still),
	};

	return cmocka_run_group_tests(tests, fill_rack, NULL);
}
