/* TLSA records of a server: each usage, selector and matching type (RFC 6698, 7671, 7672). */
#include "unit.h"

#include "server_rig.h"
#include "wire/wire.h"

#include <openssl/ssl.h>
#include <string.h>

/* A record for the certificate. */
static void
put_record(struct buf *list, unsigned usage, unsigned selector, unsigned matching, X509 *c, bool spoilt)
{
	uint8_t octets[4096] = { (uint8_t)usage, (uint8_t)selector, (uint8_t)matching };
	unsigned char der[4096], *at = der;
	int len = selector == 0 ? i2d_X509(c, &at) : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c), &at);
	unsigned n = (unsigned)len;

	if (matching == 0)
		memcpy(octets + 3, der, n);
	else
		EVP_Digest(der, n, octets + 3, &n, matching == 1 ? EVP_sha256() : EVP_sha512(), NULL);
	if (spoilt)
		octets[3 + n - 1] ^= 1;
	wire_put(list, bytes_of(octets, 3 + n));
}

static void
every_kind_of_tlsa_record_matches_or_does_not(void **state)
{
	struct tls_options o = believing(NULL);
	uint8_t records[8192];

	(void)state;
	for (unsigned row = 0; row < 2 * 2 * 3 * 2; row++) {
		unsigned usage = 2 + row % 2, selector = row / 2 % 2, matching = row / 4 % 3;
		bool spoilt = row / 12 == 1;
		struct buf list = BUF_OVER(records);
		struct tls_target t = { .demand = TLS_DANE, .names = names("mx.example.org", NULL) };
		struct met m;

		put_record(&list, usage, selector, matching,
		    spoilt && matching == 0 ? other_ca
			: usage == 2        ? ca
					    : certificates[GOOD],
		    spoilt && matching > 0);
		t.tlsa = buf_bytes(&list);
		m = meet_server(&o, &t, &(struct server){ GOOD, ca, row % 3 == 0 ? TLS1_2_VERSION : 0 });
		if (spoilt)
			assert_int_equal(m.handshake, REFUSED);
		else
			assert_proven(&m, usage == 2 ? "dane-ta" : "dane-ee");
	}
}

static struct met
meet_with_record(unsigned usage, X509 *of, enum shown shows, X509 *sends, const char *name)
{
	static uint8_t records[8192];
	struct buf list = BUF_OVER(records);
	struct tls_options o = believing(NULL);
	struct tls_target t = { .demand = TLS_DANE, .names = names(name, NULL) };

	put_record(&list, usage, 1, 1, of, false);
	t.tlsa = buf_bytes(&list);
	return meet_server(&o, &t, &(struct server){ .shows = shows, .sends = sends });
}

static void
names_and_dates_count_for_trust_anchors_only(void **state)
{
	struct met m = meet_with_record(3, certificates[EXPIRED], EXPIRED, NULL, "another.example");

	(void)state;
	assert_proven(&m, "dane-ee");
	m = meet_with_record(3, certificates[SELF_MADE], SELF_MADE, NULL, "another.example");
	assert_proven(&m, "dane-ee");
	m = meet_with_record(2, ca, EXPIRED, ca, "mx.example.org");
	assert_refused(&m, "expired");
	m = meet_with_record(2, ca, GOOD, ca, "another.example");
	assert_refused(&m, "not for another.example");
	m = meet_with_record(2, ca, WILD, ca, "mx.example.org");
	assert_proven(&m, "dane-ta");
	assert_string_equal(m.facts.matched, "*.example.org");
	m = meet_with_record(2, other_ca, GOOD, ca, "mx.example.org");
	assert_refused(&m, "TLSA");
	m = meet_with_record(2, ca, GOOD, NULL, "mx.example.org"); /* the anchor's digest alone does not make a chain */
	assert_int_equal(m.handshake, REFUSED);
}

static void
one_record_of_several_is_enough(void **state)
{
	uint8_t records[8192];
	struct buf list = BUF_OVER(records);
	struct tls_options o = believing(NULL);
	struct tls_target t = { .demand = TLS_DANE, .names = names("mx.example.org", NULL) };
	struct met m;

	(void)state;
	put_record(&list, 1, 0, 1, certificates[GOOD], false); /* can't be used */
	put_record(&list, 3, 1, 1, ca, false);                 /* does not match */
	put_record(&list, 2, 0, 2, ca, false);
	t.tlsa = buf_bytes(&list);
	m = meet_server(&o, &t, &(struct server){ .shows = GOOD, .sends = ca });
	assert_proven(&m, "dane-ta");
}

static void
without_a_usable_record_there_is_tls_without_proof(void **state)
{
	static const uint8_t strange[] = { 3, 1, 9, 1, 2, 3 }, cut[] = { 3, 1, 1, 1, 2 }, empty[] = { 3, 1, 1 };
	uint8_t records[8192];
	struct buf list = BUF_OVER(records);
	struct tls_options o = believing(NULL);
	struct tls_target t = { .demand = TLS_DANE, .names = names("mx.example.org", NULL) };
	struct met m;

	(void)state;
	put_record(&list, 0, 0, 1, ca, false);
	put_record(&list, 1, 1, 1, certificates[GOOD], false);
	wire_put(&list, bytes_of(strange, sizeof strange));
	wire_put(&list, bytes_of(cut, sizeof cut));
	wire_put(&list, bytes_of(empty, sizeof empty));
	t.tlsa = buf_bytes(&list);
	m = meet_server(&o, &t, &(struct server){ .shows = SELF_MADE });
	assert_string_equal(m.why.text, "");
	assert_int_equal(m.handshake, OK);
	assert_string_equal(m.facts.proof, "");
	assert_int_equal(m.facts.peer, TLS_PEER_UNVERIFIED);
	assert_non_null(strstr(m.facts.verify, "none of the TLSA records can be used"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_tlsa_record_matches_or_does_not),
		cmocka_unit_test(names_and_dates_count_for_trust_anchors_only),
		cmocka_unit_test(one_record_of_several_is_enough),
		cmocka_unit_test(without_a_usable_record_there_is_tls_without_proof),
	};

	return cmocka_run_group_tests(tests, make_certificates, NULL);
}
