/* Pairs of certificate and key, and the signer. */
#include "unit.h"

#include "certificates.h"
#include "crypt/pair.h"
#include "wire/wire.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <string.h>

static void
pairs_of_every_kind_sign_what_openssl_verifies(void **state)
{
	static const uint16_t schemes[] = { 0x0804, 0x0403, 0x0503, 0x0807 };
	uint8_t text[130] = { 0 }, room[SIGNATURE_MAX];
	struct why why = WHY_NONE;
	struct signer s;
	struct pair p;

	(void)state;
	memset(text, ' ', 64);
	memcpy(text + 64, "TLS 1.3, server CertificateVerify", 33);
	for (int i = 0; i < OTHER_KEY; i++) {
		struct made m = make_pair(keys[i], "mail.example.org", "DNS:Mail.example.org,DNS:*.example.net", NULL);
		struct buf signature = BUF_OVER(room);
		struct bytes names, name;

		assert_int_equal(pair_read(&p, m.certificate, m.key, BYTES_NONE, &why), OK);
		names = buf_bytes(&p.names);
		assert_true(wire_take(&names, &name) && bytes_equal(name, BYTES("mail.example.org")));
		assert_true(wire_take(&names, &name) && bytes_equal(name, BYTES("*.example.net")));
		assert_int_equal(signer_open(&s, buf_bytes(&p.key), p.spki, &why), OK);
		assert_int_equal(
		    signer_sign(&s, SIGN_TLS_SERVER, schemes[i], bytes_of(text, 130), &signature, &why), OK);
		{
			EVP_MD_CTX *c = EVP_MD_CTX_new();
			EVP_PKEY_CTX *k;

			assert_int_equal(EVP_DigestVerifyInit(c, &k,
					     i == ED_KEY         ? NULL
						 : i == P384_KEY ? EVP_sha384()
								 : EVP_sha256(),
					     NULL, keys[i]),
			    1);
			if (i == RSA_KEY)
				EVP_PKEY_CTX_set_rsa_padding(k, RSA_PKCS1_PSS_PADDING);
			assert_int_equal(EVP_DigestVerify(c, signature.at, signature.len, text, 130), 1);
			EVP_MD_CTX_free(c);
		}
		/* the same key refuses what it is not for, and a scheme of another kind of key */
		assert_int_equal(
		    signer_sign(&s, SIGN_TLS_CLIENT, schemes[i], bytes_of(text, 130), &signature, &why), REFUSED);
		assert_int_equal(
		    signer_sign(&s, SIGN_TLS_SERVER, schemes[(i + 1) % 4], bytes_of(text, 130), &signature, &why),
		    REFUSED);
		assert_int_equal(
		    signer_sign(&s, SIGN_TLS_SERVER, schemes[i], bytes_of(text, 32), &signature, &why), REFUSED);
		signer_close(&s);
		p.spki[0] ^= 1;
		assert_int_equal(signer_open(&s, buf_bytes(&p.key), p.spki, &why), REFUSED);
		p.spki[0] ^= 1;
		for (size_t cut = 0; cut < p.key.len; cut += cut < 64 ? 1 : 7) {
			assert_int_not_equal(signer_open(&s, bytes_first(buf_bytes(&p.key), cut), p.spki, &why), OK);
			signer_close(&s);
		}
		pair_close(&p);
		drop_pair(&m);
	}
}

