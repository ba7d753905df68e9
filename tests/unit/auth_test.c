/* auth as policy sees it: each mechanism's words, each form of an entry.
 * Trusts nothing of it: every answer is asserted.
 * Never leaves the rig's private directory. */
#include "unit.h"

#include "auth_rig.h"
#include "base/base64.h"
#include "crypt/digest.h"
#include "sys/clock.h"
#include "crypt/sasl.h"
#include "wire/listen_policy.h"

#include <stdio.h>
#include <string.h>

#define PACE_MS 700

/* ---- entries ---- */

static void
each_form_of_an_entry_has_one_password(void **state)
{
	static const char *const names[] = { "hashed", "scram", "both", "clear", "md5", "sha1", "plain", "equals",
		"HASHED", "alice@example.org", "ALICE@example.ORG", "anybody@wide.example" };

	(void)state;
	for (size_t i = 0; i < nitems(names); i++) {
		if (auth_rig_plain(names[i], PASSWORD) != 235)
			fail_msg("%s is not let in", names[i]);
		assert_true(bytes_equal_nocase(bytes_of_string(auth_rig_got), bytes_of_string(names[i])));
		assert_int_equal(auth_rig_plain(names[i], PASSWORD "x"), 535);
		assert_int_equal(auth_rig_plain(names[i], "open-sesam"), 535);
		assert_string_equal(auth_rig_got, "");
	}
}

static void
who_is_disabled_or_unknown_has_none(void **state)
{
	static const char *const names[] = { "gone", "left", "in@shut.example", "nobody", "!left", "@wide.example", "*",
		"@", "elsewhere", "hashe", "hashedd", "anybody@wide.exampl" };

	(void)state;
	for (size_t i = 0; i < nitems(names); i++)
		assert_int_equal(auth_rig_plain(names[i], PASSWORD), 535);
}

static void
a_stored_hash_is_no_password(void **state)
{
	char sum[DIGEST_HEX_MAX + 1], stored[DIGEST_HEX_MAX + 2];

	(void)state;
	assert_true(digest_hex(BYTES(PASSWORD), 16, sum));
	(void)snprintf(stored, sizeof stored, "%%%s", sum);
	assert_int_equal(auth_rig_plain("md5", sum), 535);
	assert_int_equal(auth_rig_plain("md5", stored), 535);
	assert_int_equal(auth_rig_plain("hashed", HASH), 535);
	assert_int_equal(auth_rig_plain("clear", "b3Blbi1zZXNhbWU="), 535);
	assert_int_equal(auth_rig_plain("clear", "clear=b3Blbi1zZXNhbWU="), 535);
	assert_int_equal(auth_rig_plain("equals", "=" PASSWORD), 535);
	assert_int_equal(auth_rig_plain("elsewhere", "+"), 535);
}

/* Time is what is computed: one hash each, whoever it is and whatever is known of him. */
static void
a_name_that_nobody_has_costs_what_another_costs(void **state)
{
	static const char *const names[] = { "hashed", "clear", "md5", "sha1", "plain", "gone", "left", "nobody",
		"in@shut.example", "anybody@wide.example", "somebody@nowhere.example", "elsewhere" };

	(void)state;
	for (size_t i = 0; i < nitems(names); i++) {
		*auth_rig_hashes = 0;
		assert_int_equal(auth_rig_plain(names[i], "wrong"), 535);
		assert_int_equal(*auth_rig_hashes, 1);
	}
	*auth_rig_hashes = 0;
	assert_int_equal(auth_rig_plain("clear", PASSWORD), 235);
	assert_int_equal(*auth_rig_hashes, 1);
}

/* Hashes differ in their cost, and a program takes its time: failures are told when none of that shows any more. */
static void
a_failure_is_told_at_a_time_that_says_nothing_of_the_name(void **state)
{
	static const char *const names[] = { "hashed", "clear", "scram", "nobody", "na me" };
	uint64_t before;

	(void)state;
	for (size_t i = 0; i < nitems(names); i++) {
		before = clock_ms();
		assert_int_equal(auth_rig_plain(names[i], "wrong"), 535);
		assert_true(clock_ms() - before >= PACE_MS);
	}
	before = clock_ms();
	assert_int_equal(auth_rig_plain("clear", PASSWORD), 235);
	assert_true(clock_ms() - before < PACE_MS);
}

static int
start_paced(void **state)
{
	int status;

	auth_rig_pace_ms = PACE_MS;
	status = auth_rig_start(state);
	auth_rig_pace_ms = 0;
	return status;
}

