/* Tests of lib/mail: headers as large as they may be, and larger. */
#include "unit.h"

#include "mail/compose.h"
#include "mail/header.h"

#include <stdlib.h>
#include <string.h>

static struct compose
composer(void)
{
	return (struct compose){
		.default_host = BYTES("host.test"), .from = BYTES("me@host.test"), .id_host = BYTES("id.test")
	};
}

static void
a_line_without_end_and_without_a_field_name_is_body(void **state)
{
	static const struct {
		const char *begins;
		bool is_header;
	} cases[] = { { "", false }, { "To: a@b\n", false }, { "Subject: ", true }, { "X-Long : ", true },
		{ "To: a@b\n more ", true }, { "no field: ", false } };
	static char text[3000];

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct header_end h = { 0 };
		size_t begins = strlen(cases[i].begins);

		memset(text, 'x', sizeof text);
		memcpy(text, cases[i].begins, begins);
		text[2000] = ':'; /* too late for the end of a name */
		assert_int_equal(header_find_end(&h, bytes_of(text, sizeof text), false), !cases[i].is_header);
		if (!cases[i].is_header)
			assert_int_equal(h.body_at, bytes_find_last(bytes_of(text, begins), '\n') < begins ? 8 : 0);
	}
}

static void
a_header_of_one_line_as_large_as_may_be_is_completed(void **state)
{
	struct compose c = composer();
	struct why why = WHY_NONE;
	char *text = malloc(COMPOSE_HEADER_MAX);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', COMPOSE_HEADER_MAX);
	memcpy(text, "Subject: ", 9);
	text[COMPOSE_HEADER_MAX - 1] = '\n';
	assert_int_equal(compose_header(&c, bytes_of((uint8_t *)text, COMPOSE_HEADER_MAX), &why), OK);
	assert_true(c.header.len > COMPOSE_HEADER_MAX);
	compose_free(&c);
	free(text);
}

static void
a_header_that_grows_beyond_its_bound_is_refused_for_good_and_says_so(void **state)
{
	enum { N = 400000, DOMAIN = 60 };
	struct compose c = composer();
	struct why why = WHY_NONE;
	char domain[DOMAIN + 1], *text = malloc(2 * N + 10);

	(void)state;
	assert_non_null(text);
	memset(domain, 'd', DOMAIN);
	memcpy(domain + DOMAIN - 5, ".test", 6);
	c.default_host = bytes_of_string(domain);
	memcpy(text, "To: ", 4);
	for (size_t i = 0; i < N; i++)
		memcpy(text + 4 + 2 * i, "a,", 2);
	text[4 + 2 * N - 1] = '\n';
	assert_int_equal(compose_header(&c, bytes_of((uint8_t *)text, 4 + 2 * N), &why), MALFORMED);
	assert_non_null(strstr(why.text, "is larger than 8388608 octets"));
	compose_free(&c);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_without_end_and_without_a_field_name_is_body),
		cmocka_unit_test(a_header_of_one_line_as_large_as_may_be_is_completed),
		cmocka_unit_test(a_header_that_grows_beyond_its_bound_is_refused_for_good_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
