/* Connection rules: text to records, and which record counts for a peer.
 * Trusts lib/control only as far as it asserts.
 * Never leaves its private directory. */
#include "unit.h"

#include "control/rules.h"
#include "control_dir.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static char records[4096];

static void
put_visible(char *at, size_t size, struct bytes what)
{
	size_t n = strlen(at);

	for (size_t i = 0; i < what.len && n + 2 < size; i++)
		at[n++] = what.at[i] == '\0' ? '|' : (char)what.at[i];
	at[n] = '\0';
}

static enum result
note(void *ctx, struct bytes key, struct bytes data, struct why *why)
{
	(void)ctx;
	(void)why;
	if (strlen(records) > 0)
		strncat(records, " ", 2);
	put_visible(records, sizeof records, key);
	strncat(records, ">", 2);
	put_visible(records, sizeof records, data);
	return OK;
}

/* a line, and its records: key>data with | for zero; or null if it is no rule */
static const struct {
	const char *line, *records;
} lines[] = {
	{ ":allow", ">" },
	{ ":deny", ">D|" },
	{ "192.0.2.1:allow", "192.0.2.1>" },
	{ "192.0.2.1:deny,A=\"b\"", "192.0.2.1>D|+A=b|" },
	{ "192.0.2.:allow,RELAYCLIENT=\"\"", "192.0.2.>+RELAYCLIENT=|" },
	{ "10.:allow,A=/x,y/,B=!z!", "10.>+A=x,y|+B=z|" },
	{ "192.0.2.1-3:deny", "192.0.2.1>D| 192.0.2.2>D| 192.0.2.3>D|" },
	{ "10.8-9.:allow", "10.8.> 10.9.>" },
	{ "192.168.0.0/16:allow", "_ab000000i0k0m000>" },
	{ "128.0.0.0/1:allow", "_a>" },
	{ "255.255.255.255/32:allow", "_abcdefghijklmnopqrstuvwxyz123456>" },
	{ "fe80::/10:allow", "^`abcdef0g0>" },
	{ "2001:db8::1:allow", "2001:0db8:0000:0000:0000:0000:0000:0001>" },
	{ "::1:deny", "0000:0000:0000:0000:0000:0000:0000:0001>D|" },
	{ "=Host.Example:allow", "=host.example>" },
	{ "=.example:allow", "=.example>" },
	{ "=:allow", "=>" },
	{ "joe@192.0.2.1:allow", "joe@192.0.2.1>" },
	{ "joe@=Host.Example:allow", "joe@=host.example>" },
	{ "joe@::1:allow", "joe@0000:0000:0000:0000:0000:0000:0000:0001>" },
	{ "=a-b.example:allow", "=a-b.example>" },
	{ "", NULL },
	{ "192.0.2.1", NULL },
	{ "192.0.2.1:", NULL },
	{ "192.0.2.1:allowed", NULL },
	{ "192.0.2.1:allow,", NULL },
	{ "192.0.2.1:allow,A", NULL },
	{ "192.0.2.1:allow,A=", NULL },
	{ "192.0.2.1:allow,A=\"", NULL },
	{ "192.0.2.1:allow,A=\"b\"c", NULL },
	{ "192.0.2.1:allow,=\"b\"", NULL },
	{ "192.0.2:allow", NULL },
	{ "192.0.2.1.:allow", NULL },
	{ "192.0.2.1.5:allow", NULL },
	{ "192.0.2.256:allow", NULL },
	{ "192.0.2.3-1:allow", NULL },
	{ "192.0..1:allow", NULL },
	{ "192.0.2.0/0:allow", NULL },
	{ "192.0.2.0/33:allow", NULL },
	{ "fe80::/129:allow", NULL },
	{ "fe80:::0:allow", NULL },
	{ "::ffff:192.0.2.1:allow", NULL },
	{ "0-255.0-255.0-255.:allow", NULL },
	{ "host.example:allow", NULL },
};

static void
a_line_becomes_its_records_or_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		struct why why = WHY_NONE;
		enum result r;

		records[0] = '\0';
		r = rules_compile(bytes_of_string(lines[i].line), note, NULL, &why);
		if ((r == OK) != (lines[i].records != NULL) || (r == OK && strcmp(records, lines[i].records) != 0))
			fail_msg("%s: %d %s '%s'", lines[i].line, (int)r, why.text, records);
		if (r != OK && strncmp(why.text, "expected ", 9) != 0)
			fail_msg("%s: '%s'", lines[i].line, why.text);
	}
}

static void
a_line_cut_anywhere_is_a_rule_or_refused(void **state)
{
	static const char line[] = "joe@2001:db8::7:deny,A=\"b\",RELAYCLIENT=/x/";

	(void)state;
	for (size_t n = 0; n < sizeof line; n++) {
		struct why why = WHY_NONE;
		enum result r = rules_compile(bytes_of(line, n), note, NULL, &why);

		records[0] = '\0';
		assert_true(r == OK || (r == MALFORMED && why.text[0] != '\0'));
	}
}

