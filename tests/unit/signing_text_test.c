/* What a key may sign: the layouts of TLS, and everything that an engine taken over might try instead. */
#include "unit.h"

#include "crypt/signing_text.h"

#include <stdio.h>
#include <string.h>

static size_t
make_tls13(uint8_t *text, const char *who, size_t hash)
{
	size_t n = 64;

	memset(text, ' ', 64);
	n += (size_t)snprintf((char *)text + n, 40, "TLS 1.3, %s CertificateVerify", who) + 1;
	memset(text + n, 0xa5, hash);
	return n + hash;
}

static size_t
make_server_key(uint8_t *text, uint16_t curve, uint8_t len, uint8_t first)
{
	memset(text, 0x5a, 64);
	text[64] = 3;
	text[65] = (uint8_t)(curve >> 8);
	text[66] = (uint8_t)curve;
	text[67] = len;
	memset(text + 68, 7, len);
	text[68] = first;
	return 68u + len;
}

static size_t
put_message(uint8_t *at, uint8_t type, size_t len)
{
	at[0] = type;
	at[1] = 0;
	at[2] = (uint8_t)(len >> 8);
	at[3] = (uint8_t)len;
	memset(at + 4, 0, len);
	if (type == 1 || type == 2)
		at[4] = at[5] = 3;
	if (type == 11) {
		at[5] = (uint8_t)((len - 3) >> 8);
		at[6] = (uint8_t)(len - 3);
	}
	return 4 + len;
}

static size_t
make_transcript(uint8_t *text)
{
	static const struct {
		uint8_t type;
		size_t len;
	} all[] = { { 1, 80 }, { 2, 60 }, { 11, 700 }, { 12, 140 }, { 13, 50 }, { 14, 0 }, { 11, 500 }, { 16, 66 } };
	size_t n = 0;

	for (size_t i = 0; i < nitems(all); i++)
		n += put_message(text + n, all[i].type, all[i].len);
	return n;
}

static bool
is_signed(enum signing_purpose p, const uint8_t *text, size_t len)
{
	enum signing_form form;
	struct why why = WHY_NONE;
	enum result r = signing_text_check(p, bytes_of(text, len), &form, &why);

	assert_true(r == OK || (r == REFUSED && why.text[0] != '\0'));
	return r == OK;
}

static void
every_form_is_signed_for_its_side_only(void **state)
{
	uint8_t text[SIGNING_TEXT_MAX];
	size_t n;

	(void)state;
	for (size_t hash = 32; hash <= 48; hash += 16) {
		n = make_tls13(text, "server", hash);
		assert_true(is_signed(SIGN_TLS_SERVER, text, n));
		assert_false(is_signed(SIGN_TLS_CLIENT, text, n));
		n = make_tls13(text, "client", hash);
		assert_true(is_signed(SIGN_TLS_CLIENT, text, n));
		assert_false(is_signed(SIGN_TLS_SERVER, text, n));
	}
	n = make_server_key(text, 29, 32, 9);
	assert_true(is_signed(SIGN_TLS_SERVER, text, n));
	assert_false(is_signed(SIGN_TLS_CLIENT, text, n));
	assert_true(is_signed(SIGN_TLS_SERVER, text, make_server_key(text, 23, 65, 4)));
	assert_true(is_signed(SIGN_TLS_SERVER, text, make_server_key(text, 24, 97, 4)));
	n = make_transcript(text);
	assert_true(is_signed(SIGN_TLS_CLIENT, text, n));
	assert_false(is_signed(SIGN_TLS_SERVER, text, n));
}

static void
parameters_of_no_named_curve_are_not_signed(void **state)
{
	uint8_t text[512];
	size_t n;

	(void)state;
	assert_false(is_signed(SIGN_TLS_SERVER, text, make_server_key(text, 29, 33, 4)));
	assert_false(is_signed(SIGN_TLS_SERVER, text, make_server_key(text, 23, 65, 2)));
	assert_false(is_signed(SIGN_TLS_SERVER, text, make_server_key(text, 22, 65, 4)));
	n = make_server_key(text, 29, 32, 9);
	text[64] = 1; /* explicit prime */
	assert_false(is_signed(SIGN_TLS_SERVER, text, n));
}

