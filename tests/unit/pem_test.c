/* Files of certificates and revocation lists that were cut or damaged.
 * Trusts OpenSSL to make whole ones.
 * Never touches a file. */
#include "unit.h"

#include "certificates.h"
#include "crypt/engine.h"
#include "crypt/pair.h"
#include "crypt/pem.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static struct bytes chain, crls; /* two of each */

static void
put_crl(BIO *out)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *now = ASN1_TIME_new();

	assert_non_null(ASN1_TIME_set(now, time(NULL) - 60));
	assert_int_equal(X509_CRL_set_version(crl, 1), 1);
	assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca)), 1);
	assert_int_equal(X509_CRL_set1_lastUpdate(crl, now), 1);
	assert_non_null(ASN1_TIME_set(now, time(NULL) + 3600));
	assert_int_equal(X509_CRL_set1_nextUpdate(crl, now), 1);
	assert_true(X509_CRL_sign(crl, ca_key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509_CRL(out, crl), 1);
	ASN1_TIME_free(now);
	X509_CRL_free(crl);
}

/* The octets stay when the BIO has gone. */
static struct bytes
keep(BIO *from)
{
	char *at;
	long len = BIO_get_mem_data(from, &at);
	uint8_t *copy = malloc((size_t)len);

	assert_non_null(copy);
	memcpy(copy, at, (size_t)len);
	BIO_free(from);
	return bytes_of(copy, (size_t)len);
}

static int
make(void **state)
{
	BIO *out;
	int failed = make_keys(state);

	if (failed != 0)
		return failed;
	out = BIO_new(BIO_s_mem());
	assert_int_equal(BIO_puts(out, "subject: two certificates\n-----------------\n"), 44);
	for (int i = 0; i < 2; i++)
		assert_int_equal(PEM_write_bio_X509(out, ca), 1);
	chain = keep(out);
	out = BIO_new(BIO_s_mem());
	for (int i = 0; i < 2; i++)
		put_crl(out);
	crls = keep(out);
	return 0;
}

static size_t
place_of(struct bytes text, const char *what, unsigned which)
{
	const uint8_t *at = text.at;

	for (;; at++) {
		at = memmem(at, text.len - (size_t)(at - text.at), what, strlen(what));
		assert_non_null(at);
		if (which-- == 0)
			return (size_t)(at - text.at);
	}
}

