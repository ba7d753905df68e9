/* What a server must prove to us: each demand, met and missed. */
#include "unit.h"

#include "server_rig.h"
#include "wire/wire.h"

#include <openssl/ssl.h>
#include <string.h>

/* ---- nothing demanded ---- */

static void
without_a_demand_any_server_will_do(void **state)
{
	struct tls_options o = { .role = TLS_CLIENT };
	struct tls_target t = { .demand = TLS_ANY };

	(void)state;
	for (int what = GOOD; what < N_SHOWN; what++)
		for (int v = 0; v < 2; v++) {
			struct met m = meet_server(
			    &o, &t, &(struct server){ (enum shown)what, NULL, v ? TLS1_2_VERSION : 0 });

			assert_string_equal(m.why.text, "");
			assert_int_equal(m.handshake, OK);
			assert_string_equal(m.facts.proof, "");
			assert_int_equal(m.facts.peer, what == ANONYMOUS ? TLS_PEER_NONE : TLS_PEER_UNVERIFIED);
		}
}

static void
a_certificate_is_demanded_or_not(void **state)
{
	struct tls_options o = { .role = TLS_CLIENT, .verify = TLS_VERIFY_OPTIONAL };
	struct tls_target t = { .demand = TLS_SHOWN };
	struct met m = meet_server(&o, &t, &(struct server){ .shows = ANONYMOUS });

	(void)state;
	assert_int_equal(m.handshake, REFUSED); /* no cipher for it is offered */
	o.ciphers = BYTES("ADH:@SECLEVEL=0");
	m = meet_server(&o, &t, &(struct server){ .shows = ANONYMOUS });
	assert_refused(&m, "no certificate");
	o.ciphers = BYTES_NONE;
	assert_int_equal(meet_server(&o, &t, &(struct server){ .shows = EXPIRED }).handshake, OK);
}

/* ---- chains and names ---- */

static void
chains_are_verified(void **state)
{
	static const struct {
		enum shown shows;
		const char *words; /* null: it is good */
	} rows[] = { { GOOD, NULL }, { OTHER_NAME, NULL }, { EXPIRED, "expired" }, { SELF_MADE, "self-signed" },
		{ OF_OTHER_CA, "unable to get local issuer" } };
	struct tls_options o = believing(ca);
	struct tls_target t = { .demand = TLS_CHAIN };

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		for (int v = 0; v < 2; v++) {
			struct met m = meet_server(
			    &o, &t, &(struct server){ rows[i].shows, NULL, v ? TLS1_2_VERSION : 0 });

			if (rows[i].words == NULL)
				assert_proven(&m, "ca");
			else
				assert_refused(&m, rows[i].words);
		}
	o = believing(other_ca);
	{
		struct met m = meet_server(&o, &t, &(struct server){ .shows = OF_OTHER_CA });

		assert_proven(&m, "ca");
	}
}

static void
names_are_compared(void **state)
{
	static const struct {
		enum shown shows;
		enum tls_demand demand;
		const char *asked, *also;
		const char *matched; /* null: refused */
	} rows[] = {
		{ GOOD, TLS_NAME, "mx.example.org", NULL, "MX.Example.ORG" },
		{ GOOD, TLS_NAME, "mx.example.org.", NULL, "MX.Example.ORG" },
		{ GOOD, TLS_NAME, "elsewhere.example", "FIRST.example.org", "first.example.org" },
		{ GOOD, TLS_NAME, "XN--bcher-kva.example", NULL, "xn--bcher-kva.example" },
		{ GOOD, TLS_NAME, "example.org", NULL, NULL },
		{ GOOD, TLS_WILDCARD, "example.org", NULL, NULL },
		{ GOOD, TLS_WILDCARD, ".example.org", "mx.example.org", "MX.Example.ORG" },
		{ GOOD, TLS_WILDCARD, ".example.org", "none.example", NULL },
		{ GOOD, TLS_NAME, "192.0.2.1", NULL, NULL },
		{ WILD, TLS_WILDCARD, "mx.example.org", NULL, "*.example.org" },
		{ WILD, TLS_NAME, "mx.example.org", NULL, NULL },
		{ WILD, TLS_WILDCARD, "example.org", NULL, NULL },
		{ WILD, TLS_WILDCARD, "a.mx.example.org", NULL, NULL },
		{ WILD, TLS_WILDCARD, "*.example.org", "none.example", NULL },
		{ PARTLY_WILD, TLS_WILDCARD, "mx.example.org", NULL, NULL },
		{ CN_ONLY, TLS_NAME, "mx.example.org", NULL, "mx.example.org" },
		{ OTHER_NAME, TLS_NAME, "mx.example.org", NULL, NULL }, /* its CN does not count beside a dNSName */
		{ WITH_ADDRESS, TLS_NAME, "[192.0.2.1]", NULL, "[192.0.2.1]" },
		{ WITH_ADDRESS, TLS_NAME, "192.0.2.2", "192.0.2.1", "192.0.2.1" },
		{ WITH_ADDRESS, TLS_NAME, "[IPv6:2001:DB8:0::1]", NULL, "[IPv6:2001:DB8:0::1]" },
		{ WITH_ADDRESS, TLS_NAME, "[192.0.2.2]", NULL, NULL },
	};
	struct tls_options o = believing(ca);

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct tls_target t = { .demand = rows[i].demand, .names = names(rows[i].asked, rows[i].also) };
		struct met m = meet_server(&o, &t, &(struct server){ .shows = rows[i].shows });

		if (rows[i].matched == NULL)
			assert_refused(&m, "not for ");
		else {
			assert_proven(&m, "ca+name");
			assert_string_equal(m.facts.matched, rows[i].matched);
		}
	}
}