static void
what_is_no_pair_is_refused(void **state)
{
	struct made a = make_pair(keys[P256_KEY], "a", "DNS:a", NULL),
		    b = make_pair(keys[OTHER_KEY], "b", "DNS:b", NULL);
	struct made locked = make_pair(keys[P256_KEY], "a", NULL, "sesame");
	EVP_PKEY *small = EVP_RSA_gen(1024);
	struct made weak = make_pair(small, "weak", NULL, NULL);
	struct why why = WHY_NONE;
	struct pair p;

	(void)state;
	assert_int_equal(pair_read(&p, a.certificate, b.key, BYTES_NONE, &why), REFUSED);
	pair_close(&p);
	assert_int_equal(pair_read(&p, a.key, a.key, BYTES_NONE, &why), MALFORMED);
	pair_close(&p);
	assert_int_equal(pair_read(&p, a.certificate, a.certificate, BYTES_NONE, &why), MALFORMED);
	pair_close(&p);
	assert_int_equal(pair_read(&p, locked.certificate, locked.key, BYTES_NONE, &why), MALFORMED);
	pair_close(&p);
	assert_int_equal(pair_read(&p, locked.certificate, locked.key, BYTES("wrong"), &why), MALFORMED);
	pair_close(&p);
	assert_int_equal(pair_read(&p, locked.certificate, locked.key, BYTES("sesame"), &why), OK);
	pair_close(&p);
	assert_int_equal(pair_read(&p, weak.certificate, weak.key, BYTES_NONE, &why), REFUSED);
	pair_close(&p);
	for (size_t cut = 0; cut + 30 < a.certificate.len; cut += 5) {
		assert_int_not_equal(pair_read(&p, bytes_first(a.certificate, cut), a.key, BYTES_NONE, &why), OK);
		pair_close(&p);
	}
	drop_pair(&a);
	drop_pair(&b);
	drop_pair(&locked);
	drop_pair(&weak);
	EVP_PKEY_free(small);
}

/* Accepted, and every handshake failed: OpenSSL shows another public key than the certificate has. */
static void
a_certificate_whose_point_or_curve_peers_refuse_is_refused(void **state)
{
	static const struct {
		const char *form, *encoding, *words;
	} cases[] = { { "compressed", "named_curve", "an uncompressed point" },
		{ "hybrid", "named_curve", "an uncompressed point" },
		{ "uncompressed", "explicit", "spells its curve out" }, { "uncompressed", "named_curve", NULL } };

	(void)state;
	for (unsigned i = 0; i < 2 * nitems(cases); i++) {
		EVP_PKEY *key = EVP_EC_gen(i % 2 ? "P-384" : "P-256");
		struct why why = WHY_NONE;
		struct made m;
		struct pair p;

		assert_int_equal(
		    EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, cases[i / 2].form),
		    1);
		assert_int_equal(
		    EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, cases[i / 2].encoding), 1);
		m = make_pair(key, "mx", "DNS:mx", NULL);
		assert_int_equal(
		    pair_read(&p, m.certificate, m.key, BYTES_NONE, &why), cases[i / 2].words == NULL ? OK : REFUSED);
		if (cases[i / 2].words != NULL)
			if (strstr(why.text, cases[i / 2].words) == NULL)
				fail_msg("%u: %s", i, why.text);
		pair_close(&p);
		drop_pair(&m);
		EVP_PKEY_free(key);
	}
}

/* The form of the key's own file does not matter. */
static void
a_key_with_a_compressed_point_fits_a_certificate_that_has_it_whole(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct made whole = make_pair(key, "mx", "DNS:mx", NULL), compressed;
	struct why why = WHY_NONE;
	struct pair p;

	(void)state;
	assert_int_equal(
	    EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"), 1);
	compressed = make_pair(key, "mx", "DNS:mx", NULL);
	assert_int_equal(pair_read(&p, whole.certificate, compressed.key, BYTES_NONE, &why), OK);
	pair_close(&p);
	drop_pair(&whole);
	drop_pair(&compressed);
	EVP_PKEY_free(key);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_of_every_kind_sign_what_openssl_verifies),
		cmocka_unit_test(what_is_no_pair_is_refused),
		cmocka_unit_test(a_certificate_whose_point_or_curve_peers_refuse_is_refused),
		cmocka_unit_test(a_key_with_a_compressed_point_fits_a_certificate_that_has_it_whole),
	};

	return cmocka_run_group_tests(tests, make_keys, NULL);
}