static void
cut_or_lengthened_at_any_octet_it_is_not_signed(void **state)
{
	uint8_t text[SIGNING_TEXT_MAX + 1];
	size_t n, hash = 64 + 34;

	(void)state;
	n = make_tls13(text, "server", 48);
	for (size_t i = 0; i <= n + 1; i++)
		assert_int_equal(is_signed(SIGN_TLS_SERVER, text, i), i == n || i == hash + 32);
	n = make_server_key(text, 23, 65, 4);
	text[n] = 0;
	for (size_t i = 0; i <= n + 1; i++)
		assert_int_equal(is_signed(SIGN_TLS_SERVER, text, i), i == n);
	n = make_transcript(text);
	text[n] = 0;
	for (size_t i = 0; i <= n + 1; i++)
		assert_int_equal(is_signed(SIGN_TLS_CLIENT, text, i), i == n);
	assert_false(is_signed(SIGN_TLS_CLIENT, text, SIGNING_TEXT_MAX + 1));
}

static void
one_changed_octet_of_the_fixed_part_spoils_it(void **state)
{
	uint8_t text[256];
	size_t n = make_tls13(text, "server", 32);

	(void)state;
	for (size_t i = 0; i < n - 32; i++) {
		text[i] ^= 1;
		assert_false(is_signed(SIGN_TLS_SERVER, text, n));
		text[i] ^= 1;
	}
}

static void
what_else_keys_sign_is_refused(void **state)
{
	static const char dkim[] =
	    "from:Alice <alice@example.org>\r\nsubject:hello\r\ndkim-signature:v=1; a=rsa-sha256; d=example.org; "
	    "s=x; h=from:subject; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=";
	static const uint8_t digest_info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
		0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
	uint8_t text[600] = { 0x30, 0x82, 0x02, 0x54, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02 }; /* a certificate's body */

	(void)state;
	for (int p = SIGN_TLS_SERVER; p <= SIGN_TLS_CLIENT; p++) {
		assert_false(is_signed((enum signing_purpose)p, (const uint8_t *)dkim, sizeof dkim - 1));
		assert_false(is_signed((enum signing_purpose)p, text, sizeof text));
		memcpy(text, digest_info, sizeof digest_info);
		assert_false(is_signed((enum signing_purpose)p, text, sizeof digest_info + 32));
		assert_false(is_signed((enum signing_purpose)p, text + 100, 32)); /* a digest */
		assert_false(is_signed((enum signing_purpose)p, text, 0));
	}
}

static void
a_transcript_out_of_order_is_refused(void **state)
{
	uint8_t text[SIGNING_TEXT_MAX];
	size_t n = make_transcript(text);

	(void)state;
	text[0] = 2;
	assert_false(is_signed(SIGN_TLS_CLIENT, text, n));
	text[0] = 1;
	text[4] = 2; /* version */
	assert_false(is_signed(SIGN_TLS_CLIENT, text, n));
	n = put_message(text, 1, 80);
	assert_false(is_signed(SIGN_TLS_CLIENT, text, n));
}

static void
schemes_fit_their_keys_and_versions(void **state)
{
	static const struct {
		uint16_t code;
		enum key_kind kind;
		enum signing_form form;
		bool fits;
	} cases[] = {
		{ 0x0804, KEY_RSA, SIGNING_TLS13, true },
		{ 0x0804, KEY_P256, SIGNING_TLS13, false },
		{ 0x0401, KEY_RSA, SIGNING_TLS13, false },
		{ 0x0401, KEY_RSA, SIGNING_TLS12_SERVER_KEY, true },
		{ 0x0403, KEY_P256, SIGNING_TLS13, true },
		{ 0x0503, KEY_P256, SIGNING_TLS13, false },
		{ 0x0503, KEY_P256, SIGNING_TLS12_SERVER_KEY, true },
		{ 0x0503, KEY_P384, SIGNING_TLS13, true },
		{ 0x0807, KEY_ED25519, SIGNING_TLS13, true },
		{ 0x0807, KEY_RSA, SIGNING_TLS12_SERVER_KEY, false },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++)
		assert_int_equal(
		    signing_scheme_fits(signing_scheme_of(cases[i].code), cases[i].kind, cases[i].form), cases[i].fits);
	assert_null(signing_scheme_of(0x0201)); /* SHA-1 */
	assert_null(signing_scheme_of(0));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_is_signed_for_its_side_only),
		cmocka_unit_test(parameters_of_no_named_curve_are_not_signed),
		cmocka_unit_test(cut_or_lengthened_at_any_octet_it_is_not_signed),
		cmocka_unit_test(one_changed_octet_of_the_fixed_part_spoils_it),
		cmocka_unit_test(what_else_keys_sign_is_refused),
		cmocka_unit_test(a_transcript_out_of_order_is_refused),
		cmocka_unit_test(schemes_fit_their_keys_and_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