/* ---- mechanisms ---- */

static void
plain_takes_its_form_and_no_other(void **state)
{
	static const struct {
		struct bytes said;
		int code;
	} cases[] = {
		{ BYTES("\0clear\0" PASSWORD), 235 },
		{ BYTES("clear\0clear\0" PASSWORD), 235 },
		{ BYTES("CLEAR\0clear\0" PASSWORD), 235 },
		{ BYTES("hashed\0clear\0" PASSWORD), 535 },
		{ BYTES(""), 535 },
		{ BYTES("\0"), 535 },
		{ BYTES("\0\0"), 535 },
		{ BYTES("\0clear\0"), 535 },
		{ BYTES("\0\0" PASSWORD), 535 },
		{ BYTES("clear" PASSWORD), 535 },
		{ BYTES("\0clear\0" PASSWORD "\0"), 535 },
		{ BYTES("\0clear\0open\0sesame"), 535 },
		{ BYTES("\0cl ear\0" PASSWORD), 535 },
		{ BYTES("\0cl\x7f"
			"ear\0" PASSWORD),
		    535 },
		{ BYTES("\0clear\n\0" PASSWORD), 535 },
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++)
		if (auth_rig_begin(SP_PLAIN, &cases[i].said) != cases[i].code)
			fail_msg("case %zu is not %d", i, cases[i].code);
	assert_int_equal(auth_rig_begin(SP_PLAIN, NULL), 334);
	assert_string_equal(auth_rig_got, "");
	assert_int_equal(auth_rig_respond(cases[0].said), 235);
}

static void
names_and_passwords_have_a_length(void **state)
{
	static char long_one[SASL_NAME_MAX + 2];

	(void)state;
	memset(long_one, 'x', SASL_NAME_MAX);
	assert_int_equal(auth_rig_plain("clear", long_one), 535);
	assert_int_equal(auth_rig_plain(long_one, PASSWORD), 535);
	long_one[SASL_NAME_MAX] = 'x';
	assert_int_equal(auth_rig_plain("clear", long_one), 535);
	assert_int_equal(auth_rig_plain(long_one, PASSWORD), 535);
}

static void
login_asks_for_two_words(void **state)
{
	(void)state;
	assert_int_equal(auth_rig_begin(SP_LOGIN, NULL), 334);
	assert_string_equal(auth_rig_got, "Username:");
	assert_int_equal(auth_rig_respond(BYTES("hashed")), 334);
	assert_string_equal(auth_rig_got, "Password:");
	assert_int_equal(auth_rig_respond(BYTES(PASSWORD)), 235);
	assert_int_equal(auth_rig_begin(SP_LOGIN, &BYTES("hashed")), 334);
	assert_string_equal(auth_rig_got, "Password:");
	assert_int_equal(auth_rig_respond(BYTES("open\0sesame")), 535);
	assert_int_equal(auth_rig_begin(SP_LOGIN, &BYTES("")), 535);
	assert_int_equal(auth_rig_begin(SP_LOGIN, &BYTES("nobody")), 334); /* asked for as anybody is */
	assert_string_equal(auth_rig_got, "Password:");
	assert_int_equal(auth_rig_respond(BYTES(PASSWORD)), 535);
}

static void
cram_md5_answers_its_own_challenge(void **state)
{
	static char first[1024];
	uint8_t room[512];
	struct buf said = BUF_OVER(room);

	(void)state;
	assert_int_equal(auth_rig_begin(SP_CRAM_MD5, NULL), 334);
	memcpy(first, auth_rig_got, sizeof first);
	assert_int_equal(sasl_cram_md5_say(BYTES("clear"), BYTES(PASSWORD), bytes_of_string(first), &said), OK);
	assert_int_equal(auth_rig_respond(buf_bytes(&said)), 235);
	assert_int_equal(auth_rig_begin(SP_CRAM_MD5, NULL), 334); /* another one: the old answer is worth nothing */
	assert_string_not_equal(first, auth_rig_got);
	assert_int_equal(auth_rig_respond(buf_bytes(&said)), 535);
	for (const char *const *name = (const char *const[]){ "hashed", "gone", "nobody", "scram", "md5", NULL };
	     *name != NULL; name++) {
		assert_int_equal(auth_rig_begin(SP_CRAM_MD5, NULL), 334);
		buf_clear(&said);
		assert_int_equal(
		    sasl_cram_md5_say(bytes_of_string(*name), BYTES(PASSWORD), bytes_of_string(auth_rig_got), &said),
		    OK);
		assert_int_equal(
		    auth_rig_respond(buf_bytes(&said)), 535); /* nothing is known by which it could be answered */
	}
	for (size_t i = 0; i < 4; i++) {
		static const struct bytes none[] = { BYTES(""), BYTES("clear"), BYTES("clear 00"),
			BYTES(" 0123456789abcdef0123456789abcdef") };

		assert_int_equal(auth_rig_begin(SP_CRAM_MD5, NULL), 334);
		assert_int_equal(auth_rig_respond(none[i]), 535);
	}
}

