/* Whose fault it is that a handshake fails: mail may go on in plain text after the peer's alone. */
#include "handshake_rig.h"
#include "unit.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdlib.h>

static void
only_what_the_peer_said_is_the_peers_fault(void **state)
{
	static const char alert[] = "\x15\x03\x03\x00\x02\x02\x28"; /* handshake_failure */
	static const struct {
		struct peer as;
		enum tls_blame blame;
	} rows[] = {
		{ { .own_key = -1, .server = true, .raw = "500 what?\r\n" }, TLS_BLAME_PEER },
		{ { .own_key = -1, .server = true, .raw = "HTTP/1.1 400 Bad Request\r\n" }, TLS_BLAME_PEER },
		{ { .own_key = -1, .server = true, .raw = alert, .raw_len = 7 }, TLS_BLAME_PEER },
		{ { .own_key = -1, .server = true, .raw = "", .closes = true }, TLS_BLAME_PEER },
		{ { .own_key = -1, .server = true, .raw = "" }, TLS_BLAME_SILENCE },
		{ { .own_key = P256_KEY, .server = true, .version = TLS1_1_VERSION }, TLS_BLAME_PEER },
	};
	struct tls_options o = { .role = TLS_CLIENT };
	struct outcome out;

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct peer as = rows[i].as;

		out = meet(&o, &as);
		assert_int_not_equal(out.handshake, OK);
		assert_int_equal(out.session.blame, rows[i].blame);
	}
	house.refuses = true;
	o = (struct tls_options){ .role = TLS_CLIENT, .certificates = showing(P256_KEY, -1), .rack = &house.rack };
	out = meet(&o, &(struct peer){ .own_key = P256_KEY, .server = true });
	house.refuses = false;
	assert_int_equal(out.handshake, BROKEN);
	assert_int_equal(out.session.blame, TLS_BLAME_US);
}

static void
no_want_of_memory_is_the_peers_fault(void **state)
{
	struct tls_options o = { .role = TLS_CLIENT };
	unsigned n_failed = 0;

	(void)state;
	for (house.fail_at = 1;; house.fail_at += 1 + house.fail_at / 16) {
		struct outcome out = meet(
		    &o, &(struct peer){ .own_key = P256_KEY, .server = true, .needs_none = true });

		if (!house.has_failed)
			break;
		n_failed += out.handshake != OK;
		if (out.handshake != OK)
			assert_int_equal(out.session.blame, TLS_BLAME_US);
	}
	house.fail_at = 0;
	assert_in_range(n_failed, 10, UINT32_MAX);
}

/* OpenSSL's memory, so that it fails as ours does. */
static void *
take(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(n);
}

static void *
take_again(void *old, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return realloc(old, n);
}

static void
give(void *old, const char *file, int line)
{
	(void)file;
	(void)line;
	free(old);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_the_peer_said_is_the_peers_fault),
		cmocka_unit_test(no_want_of_memory_is_the_peers_fault),
	};

	if (CRYPTO_set_mem_functions(take, take_again, give) != 1)
		return 1;
	return cmocka_run_group_tests(tests, fill_rack, NULL);
}