static void
a_file_that_is_cut_anywhere_is_whole_up_to_a_block_or_refused(void **state)
{
	const struct {
		struct bytes text;
		enum pem_kind kind;
		const char *begin, *end;
	} cases[] = {
		{ chain, PEM_CERTIFICATES, "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----" },
		{ crls, PEM_CRLS, "-----BEGIN X509 CRL-----", "-----END X509 CRL-----" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		size_t second = place_of(cases[i].text, cases[i].begin, 1), first_end, second_end;

		first_end = place_of(cases[i].text, cases[i].end, 0) + strlen(cases[i].end);
		second_end = place_of(cases[i].text, cases[i].end, 1) + strlen(cases[i].end);
		for (size_t cut = 0; cut <= cases[i].text.len; cut++) {
			struct why why = WHY_NONE;
			unsigned n = 9;
			enum result r = pem_check(bytes_first(cases[i].text, cut), cases[i].kind, &n, &why);

			if (cut > second && cut < second_end)
				assert_int_equal(r, MALFORMED);
			else if (cut >= first_end)
				assert_true(r == OK && n == (cut >= second_end ? 2u : 1u));
			else
				assert_true(r == MALFORMED || n == 0);
			assert_true(r == OK || strncmp(why.text, "line ", 5) == 0);
		}
	}
}

static void
damage_in_a_later_block_is_told_with_its_line(void **state)
{
	size_t begin = place_of(chain, "-----BEGIN CERTIFICATE-----\n", 1) + 28;
	size_t end = place_of(chain, "-----END CERTIFICATE-----", 1);
	uint8_t *copy = malloc(chain.len);

	(void)state;
	assert_non_null(copy);
	for (size_t at = begin; at < end - 1; at += 7) {
		struct why why = WHY_NONE;
		unsigned n;

		memcpy(copy, chain.at, chain.len);
		copy[at] = '!';
		assert_int_equal(pem_check(bytes_of(copy, chain.len), PEM_CERTIFICATES, &n, &why), MALFORMED);
		assert_non_null(strstr(why.text, "this CERTIFICATE is damaged"));
	}
	free(copy);
}

static void
other_blocks_are_passed_over_but_must_end(void **state)
{
	static const char *const texts[] = { "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n", "-----END CERTIFICATE-----\n",
		"-----BEGIN PRIVATE KEY-----\n-----END CERTIFICATE-----\n", "-----BEGIN\n", "---\n-----\n", "a\n--" };
	static const bool fine[] = { true, false, false, false, false, true, false };

	(void)state;
	for (size_t i = 0; i < nitems(texts); i++) {
		struct why why = WHY_NONE;
		unsigned n = 9;
		enum result r = pem_check(bytes_of_string(texts[i]), PEM_CERTIFICATES, &n, &why);

		assert_int_equal(r, fine[i] ? OK : MALFORMED);
		assert_true(r != OK || n == 0);
	}
}

/* A chain that was cut at its second certificate took the place of a good one. */
static void
a_chain_that_is_cut_is_no_shorter_chain(void **state)
{
	struct made m = make_pair(keys[P256_KEY], "mail.example.org", "DNS:mail.example.org", NULL);
	struct buf both = buf_growing(1 << 16);
	struct why why = WHY_NONE;
	struct pair p;

	(void)state;
	buf_add(&both, m.certificate);
	buf_add(&both, chain);
	assert_int_equal(pair_read(&p, buf_bytes(&both), m.key, BYTES_NONE, &why), OK);
	pair_close(&p);
	assert_int_equal(
	    pair_read(&p, bytes_first(buf_bytes(&both), both.len - 100), m.key, BYTES_NONE, &why), MALFORMED);
	assert_non_null(strstr(why.text, "the file is cut or damaged"));
	pair_close(&p);
	buf_free(&both);
	drop_pair(&m);
}

static enum result
open_engine(struct bytes cas, struct bytes lists, struct why *why)
{
	struct tls_options o = { .role = TLS_CLIENT, .verify = TLS_VERIFY_REQUIRED, .ca = cas, .crl = lists };
	struct tls_engine *e = NULL;
	enum result r = engine_open(&e, &o, why);

	if (r == OK)
		engine_close(e);
	return r;
}

/* A damaged revocation list was none: whom it named was believed. */
static void
damaged_cas_and_revocation_lists_are_no_shorter_ones(void **state)
{
	struct buf both = buf_growing(1 << 16);
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(open_engine(chain, crls, &why), OK);
	assert_int_equal(open_engine(bytes_first(chain, chain.len - 100), crls, &why), MALFORMED);
	assert_non_null(strstr(why.text, "a file of CAs, line "));
	why = WHY_NONE;
	assert_int_equal(open_engine(chain, bytes_first(crls, crls.len - 100), &why), MALFORMED);
	assert_non_null(strstr(why.text, "a file of revocation lists, line "));
	buf_add(&both, chain); /* lists that lie with the CAs */
	buf_add(&both, bytes_first(crls, crls.len - 100));
	assert_int_equal(open_engine(buf_bytes(&both), BYTES_NONE, &why), MALFORMED);
	buf_free(&both);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_is_cut_anywhere_is_whole_up_to_a_block_or_refused),
		cmocka_unit_test(damage_in_a_later_block_is_told_with_its_line),
		cmocka_unit_test(other_blocks_are_passed_over_but_must_end),
		cmocka_unit_test(a_chain_that_is_cut_is_no_shorter_chain),
		cmocka_unit_test(damaged_cas_and_revocation_lists_are_no_shorter_ones),
	};

	return cmocka_run_group_tests(tests, make, NULL);
}