static void
apop_answers_the_greetings_challenge(void **state)
{
	/* RFC 1939 7, for another password */
	const struct auth_rig_peer peer = { .timestamp = BYTES("<1896.697170952@dbc.mtview.ca.us>") };
	char text[128];
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const char *whole = i == 0 ? "<1896.697170952@dbc.mtview.ca.us>" PASSWORD : "<another>" PASSWORD;
		char sum[DIGEST_HEX_MAX + 1];

		assert_true(digest_hex(bytes_of_string(whole), 16, sum));
		(void)snprintf(text, sizeof text, "clear %s", sum);
		found += auth_rig_begin_of(&peer, SP_APOP, &(struct bytes){ (const uint8_t *)text, strlen(text) }) ==
		    235;
	}
	assert_int_equal(found, 1);
	assert_int_equal(auth_rig_begin_of(&peer, SP_APOP, NULL), 501);
	assert_int_equal(auth_rig_begin_of(&peer, SP_APOP, &BYTES("clear")), 535);
}

static void
external_is_an_address_of_the_certificate(void **state)
{
	uint8_t room[256];
	struct buf list = BUF_OVER(room);
	struct auth_rig_peer peer;

	(void)state;
	wire_put_string(&list, "other@example.org");
	wire_put_string(&list, "Alice@Example.org");
	peer = (struct auth_rig_peer){ .emails = buf_bytes(&list) };
	assert_int_equal(auth_rig_begin_of(&peer, SP_EXTERNAL, &BYTES("alice@example.org")), 235);
	assert_string_equal(auth_rig_got, "alice@example.org");
	assert_int_equal(auth_rig_begin_of(&peer, SP_EXTERNAL, &BYTES("")), 235); /* the first */
	assert_string_equal(auth_rig_got, "other@example.org");
	assert_int_equal(auth_rig_begin_of(&peer, SP_EXTERNAL, &BYTES("bob@example.org")), 535);
	assert_int_equal(auth_rig_begin(SP_EXTERNAL, &BYTES("alice@example.org")), 535); /* no certificate */
	assert_int_equal(auth_rig_begin(SP_EXTERNAL, &BYTES("")), 535);
	assert_int_equal(
	    auth_rig_begin_of(&(struct auth_rig_peer){ .emails = BYTES("\xff\xffnonsense") }, SP_EXTERNAL, &BYTES("")),
	    535);
}

/* ---- SCRAM: the client's side by lib/crypt ---- */

/* The code at the end. `header`: n,, or what takes its place; `bound` goes into the final message. */
static int
scram(const struct auth_rig_peer *peer, enum sp_mechanism mechanism, const char *name, const char *password)
{
	uint8_t first_room[256], final_room[512], expected[SASL_HASH_LEN], salt_room[64];
	struct buf first = BUF_OVER(first_room), final = BUF_OVER(final_room), salt = BUF_OVER(salt_room), v;
	struct bytes server, rest, nonce, part, iterations;
	struct scram_keys k;
	struct why why = WHY_NONE;
	uint64_t n;
	int code;

	assert_int_equal(scram_client_begin(bytes_of_string(name), "fyko+d2lbbFgONRv9qkxdawL", &first), OK);
	if ((code = auth_rig_begin_of(peer, mechanism, &(struct bytes){ first_room, first.len })) != 334)
		return code;
	server = rest = bytes_of_string(auth_rig_got);
	assert_true(
	    bytes_split(&rest, ',', &nonce) && bytes_split(&rest, ',', &part) && bytes_split(&rest, ',', &iterations));
	assert_int_equal(base64_decode(bytes_skip(part, 2), &salt), OK);
	assert_true(bytes_to_number(bytes_skip(iterations, 2), UINT32_MAX, &n));
	assert_int_equal(scram_derive(bytes_of_string(password), buf_bytes(&salt), (uint32_t)n, &k, &why), OK);
	assert_int_equal(
	    scram_client_end(&k, buf_bytes(&first), server, bytes_skip(nonce, 2), &final, expected, &why), OK);
	if ((code = auth_rig_respond(buf_bytes(&final))) != 334)
		return code;
	v = (struct buf)BUF_OVER(salt_room);
	assert_true(bytes_starts(bytes_of_string(auth_rig_got), BYTES("v=")));
	assert_int_equal(base64_decode(bytes_skip(bytes_of_string(auth_rig_got), 2), &v), OK);
	assert_memory_equal(salt_room, expected, sizeof expected); /* it knows the password, too */
	return auth_rig_respond(BYTES(""));
}

