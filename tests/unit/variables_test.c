/* Variables of connection rules: which values and names are refused, and what comes of those that are not.
 * Trusts lib/control only as far as it asserts.
 * Never leaves its private directory. */
#include "unit.h"

#include "control/rules.h"
#include "control/variables.h"
#include "control_dir.h"

#include <cdb.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* a line of the item variables; null in place of words: it is fine */
static const struct {
	const char *name, *value, *words;
} said[] = {
	{ "DATABYTES", "10M", "expected a number from 0 to 1099511627776 as DATABYTES, not \"10M\"" },
	{ "DATABYTES", "-1", "expected a number from 0" },
	{ "DATABYTES", "0", NULL },
	{ "DATABYTES", "", NULL },
	{ "SPF", "7", "expected a number from 0 to 6 as SPF, not \"7\"" },
	{ "SPF", "yes", "expected a number from 0 to 6" },
	{ "SPF", "6", NULL },
	{ "TARPITDELAY", "1000", "expected a number from 0 to 999" },
	{ "GREETDELAY", "301", "expected a number from 0 to 300" },
	{ "UCSPITLS", "always", "expected nothing or one of - ! ? @ 1 as UCSPITLS, not \"always\"" },
	{ "UCSPITLS", "", NULL },
	{ "UCSPITLS", "@", NULL },
	{ "HELOCHECK", "a", "expected nothing or one of . ! = A M 1 as HELOCHECK" },
	{ "HELOCHECK", ". !", "expected nothing or one of" },
	{ "HELOCHECK", "M", NULL },
	{ "SMTPAUTH", "cram-md5", "expected nothing or one of" },
	{ "SMTPAUTH", "!+cram", NULL },
	{ "LOCALMFCHECK", "yes", "expected nothing, a domain or one of ! = ? as LOCALMFCHECK" },
	{ "LOCALMFCHECK", "office.example", NULL },
	{ "DNSLISTS", "x", "expected letters out of bic- as DNSLISTS, not \"x\"" },
	{ "DNSLISTS", "bc", NULL },
	{ "RELAYCLIENT", "yes", "expected nothing, or @ and a domain, as RELAYCLIENT, not \"yes\"" },
	{ "RELAYCLIENT", "@gate.example", NULL },
	{ "AUTHINCLEAR", "no", "expected no AUTHINCLEAR at all where it is not wanted" },
	{ "AUTHINCLEAR", "0", "expected no AUTHINCLEAR at all" },
	{ "AUTHINCLEAR", "1", NULL },
	{ "CCAVERIFY", "off", "expected no CCAVERIFY at all" },
	{ "CCAVERIFY", "-", NULL },
	{ "CERTFILE", "cert.pem", "expected absolute paths as CERTFILE, not \"cert.pem\"" },
	{ "CERTFILE", "/a:b", "expected absolute paths" },
	{ "CERTFILE", "/a:/b", NULL },
	{ "KEYFILE", ":/b", NULL },
	{ "CCAFILE", "ca.pem", "expected an absolute path as CCAFILE" },
	{ "CCAFILE", "-", NULL },
	{ "REPLY_HELO", "anything: at all", NULL },
	{ "HELOCHEK", "", "expected a variable: HELOCHEK is none; did you mean HELOCHECK?" },
	{ "RELAYCLEINT", "", "RELAYCLEINT is none; did you mean RELAYCLIENT?" },
	{ "relayclient", "", "did you mean RELAYCLIENT?" },
	{ "DATABYTE", "1", "did you mean DATABYTES?" },
	{ "CERTFILE2", "/a", "did you mean CERTFILE?" },
	{ "CERTFILEEC", "/a", NULL }, /* ucspi-ssl has it */
	{ "BADMIMETYPE", "", NULL },
	{ "SPG", "1", NULL }, /* too short to tell */
	{ "PATH", "/bin", NULL },
	{ "MY_PROGRAMS_OWN", "x", NULL },
	{ "REPLYMAV", "x", NULL },
};

static void
a_wrong_value_and_a_misspelled_name_are_refused_and_all_others_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(said); i++) {
		struct why why = WHY_NONE;
		enum result r = variable_check(bytes_of_string(said[i].name), bytes_of_string(said[i].value), &why);

		if ((r == OK) != (said[i].words == NULL) || (r != OK && strstr(why.text, said[i].words) == NULL))
			fail_msg("%s=%s: %s", said[i].name, said[i].value, why.text);
	}
}

/* Where a table's words are wrong themselves, nobody could use them. */
static void
every_value_that_the_list_names_is_taken(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_VARIABLES; i++) {
		const struct variable_schema *s = &variable_schema[i];
		struct bytes words = bytes_of_string(s->words), word;
		struct why why = WHY_NONE;

		assert_int_equal(variable_of_name(bytes_of_string(s->name)), i);
		assert_int_equal(variable_check(bytes_of_string(s->name), BYTES(""), &why), OK);
		while (s->kind == VARIABLE_WORD && bytes_split(&words, ' ', &word))
			if (word.len > s->most || variable_check(bytes_of_string(s->name), word, &why) != OK)
				fail_msg("%s: %s", s->name, why.text);
	}
}

static void
a_wrong_variable_is_told_with_file_and_line_in_rules_and_variables(void **state)
{
	struct why why = WHY_NONE;

	(void)state;
	dir_put(&dir, "rules", "10.:allow,SPF=\"3\"\n\n:allow,DATABYTES=\"10M\"\n11.:allow,HELOCHEK=\"\"\n");
	dir_put(&dir, "smtpd/variables", "UCSPITLS=always\nSPF=7\n");
	assert_int_equal(dir_open(&dir, "policy", &control, &why), MALFORMED);
	assert_non_null(strstr(dir.said, "error rules:3: expected a number from 0 to 1099511627776 as DATABYTES"));
	assert_non_null(
	    strstr(dir.said, "error rules:4: expected a variable: HELOCHEK is none; did you mean HELOCHECK?"));
	assert_non_null(strstr(dir.said, "error smtpd/variables:1: expected nothing or one of - ! ? @ 1 as UCSPITLS"));
	assert_non_null(strstr(dir.said, "error smtpd/variables:2: expected a number from 0 to 6 as SPF"));
	control = CONTROL_NONE;
}

