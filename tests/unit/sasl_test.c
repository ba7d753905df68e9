/* Authentication, with the examples of its RFCs. */
#include "unit.h"

#include "base/base64.h"
#include "crypt/sasl.h"

#include <stdio.h>
#include <string.h>

/* RFC 7677 3 */
#define CLIENT_FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define SERVER_FIRST "r=" NONCE ",s=" SALT ",i=4096"
#define CLIENT_FINAL "c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static uint8_t room[2048];

static int
open_all(void **state)
{
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(sasl_open(&why), OK);
	return 0;
}

static struct scram_keys
keys_of(const char *password)
{
	uint8_t octets[64];
	struct buf salt = BUF_OVER(octets);
	struct scram_keys k;
	struct why why = WHY_NONE;

	assert_int_equal(base64_decode(BYTES(SALT), &salt), OK);
	assert_int_equal(scram_derive(bytes_of_string(password), buf_bytes(&salt), 4096, &k, &why), OK);
	return k;
}

static void
assert_text(const struct buf *b, const char *text)
{
	assert_int_equal(b->len, strlen(text));
	assert_memory_equal(b->at, text, b->len);
}

static void
plain_is_that_of_its_rfc(void **state)
{
	struct buf b = BUF_OVER(room);
	struct bytes other, name, password;

	(void)state;
	assert_int_equal(sasl_plain_say(BYTES("tim"), BYTES("tanstaaftanstaaf"), &b), OK);
	assert_true(bytes_equal(buf_bytes(&b), BYTES("\0tim\0tanstaaftanstaaf")));
	assert_int_equal(sasl_plain_take(buf_bytes(&b), &other, &name, &password), OK);
	assert_int_equal(other.len, 0);
	assert_true(bytes_equal(name, BYTES("tim")));
	assert_true(bytes_equal(password, BYTES("tanstaaftanstaaf")));
	assert_int_equal(sasl_plain_take(BYTES("Ursel\0Kurt\0xipj3plmq"), &other, &name, &password), OK);
	assert_true(bytes_equal(other, BYTES("Ursel")));
	assert_int_equal(sasl_plain_say(BYTES("a\0b"), BYTES("x"), &b), MALFORMED);
	assert_int_equal(sasl_plain_say(BYTES(""), BYTES("x"), &b), MALFORMED);
}

static void
plain_that_is_none_is_refused(void **state)
{
	static const struct bytes none[] = { { NULL, 0 }, BYTES("tim"), BYTES("\0tim"), BYTES("\0tim\0"),
		BYTES("\0\0pass"), BYTES("\0tim\0pass\0"), BYTES("\0tim\0pa\0ss") };
	struct bytes other, name, password;

	(void)state;
	for (size_t i = 0; i < nitems(none); i++)
		assert_int_equal(sasl_plain_take(none[i], &other, &name, &password), MALFORMED);
}

static void
cram_md5_is_that_of_its_rfc(void **state)
{
	struct bytes challenge = BYTES("<1896.697170952@postoffice.reston.mci.net>"), name, digest;
	struct buf b = BUF_OVER(room);

	(void)state;
	assert_int_equal(sasl_cram_md5_say(BYTES("tim"), BYTES("tanstaaftanstaaf"), challenge, &b), OK);
	assert_text(&b, "tim b913a602c7eda7a495b4e6e7334d3890");
	assert_int_equal(sasl_cram_md5_take(buf_bytes(&b), &name, &digest), OK);
	assert_true(bytes_equal(name, BYTES("tim")));
	assert_true(sasl_cram_md5_is(digest, BYTES("tanstaaftanstaaf"), challenge));
	assert_false(sasl_cram_md5_is(digest, BYTES("tanstaaftanstaag"), challenge));
	assert_false(sasl_cram_md5_is(digest, BYTES("tanstaaftanstaaf"), BYTES("<>")));
	assert_int_equal(sasl_cram_md5_take(BYTES("tim"), &name, &digest), MALFORMED);
	assert_int_equal(sasl_cram_md5_take(BYTES("tim b913"), &name, &digest), MALFORMED);
	assert_int_equal(sasl_cram_md5_take(BYTES(" b913a602c7eda7a495b4e6e7334d3890"), &name, &digest), MALFORMED);
	assert_int_equal(sasl_cram_md5_take(BYTES("a name b913a602c7eda7a495b4e6e7334d3890"), &name, &digest), OK);
	assert_true(bytes_equal(name, BYTES("a name")));
}