static void
scram_proves_both_sides(void **state)
{
	const struct auth_rig_peer peer = { .same = false },
				   bindable = { .binding = BYTES("0123456789abcdef0123456789abcdef") };

	(void)state;
	assert_int_equal(scram(&peer, SP_SCRAM_SHA_256, "scram", PASSWORD), 235);
	assert_string_equal(auth_rig_got, "scram");
	assert_int_equal(scram(&peer, SP_SCRAM_SHA_256, "both", PASSWORD), 235);
	assert_int_equal(scram(&peer, SP_SCRAM_SHA_256, "scram", "wrong"), 535);
	assert_int_equal(scram(&bindable, SP_SCRAM_SHA_256, "scram", PASSWORD), 235); /* a client that can't bind */
	assert_int_equal(scram(&bindable, SP_SCRAM_SHA_256_PLUS, "scram", PASSWORD), 501);
	for (const char *const *name =
		 (const char *const[]){ "nobody", "gone", "hashed", "clear", "in@shut.example", NULL };
	     *name != NULL; name++)
		assert_int_equal(scram(&peer, SP_SCRAM_SHA_256, *name, PASSWORD), 535);
}

static void
a_salt_that_is_invented_stays(void **state)
{
	char salts[2][128], *at;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(auth_rig_begin(SP_SCRAM_SHA_256, &BYTES("n,,n=nobody,r=abc")), 334);
		assert_non_null(at = strstr(auth_rig_got, ",s="));
		(void)snprintf(salts[i], sizeof salts[i], "%s", at);
	}
	assert_string_equal(salts[0], salts[1]);
	assert_int_equal(auth_rig_begin(SP_SCRAM_SHA_256, &BYTES("n,,n=nobody2,r=abc")), 334);
	assert_string_not_equal(strstr(auth_rig_got, ",s="), salts[0]);
}