/* A cdb that another compiler made. */
static void
compile(const char *key, struct bytes data)
{
	char path[160];
	struct cdb_make made;
	int fd;

	(void)snprintf(path, sizeof path, "%s/rules.cdb", dir.etc);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0 && cdb_make_start(&made, fd) == 0);
	assert_int_equal(cdb_make_add(&made, "10.", 3, "", 0), 0);
	assert_int_equal(cdb_make_add(&made, key, (unsigned)strlen(key), data.at, (unsigned)data.len), 0);
	assert_int_equal(cdb_make_finish(&made), 0);
	(void)close(fd);
}

static void
a_wrong_variable_in_compiled_rules_is_told_with_its_key(void **state)
{
	struct why why = WHY_NONE;

	(void)state;
	compile("192.0.2.", BYTES("+SPF=9\0"));
	assert_int_equal(dir_open(&dir, "policy", &control, &why), MALFORMED);
	assert_non_null(strstr(dir.said, "error rules.cdb:0: expected another value in the rule 192.0.2.: "));
	assert_non_null(strstr(dir.said, "a number from 0 to 6 as SPF, not \"9\""));
	control = CONTROL_NONE;
}

static void
a_name_that_does_nothing_in_a_service_is_a_warning_once(void **state)
{
	(void)state;
	dir_put(&dir, "rules", "10.:allow,QHPSI=\"clam\"\n11.:allow,QHPSI=\"clam\"\n12.:allow,OWN=\"x\"\n");
	dir_put(&dir, "smtpd/variables", "MAXCONIP=5\nDATABYTES=5\nDATABYTES=6\n");
	dir_open_as("policy");
	assert_string_equal(dir.said,
	    "warning rules:1: QHPSI is a variable of s/qmail that Postern does not look at: it does nothing here\n"
	    "warning rules:3: OWN is no variable of Postern's: it does nothing here\n"
	    "warning smtpd/variables:1: MAXCONIP does nothing in the service smtpd\n"
	    "warning smtpd/variables:3: DATABYTES is there twice; what came first counts\n");
}

static void
what_is_for_all_services_is_no_warning_in_one_of_them(void **state)
{
	(void)state;
	dir_put(&dir, "variables", "MAXCONIP=5\n");
	dir_open_as("policy");
	assert_string_equal(dir.said, "");
}

static void
a_rule_goes_before_what_holds_for_all(void **state)
{
	struct variables v = { 0 };

	(void)state;
	variables_decode(&v, BYTES("D\0+DATABYTES=5\0+MAXRECIPIENTS=\0+KEYFILE=/k\0+X=y\0+REPLYMAV=no\0"), true);
	variables_decode(&v, BYTES("+DATABYTES=6\0+MAXRECIPIENTS=7\0+SPF=3\0+CERTFILE=/c\0+HELOCHECK=\0"), false);
	assert_int_equal(variable_number(&v, VAR_DATABYTES, 1), 5);
	assert_int_equal(variable_number(&v, VAR_MAXRECIPIENTS, 1), 1); /* empty in the rule: as if nobody had set it */
	assert_int_equal(variable_number(&v, VAR_SPF, 0), 3);
	assert_int_equal(variable_number(&v, VAR_GREETDELAY, 9), 9);
	assert_true(variable_is_set(&v, VAR_HELOCHECK) && variable_is(&v, VAR_HELOCHECK, ""));
	assert_non_null(variable_text(&v, VAR_HELOCHECK).at);
	assert_null(variable_text(&v, VAR_UCSPITLS).at);
	assert_true(variable_is(&v, VAR_REPLY_SENDERINVALID, "no"));
	assert_true(variable_is_in_rule(&v, VAR_DATABYTES) && !variable_is_in_rule(&v, VAR_CERTFILE));
	assert_null(variable_beside(&v, VAR_KEYFILE, VAR_CERTFILE).at); /* of another place */
}

static void
a_list_that_is_cut_anywhere_is_decoded_without_harm(void **state)
{
	static const char list[] = "D\0+DATABYTES=5\0+RELAYCLIENT=@a.b\0+UCSPITLS=!\0+=\0+SPF";
	char copy[sizeof list];

	(void)state;
	for (size_t n = 0; n <= sizeof list; n++) {
		struct variables v = { 0 };

		memcpy(copy, list, n);
		variables_decode(&v, bytes_of(copy, n), true);
		assert_true(variable_number(&v, VAR_DATABYTES, 5) == 5);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_value_and_a_misspelled_name_are_refused_and_all_others_pass),
		cmocka_unit_test(every_value_that_the_list_names_is_taken),
		cmocka_unit_test_setup_teardown(
		    a_wrong_variable_is_told_with_file_and_line_in_rules_and_variables, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_wrong_variable_in_compiled_rules_is_told_with_its_key, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    a_name_that_does_nothing_in_a_service_is_a_warning_once, dir_set_up, dir_tear_down),
		cmocka_unit_test_setup_teardown(
		    what_is_for_all_services_is_no_warning_in_one_of_them, dir_set_up, dir_tear_down),
		cmocka_unit_test(a_rule_goes_before_what_holds_for_all),
		cmocka_unit_test(a_list_that_is_cut_anywhere_is_decoded_without_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