static void
scram_as_a_client_is_that_of_its_rfc(void **state)
{
	struct scram_keys k = keys_of("pencil");
	struct buf first = BUF_OVER(room), final = buf_over(room + 512, 512), text = buf_over(room + 1024, 512);
	uint8_t expected[SASL_HASH_LEN];
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(scram_client_begin(BYTES("user"), "rOprNGfwEbeRWgbNEkqO", &first), OK);
	assert_text(&first, CLIENT_FIRST);
	assert_int_equal(
	    scram_client_end(&k, buf_bytes(&first), BYTES(SERVER_FIRST), BYTES(NONCE), &final, expected, &why), OK);
	assert_text(&final, CLIENT_FINAL);
	buf_add_string(&text, "v=");
	base64_encode(bytes_of(expected, sizeof expected), &text);
	assert_text(&text, SERVER_FINAL);
}

static void
no_proof_is_made_for_another_nonce(void **state)
{
	static const struct {
		const char *server_first, *nonce;
	} rows[] = {
		{ "r=rOprNGfwEbeRWgbNEkqO,s=" SALT ",i=4096", "rOprNGfwEbeRWgbNEkqO" }, /* the server adds nothing */
		{ "r=xOprNGfwEbeRWgbNEkqOabc,s=" SALT ",i=4096", "xOprNGfwEbeRWgbNEkqOabc" },
		{ SERVER_FIRST, "rOprNGfwEbeRWgbNEkqOother" },
		{ "s=" SALT ",i=4096", NONCE },
		{ "", "" },
	};
	struct scram_keys k = keys_of("pencil");
	uint8_t expected[SASL_HASH_LEN];
	struct why why = WHY_NONE;

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct buf final = BUF_OVER(room);

		assert_int_equal(scram_client_end(&k, BYTES(CLIENT_FIRST), bytes_of_string(rows[i].server_first),
				     bytes_of_string(rows[i].nonce), &final, expected, &why),
		    REFUSED);
		assert_int_equal(final.len, 0);
	}
}

static void
a_count_or_a_salt_out_of_bounds_is_refused(void **state)
{
	struct scram_keys k;
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(scram_derive(BYTES("x"), BYTES("salt"), 4095, &k, &why), REFUSED);
	assert_int_equal(scram_derive(BYTES("x"), BYTES("salt"), 200001, &k, &why), REFUSED);
	assert_int_equal(scram_derive(BYTES("x"), BYTES("salt"), 0, &k, &why), REFUSED);
	assert_int_equal(scram_derive(BYTES("x"), BYTES_NONE, 4096, &k, &why), REFUSED);
	assert_int_equal(scram_derive(BYTES("x"), bytes_of(room, SASL_SALT_MAX + 1), 4096, &k, &why), REFUSED);
	assert_int_equal(scram_derive(BYTES_NONE, BYTES("salt"), 4096, &k, &why), MALFORMED);
}

static enum result
answer(const char *password, const char *first, const char *server_first, const char *final, struct buf *message)
{
	struct scram_keys k = keys_of(password);
	struct scram_first f;
	struct why why = WHY_NONE;

	memset(k.client, 0, sizeof k.client); /* a server does not have it */
	assert_int_equal(scram_first_take(bytes_of_string(first), false, &f, &why), OK);
	return scram_server_end(&k, &f, bytes_of_string(server_first), bytes_of_string(final), message, &why);
}