static void
scram_refuses_what_does_not_fit(void **state)
{
	static const struct bytes firsts[] = { BYTES(""), BYTES("n"), BYTES("n,,"), BYTES("n,,n=scram"),
		BYTES("n,,r=abc"), BYTES("n,,n=,r=abc"), BYTES("n,,m=x,n=scram,r=abc"), BYTES("n,,n=sc=ram,r=abc"),
		BYTES("p=tls-exporter,,n=scram,r=abc"), BYTES("q,,n=scram,r=abc"), BYTES("n,,n=scram,r=") };
	static const struct bytes finals[] = { BYTES(""), BYTES("c=biws"), BYTES("c=biws,r=abc,p="),
		BYTES("c=eSws,r=abc,p=AAAA"), BYTES("c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
		BYTES("\0\0\0") };
	const struct auth_rig_peer bindable = { .binding = BYTES("0123456789abcdef0123456789abcdef") };

	(void)state;
	for (size_t i = 0; i < nitems(firsts); i++)
		if (auth_rig_begin(SP_SCRAM_SHA_256, &firsts[i]) != 501)
			fail_msg("first message %zu is taken", i);
	assert_int_equal(auth_rig_begin(SP_SCRAM_SHA_256, &BYTES("n,,n=sc ram,r=abc")), 535);
	for (size_t i = 0; i < nitems(finals); i++) {
		assert_int_equal(auth_rig_begin(SP_SCRAM_SHA_256, &BYTES("n,,n=scram,r=abc")), 334);
		assert_int_equal(auth_rig_respond(finals[i]), 535);
	}
	/* RFC 5802 6: somebody took the offer of -PLUS out on the way */
	assert_int_equal(auth_rig_begin_of(&bindable, SP_SCRAM_SHA_256, &BYTES("y,,n=scram,r=abc")), 535);
	assert_int_equal(auth_rig_begin(SP_SCRAM_SHA_256, &BYTES("y,,n=scram,r=abc")), 334);
	assert_int_equal(auth_rig_respond(BYTES("*")), 535);
	assert_int_equal(auth_rig_begin(SP_SCRAM_SHA_256, &BYTES("n,a=both,n=scram,r=abc")), 535); /* as another one */
}

/* ---- the exchange ---- */

static void
what_is_no_base64_ends_the_exchange(void **state)
{
	static const char *const no[] = { "A", "AB=C", "====", "A===", "AAAA!", " AAAA", "AAAA\n" };

	(void)state;
	for (size_t i = 0; i < nitems(no); i++) {
		assert_int_equal(auth_rig_begin(SP_PLAIN, NULL), 334);
		auth_rig_ask(PA_RESPONSE, NULL, bytes_of_string(no[i]));
		assert_int_equal(auth_rig_answer(), 501);
	}
	assert_int_equal(auth_rig_begin(SP_LOGIN, NULL), 334);
	auth_rig_ask(PA_RESPONSE, NULL, BYTES("*"));
	assert_int_equal(auth_rig_answer(), 501);
	assert_int_equal(auth_rig_plain("clear", PASSWORD), 235);
}

static void
guessing_is_slowed_by_account_wherever_it_comes_from(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(auth_rig_plain("hashed", "guess"), 535);
	*auth_rig_hashes = auth_rig_sent_away = 0;
	for (unsigned i = 0; i < 100; i++) { /* each a connection, and a network, of its own, all at once */
		static const struct bytes said = BYTES("\0hashed\0guess");
		struct pa_begin begin_one = {
			.mechanism = SP_PLAIN, .initial = 1, .family = LP_IPV4, .remote = { 10, (uint8_t)i, 1, 1 }
		};
		uint8_t room[256], encoded_room[64];
		struct buf tail = BUF_OVER(room), encoded = BUF_OVER(encoded_room);

		base64_encode(said, &encoded);
		wire_put(&tail, buf_bytes(&encoded));
		for (unsigned k = 0; k < 3; k++)
			wire_put(&tail, BYTES(""));
		auth_rig_ref++;
		auth_rig_ask(PA_BEGIN, &begin_one, buf_bytes(&tail));
	}
	assert_int_equal(auth_rig_answer(), 454); /* of the last: the line is full, and that is said at once */
	assert_in_range(auth_rig_sent_away, 85, 98);
	assert_true(*auth_rig_hashes <= 2);
	assert_int_equal(auth_rig_plain("clear", PASSWORD), 235);
}

static void
policy_is_not_believed_what_can_not_be(void **state)
{
	struct pa_begin odd = { .mechanism = SP_N_MECHANISMS, .family = LP_IPV4 };
	uint8_t room[64];
	struct buf tail = BUF_OVER(room);

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		wire_put(&tail, BYTES(""));
	auth_rig_ref++;
	auth_rig_ask(PA_BEGIN, &odd, buf_bytes(&tail));
	assert_int_equal(auth_rig_answer(), 0);
}

static void
a_response_to_nothing_ends_the_conversation(void **state)
{
	(void)state;
	assert_int_equal(auth_rig_plain("clear", "wrong"), 535);
	auth_rig_ask(PA_RESPONSE, NULL, BYTES("AAAA"));
	assert_int_equal(auth_rig_answer(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, auth_rig_start, auth_rig_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_form_of_an_entry_has_one_password),
		TEST(who_is_disabled_or_unknown_has_none),
		TEST(a_stored_hash_is_no_password),
		TEST(a_name_that_nobody_has_costs_what_another_costs),
		cmocka_unit_test_setup_teardown(
		    a_failure_is_told_at_a_time_that_says_nothing_of_the_name, start_paced, auth_rig_stop),
		TEST(plain_takes_its_form_and_no_other),
		TEST(names_and_passwords_have_a_length),
		TEST(login_asks_for_two_words),
		TEST(cram_md5_answers_its_own_challenge),
		TEST(apop_answers_the_greetings_challenge),
		TEST(external_is_an_address_of_the_certificate),
		TEST(scram_proves_both_sides),
		TEST(a_salt_that_is_invented_stays),
		TEST(scram_refuses_what_does_not_fit),
		TEST(what_is_no_base64_ends_the_exchange),
		TEST(guessing_is_slowed_by_account_wherever_it_comes_from),
		TEST(policy_is_not_believed_what_can_not_be),
		TEST(a_response_to_nothing_ends_the_conversation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