static void
a_name_in_a_certificate_of_an_unknown_ca_proves_nothing(void **state)
{
	struct tls_options o = believing(ca);
	struct tls_target t = { .demand = TLS_NAME, .names = names("mx.example.org", NULL) };
	struct met m = meet_server(&o, &t, &(struct server){ .shows = OF_OTHER_CA });

	(void)state;
	assert_refused(&m, "unable to get local issuer");
	m = meet_server(&o, &t, &(struct server){ .shows = EXPIRED });
	assert_refused(&m, "expired");
	o = believing(NULL);
	m = meet_server(&o, &t, &(struct server){ .shows = GOOD });
	assert_refused(&m, "unable to get local issuer");
}

static void
a_demand_that_says_nothing_is_none(void **state)
{
	struct tls_options o = believing(ca);
	struct tls_target t = { .demand = TLS_NAME };

	(void)state;
	assert_int_equal(meet_server(&o, &t, &(struct server){ .shows = GOOD }).handshake, MALFORMED);
	t.names = names(".example.org", "");
	assert_int_equal(meet_server(&o, &t, &(struct server){ .shows = GOOD }).handshake, MALFORMED);
	t = (struct tls_target){ .demand = TLS_PIN, .pin = BYTES("0123456789012345") };
	assert_int_equal(meet_server(&o, &t, &(struct server){ .shows = GOOD }).handshake, MALFORMED);
	t.pin = BYTES_NONE;
	assert_int_equal(meet_server(&o, &t, &(struct server){ .shows = GOOD }).handshake, MALFORMED);
}

/* ---- revocation ---- */

static X509_CRL *
list_of(X509 *revoked)
{
	X509_CRL *list = X509_CRL_new();
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_TIME *at = ASN1_TIME_new();

	X509_CRL_set_version(list, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(list, X509_get_subject_name(ca));
	X509_gmtime_adj(at, -60);
	X509_CRL_set1_lastUpdate(list, at);
	X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked));
	X509_REVOKED_set_revocationDate(r, at);
	X509_gmtime_adj(at, DAY);
	X509_CRL_set1_nextUpdate(list, at);
	X509_CRL_add0_revoked(list, r);
	ASN1_TIME_free(at);
	assert_true(X509_CRL_sign(list, ca_key, EVP_sha256()) > 0);
	return list;
}

static void
lists_beside_the_cas_count_for_their_issuers(void **state)
{
	X509_CRL *list = list_of(certificates[WILD]);
	uint8_t text[16384];
	struct buf both = BUF_OVER(text);
	struct tls_options o = { .role = TLS_CLIENT, .verify = TLS_VERIFY_REQUIRED };
	struct tls_target t = { .demand = TLS_CHAIN };
	struct met m;

	(void)state;
	buf_add(&both, pem_of(ca, list));
	buf_add(&both, pem_of(other_ca, NULL));
	o.ca = buf_bytes(&both);
	m = meet_server(&o, &t, &(struct server){ .shows = WILD });
	assert_refused(&m, "revoked");
	m = meet_server(&o, &t, &(struct server){ .shows = GOOD });
	assert_proven(&m, "ca");
	m = meet_server(&o, &t, &(struct server){ .shows = OF_OTHER_CA }); /* has no list */
	assert_proven(&m, "ca");
	X509_CRL_free(list);
}

/* ---- pins ---- */

static void
a_fingerprint_is_all_that_a_pin_looks_at(void **state)
{
	const EVP_MD *const digests[] = { EVP_sha1(), EVP_sha224(), EVP_sha256(), EVP_sha512() };
	struct tls_options o = believing(NULL);
	uint8_t octets[EVP_MAX_MD_SIZE];
	unsigned len;

	(void)state;
	for (size_t i = 0; i < nitems(digests); i++) {
		struct tls_target t = { .demand = TLS_PIN };
		struct met m;

		X509_digest(certificates[EXPIRED], digests[i], octets, &len);
		t.pin = bytes_of(octets, len);
		m = meet_server(&o, &t, &(struct server){ .shows = EXPIRED });
		assert_proven(&m, "pin");
		m = meet_server(&o, &t, &(struct server){ .shows = GOOD });
		assert_refused(&m, "fingerprint");
		octets[len - 1] ^= 1;
		m = meet_server(&o, &t, &(struct server){ .shows = EXPIRED });
		assert_refused(&m, "fingerprint");
	}
}

/* ---- stores ---- */

static void
an_engine_may_share_another_ones_cas(void **state)
{
	struct tls_options o = believing(ca);
	struct tls_target t = { .demand = TLS_CHAIN };
	struct tls_engine *first;
	struct why why = WHY_NONE;
	struct met m;

	(void)state;
	assert_int_equal(engine_open(&first, &o, &why), OK);
	o.trusts_like = first;
	o.ca = BYTES_NONE;
	m = meet_server(&o, &t, &(struct server){ .shows = GOOD });
	assert_proven(&m, "ca");
	m = meet_server(&o, &t, &(struct server){ .shows = OF_OTHER_CA });
	assert_refused(&m, "unable to get local issuer");
	engine_close(first);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_demand_any_server_will_do),
		cmocka_unit_test(a_certificate_is_demanded_or_not),
		cmocka_unit_test(chains_are_verified),
		cmocka_unit_test(names_are_compared),
		cmocka_unit_test(a_name_in_a_certificate_of_an_unknown_ca_proves_nothing),
		cmocka_unit_test(a_demand_that_says_nothing_is_none),
		cmocka_unit_test(lists_beside_the_cas_count_for_their_issuers),
		cmocka_unit_test(a_fingerprint_is_all_that_a_pin_looks_at),
		cmocka_unit_test(an_engine_may_share_another_ones_cas),
	};

	return cmocka_run_group_tests(tests, make_certificates, NULL);
}