static const char rules[] = "joe@192.0.2.7:allow,N=\"info-ip\"\n"
			    "joe@=a.h.example:allow,N=\"info-host\"\n"
			    "192.0.2.7:allow,N=\"ip\"\n"
			    "=b.h.example:allow,N=\"host\"\n"
			    "192.0.2.:allow,N=\"class\"\n"
			    "192.0.2.128/25:allow,N=\"25\"\n"
			    "192.0.0.0/16:allow,N=\"16\"\n"
			    "2001:db8::/32:allow,N=\"v6-32\"\n"
			    "2001:db8:0:1::/64:allow,N=\"v6-64\"\n"
			    "2001:db8::9:allow,N=\"v6\"\n"
			    "=.h.example:allow,N=\"suffix\"\n"
			    "=.example:allow,N=\"long-suffix\"\n"
			    "=:allow,N=\"named\"\n"
			    ":deny,N=\"rest\"\n";

static const struct {
	const char *address, *host, *info, *name;
} peers[] = {
	{ "192.0.2.7", NULL, "joe", "info-ip" },
	{ "198.51.100.1", "A.h.example", "joe", "info-host" },
	{ "192.0.2.7", "a.h.example", NULL, "ip" },
	{ "192.0.2.8", "B.H.example", NULL, "host" },
	{ "192.0.2.200", NULL, NULL, "class" }, /* class prefixes come before networks */
	{ "192.0.3.1", NULL, NULL, "16" },
	{ "192.1.3.1", NULL, NULL, "rest" },
	{ "2001:db8::9", NULL, NULL, "v6" },
	{ "2001:db8:0:1::9", NULL, NULL, "v6-64" },
	{ "2001:db8:5::9", "x.h.example", NULL, "v6-32" },
	{ "198.51.100.1", "x.h.example", NULL, "suffix" },
	{ "198.51.100.1", "h.example", NULL, "long-suffix" },
	{ "198.51.100.1", "other.test", NULL, "named" },
	{ "198.51.100.1", NULL, NULL, "rest" },
	{ "::ffff:192.0.2.7", NULL, NULL, "ip" },
};

static void
the_first_of_the_documented_keys_counts(void **state)
{
	struct why why = WHY_NONE;

	(void)state;
	dir_make(&dir);
	dir_put(&dir, "rules", rules);
	assert_int_equal(dir_open(&dir, "listen", &control, &why), OK);
	for (size_t i = 0; i < nitems(peers); i++) {
		struct rules_query q = { .host = bytes_of_string(peers[i].host),
			.info = bytes_of_string(peers[i].info) };
		struct bytes data, name, value;
		uint8_t address[16];

		q.address = address;
		q.address_len = inet_pton(AF_INET, peers[i].address, address) == 1 ? 4 : 16;
		if (q.address_len == 16)
			assert_int_equal(inet_pton(AF_INET6, peers[i].address, address), 1);
		assert_int_equal(rules_find_in(&control, &q, &data), OK);
		assert_int_equal(rules_denies(data), strcmp(peers[i].name, "rest") == 0);
		assert_true(rules_next_variable(&data, &name, &value));
		if (!bytes_equal(value, bytes_of_string(peers[i].name)))
			fail_msg(
			    "%s %s: %.*s", peers[i].address, peers[i].host, (int)value.len, (const char *)value.at);
		assert_false(rules_next_variable(&data, &name, &value));
	}
	dir_close(&control);
	dir_remove(&dir);
}

static void
without_a_rule_a_connection_is_allowed(void **state)
{
	const uint8_t address[4] = { 192, 0, 2, 1 };
	struct rules_query q = { .address = address, .address_len = 4 };
	struct why why = WHY_NONE;
	struct bytes data;

	(void)state;
	dir_make(&dir);
	assert_int_equal(dir_open(&dir, "listen", &control, &why), OK);
	assert_int_equal(rules_find_in(&control, &q, &data), ABSENT);
	assert_false(rules_denies(data));
	dir_close(&control);
	dir_remove(&dir);
}

static void
data_that_is_none_is_told_from_data(void **state)
{
	(void)state;
	assert_true(rules_data_is_valid(BYTES("")));
	assert_true(rules_data_is_valid(BYTES("D\0")));
	assert_true(rules_data_is_valid(BYTES("D\0+A=\0")));
	assert_true(rules_data_is_valid(BYTES("+A=b\0+C=d\0")));
	assert_false(rules_data_is_valid(BYTES("D")));
	assert_false(rules_data_is_valid(BYTES("+A=b")));
	assert_false(rules_data_is_valid(BYTES("A=b\0")));
	assert_false(rules_data_is_valid(BYTES("+A\0")));
	assert_false(rules_data_is_valid(BYTES("+A=b\0D\0")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_becomes_its_records_or_is_refused),
		cmocka_unit_test(a_line_cut_anywhere_is_a_rule_or_refused),
		cmocka_unit_test(the_first_of_the_documented_keys_counts),
		cmocka_unit_test(without_a_rule_a_connection_is_allowed),
		cmocka_unit_test(data_that_is_none_is_told_from_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