static void
scram_as_a_server_is_that_of_its_rfc(void **state)
{
	uint8_t octets[64];
	struct buf b = BUF_OVER(room), salt = BUF_OVER(octets);
	struct scram_first f;
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(scram_first_take(BYTES(CLIENT_FIRST), false, &f, &why), OK);
	assert_true(bytes_equal(f.name, BYTES("user")) && f.other.len == 0);
	assert_int_equal(base64_decode(BYTES(SALT), &salt), OK);
	assert_int_equal(scram_server_begin(f.nonce, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", buf_bytes(&salt), 4096, &b), OK);
	assert_text(&b, SERVER_FIRST);
	buf_clear(&b);
	assert_int_equal(answer("pencil", CLIENT_FIRST, SERVER_FIRST, CLIENT_FINAL, &b), OK);
	assert_text(&b, SERVER_FINAL);
}

static void
another_password_or_conversation_is_refused(void **state)
{
	static const char *const finals[] = {
		"c=biws,r=" NONCE ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"c=biws,r=" NONCE "x,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"c=eSws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", /* "y,," */
		"c=biws,r=" NONCE ",x=1,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"c=biws,r=" NONCE,
		"c=biws,r=" NONCE ",p=",
		"c=biws,r=" NONCE ",p=AAAA",
		"r=" NONCE ",c=biws,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"",
		",",
	};
	struct buf b = BUF_OVER(room);

	(void)state;
	assert_int_equal(answer("pencils", CLIENT_FIRST, SERVER_FIRST, CLIENT_FINAL, &b), REFUSED);
	assert_int_equal(answer("pencil", "y,,n=user,r=rOprNGfwEbeRWgbNEkqO", SERVER_FIRST, CLIENT_FINAL, &b), REFUSED);
	assert_int_equal(answer("pencil", "n,,n=root,r=rOprNGfwEbeRWgbNEkqO", SERVER_FIRST, CLIENT_FINAL, &b), REFUSED);
	for (size_t i = 0; i < nitems(finals); i++)
		assert_int_equal(answer("pencil", CLIENT_FIRST, SERVER_FIRST, finals[i], &b), REFUSED);
	assert_int_equal(b.len, 0);
}

static void
a_first_message_that_is_none_is_refused(void **state)
{
	static const char *const none[] = { "", "n", "n,", "n,,", "n,,n=", "n,,n=user", "n,,r=abc",
		"n,,n=user,r=", "n,,n=,r=abc", "p=tls-unique,,n=user,r=abc", "x,,n=user,r=abc", "n,,m=x,n=user,r=abc",
		"n,b=x,n=user,r=abc", "n,,n=user,r=a c" };
	struct scram_first f;
	struct why why = WHY_NONE;

	(void)state;
	for (size_t i = 0; i < nitems(none); i++)
		if (scram_first_take(bytes_of_string(none[i]), false, &f, &why) == OK)
			fail_msg("'%s' was taken", none[i]);
	assert_int_equal(scram_first_take(BYTES("y,a=other,n=u,r=abc,x=1"), false, &f, &why), OK);
	assert_true(bytes_equal(f.other, BYTES("other")) && bytes_equal(f.header, BYTES("y,a=other,")));
	for (size_t cut = 0; cut < sizeof CLIENT_FIRST - 2; cut++) /* at every octet */
		(void)!(scram_first_take(bytes_of(CLIENT_FIRST, cut), false, &f, &why) == OK);
}

static void
names_are_escaped_both_ways(void **state)
{
	struct buf b = BUF_OVER(room), name = buf_over(room + 512, 64);
	struct scram_first f;
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(scram_client_begin(BYTES("a,b=c=2C"), "xyz", &b), OK);
	assert_text(&b, "n,,n=a=2Cb=3Dc=3D2C,r=xyz");
	assert_int_equal(scram_first_take(buf_bytes(&b), false, &f, &why), OK);
	assert_int_equal(scram_name(f.name, &name), OK);
	assert_text(&name, "a,b=c=2C");
	buf_clear(&name);
	assert_int_equal(scram_name(BYTES("a=2D"), &name), MALFORMED);
	assert_int_equal(scram_name(BYTES("a="), &name), MALFORMED);
	assert_int_equal(scram_client_begin(BYTES("a\0b"), "xyz", &b), MALFORMED);
}

static void
nonces_differ(void **state)
{
	char a[SASL_NONCE_LEN + 1], b[SASL_NONCE_LEN + 1];
	struct why why = WHY_NONE;

	(void)state;
	assert_int_equal(sasl_nonce(a, &why), OK);
	assert_int_equal(sasl_nonce(b, &why), OK);
	assert_int_equal(strlen(a), SASL_NONCE_LEN);
	assert_string_not_equal(a, b);
	assert_null(strchr(a, ','));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_is_that_of_its_rfc),
		cmocka_unit_test(plain_that_is_none_is_refused),
		cmocka_unit_test(cram_md5_is_that_of_its_rfc),
		cmocka_unit_test(scram_as_a_client_is_that_of_its_rfc),
		cmocka_unit_test(no_proof_is_made_for_another_nonce),
		cmocka_unit_test(a_count_or_a_salt_out_of_bounds_is_refused),
		cmocka_unit_test(scram_as_a_server_is_that_of_its_rfc),
		cmocka_unit_test(another_password_or_conversation_is_refused),
		cmocka_unit_test(a_first_message_that_is_none_is_refused),
		cmocka_unit_test(names_are_escaped_both_ways),
		cmocka_unit_test(nonces_differ),
	};

	return cmocka_run_group_tests(tests, open_all, NULL);
}
