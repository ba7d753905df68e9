/* The items of resolve, which may name files of the system. */
#include "unit.h"

#include "control_dir.h"

#include <stdio.h>
#include <string.h>

static void
assert_lines(enum control_item item, const char *expected)
{
	struct bytes lines = control_lines(&control, item), line;
	char text[1000] = "";
	size_t len = 0;

	while (control_next_line(&lines, &line))
		len += (size_t)snprintf(text + len, sizeof text - len, "%.*s|", (int)line.len, (const char *)line.at);
	assert_string_equal(text, expected);
}

static void
whom_to_ask_and_trust_may_be_in_a_file_of_the_system(void **state)
{
	char conf[100], anchors[100];

	(void)state;
	(void)snprintf(conf, sizeof conf, "192.0.2.1\n%s/x\n2001:db8::1@5353\n", dir.etc);
	(void)snprintf(anchors, sizeof anchors, "%s/y\n", dir.etc);
	dir_put(&dir, "forwarders", conf);
	dir_put(&dir, "trustanchor", anchors);
	dir_put(&dir, "x",
	    "; by dhcp\n# by dhcp\ndomain a\nnameserver 192.0.2.53\nnameserver\t2001:db8::53  x\n"
	    "nameserver fe80::1%eth0\nnameservers 1.1.1.1\n");
	dir_put(&dir, "y", "; root\n. 86400 IN DS 1 8 2 AB ; x\n\n.\tIN\tDNSKEY 257 3 8 AwEA=\npn. DS 5 8 2 00\n");
	dir_open_as("resolve");
	assert_lines(ITEM_FORWARDERS, "192.0.2.1|192.0.2.53|2001:db8::53|2001:db8::1@5353|");
	assert_lines(ITEM_TRUSTANCHOR, ". 86400 IN DS 1 8 2 AB |.\tIN\tDNSKEY 257 3 8 AwEA=|pn. DS 5 8 2 00|");
	assert_non_null(strstr(dir.said, "warning x:6: a name server with an interface in its address is not asked\n"));
}

static void
a_bad_line_about_resolving_is_told(void **state)
{
	static const struct {
		const char *file, *text, *other, *said;
	} cases[] = {
		{ "forwarders", "192.0.2.1@0\n", "", "error forwarders:1: expected 192.0.2.1, " },
		{ "forwarders", "192.0.2.1@65536\n", "", "error forwarders:1: expected 192.0.2.1, " },
		{ "forwarders", "ns.example.\n", "", "error forwarders:1: expected 192.0.2.1, " },
		{ "forwarders", "@other\n", "nameserver x\n", "error x:1: expected an address behind nameserver" },
		{ "forwarders", "@other\n", "nameserver\n", "error x:1: expected an address behind nameserver" },
		{ "forwarders", "@other\n", "#\n", "error forwarders:1: expected a file with a line: nameserver" },
		{ "forwarders", "/nonexistent/x\n", "", "error forwarders:1: expected a file that is there, not " },
		{ "trustanchor", "/nonexistent/x\n", "", "error trustanchor:1: expected a file that is there, not " },
		{ "trustanchor", "@other\n", "", "error trustanchor:1: expected a file with DS or DNSKEY records" },
		{ "trustanchor", "@other\n", ". IN A 1\n", "error x:1: expected a record such as: . IN DS 20326" },
		{ "trustanchor", ". DS\n", "", "error trustanchor:1: expected a record such as: . IN DS 20326" },
		{ "trustanchor", "DS 1 2 3 4\n", "", "error trustanchor:1: expected a record such as: . IN DS" },
	};
	char path[100];
	struct why why = WHY_NONE;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		(void)snprintf(path, sizeof path, "%s/x\n", dir.etc);
		dir_put(&dir, "x", cases[i].other);
		dir_put(&dir, cases[i].file, strcmp(cases[i].text, "@other\n") == 0 ? path : cases[i].text);
		*dir.said = '\0';
		assert_int_equal(dir_open(&dir, "resolve", &control, &why), MALFORMED);
		if (strstr(dir.said, cases[i].said) == NULL)
			fail_msg("%zu: %s", i, dir.said);
		dir_put(&dir, cases[i].file, NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    whom_to_ask_and_trust_may_be_in_a_file_of_the_system, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(a_bad_line_about_resolving_is_told, dir_set_up, dir_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
