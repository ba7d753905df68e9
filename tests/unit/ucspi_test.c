/* What the commands of ucspi make of addresses, answers and command lines. */
#include "unit.h"

#include "base/le.h"
#include "certificates.h"
#include "crypt/internal.h"
#include "crypt/variables.h"
#include "ucspi/client.h"
#include "ucspi/rules_file.h"

#include <arpa/inet.h>
#include <cdb.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- addresses ---- */

static void
addresses_are_read_and_written(void **state)
{
	static const struct {
		const char *text, *as;
		uint8_t len;
	} rows[] = { { "192.0.2.1", NULL, 4 }, { "::1", NULL, 16 }, { "2001:DB8::1", "2001:db8::1", 16 },
		{ "fe80::1%lo", "fe80::1", 16 }, { "::ffff:192.0.2.1", NULL, 16 }, { "192.0.2", NULL, 0 },
		{ "", NULL, 0 }, { "fe80::1%no-such-interface", NULL, 0 }, { "host", NULL, 0 },
		{ "1::2::3", NULL, 0 } };
	char text[ADDRESS_TEXT];
	struct address a;

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		assert_int_equal(address_parse(rows[i].text, &a), rows[i].len != 0);
		if (rows[i].len == 0)
			continue;
		assert_int_equal(a.len, rows[i].len);
		address_text(&a, text);
		assert_string_equal(text, rows[i].as == NULL ? rows[i].text : rows[i].as);
	}
}

static void
a_mapped_address_is_ipv4_unless_it_is_to_stay(void **state)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(25) };
	struct sockaddr_storage from = { 0 };
	struct address four, six;

	(void)state;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr), 1);
	memcpy(&from, &in6, sizeof in6);
	assert_true(address_from(&from, false, &four));
	assert_true(address_from(&from, true, &six));
	assert_int_equal(four.len, 4);
	assert_int_equal(six.len, 16);
	assert_int_equal(four.port, 25);
	assert_false(address_equal(&four, &six));
	assert_int_equal(address_to(&four, &from), sizeof(struct sockaddr_in));
	assert_true(address_from(&from, true, &four));
	assert_true(address_equal(&four, &six));
}

/* ---- IDENT ---- */

static void
an_ident_answer_has_a_user_or_none(void **state)
{
	static const struct {
		const char *line, *user;
	} rows[] = { { "6195, 23 : USERID : UNIX : joe\r\n", "joe" }, { "1,2:userid:OTHER:j o:e", "j o:e" },
		{ "6195, 23 : ERROR : NO-USER\r\n", "" }, { "6195, 23 : ERROR : NO-USER : x\r\n", "" }, { "", "" },
		{ "1,2:USERID:UNIX:\r\nroot", "" }, { "1,2:USERID:UNIX", "" } };
	static const char whole[] = "6195, 23 : USERID : UNIX : joe\r\n";

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct bytes user = ident_user(bytes_of_string(rows[i].line));

		assert_int_equal(user.len, strlen(rows[i].user));
		assert_memory_equal(user.at == NULL ? (const uint8_t *)"" : user.at, rows[i].user, user.len);
	}
	for (size_t len = 0; len < sizeof whole - 1; len++)
		assert_true(ident_user(bytes_of(whole, len)).len <= 3);
}

/* ---- variables ---- */

static void
only_ssl_variables_are_taken_from_a_list(void **state)
{
	static const char list[] =
	    "SSL_PROTOCOL=1\0PATH=/evil\0SSL_CIPHER\0=x\0SSL_CLIENT_S_DN=a=b\0LD_PRELOAD=x\0SSL_CERT_FILE=/"
	    "evil\0SSL_CLIENT_\xff=x\0"
	    "SSL_PROTOCOLS=x\0\0SSL_TLS_SNI=behind the end\0";
	char before[4096];

	(void)state;
	environment_put("SSL_CERT_FILE", "stays");
	(void)snprintf(before, sizeof before, "%s", getenv("PATH"));
	environment_take(bytes_of(list, sizeof list));
	assert_string_equal(getenv("SSL_PROTOCOL"), "1");
	assert_string_equal(getenv("SSL_CLIENT_S_DN"), "a=b");
	assert_string_equal(getenv("PATH"), before);
	assert_null(getenv("LD_PRELOAD"));
	assert_null(getenv("SSL_CIPHER"));
	assert_string_equal(getenv("SSL_CERT_FILE"), "stays");
	assert_null(getenv("SSL_PROTOCOLS"));
	assert_null(getenv("SSL_TLS_SNI"));
}

static void
what_is_not_known_of_an_end_is_removed(void **state)
{
	struct ends e = {
		.local = { .len = 4, .port = 25 }, .remote = { .len = 4, .port = 4000 }, .remote_text = "192.0.2.1"
	};

	(void)state;
	environment_put("TCPREMOTEINFO", "somebody else");
	environment_put("TCP6REMOTEIP", "::1");
	environment_put("SSL_PROTOCOL", "TLSv1.3");
	environment_put("SSL_CLIENT_VERIFY", "SUCCESS");
	environment_put("SSL_CERT_FILE", "stays");
	environment_set(&e, false, true);
	assert_null(getenv("TCPREMOTEINFO"));
	assert_null(getenv("SSL_PROTOCOL"));
	assert_null(getenv("SSL_CLIENT_VERIFY"));
	assert_string_equal(getenv("SSL_CERT_FILE"), "stays");
	assert_null(getenv("TCP6REMOTEIP"));
	assert_null(getenv("SSLREMOTEIP"));
	assert_string_equal(getenv("TCPREMOTEIP"), "192.0.2.1");
	assert_string_equal(getenv("PROTO"), "TCP");
	e.remote.len = 16;
	environment_set(&e, true, true);
	assert_string_equal(getenv("PROTO"), "TCP6");
	assert_string_equal(getenv("TCP6REMOTEPORT"), "4000");
	environment_set(&e, true, false);
	assert_string_equal(getenv("PROTO"), "SSL");
	assert_string_equal(getenv("SSLREMOTEPORT"), "4000");
	assert_null(getenv("TCPREMOTEIP"));
}

/* Each NAME=value with a zero octet behind it, and line ends in PEM alone. */
static void
assert_well_formed(struct bytes list)
{
	struct bytes one;

	assert_true(list.len > 0 && list.at[list.len - 1] == '\0');
	while (list.len > 0 && bytes_split(&list, '\0', &one)) {
		size_t name = bytes_find(one, '=');

		assert_true(bytes_starts(one, BYTES("SSL_SERVER_")) && name < one.len);
		for (size_t i = 0; i < one.len; i++)
			if (one.at[i] < 0x20 || one.at[i] == 0x7f)
				assert_true(
				    one.at[i] == '\n' && bytes_ends_nocase(bytes_first(one, name), BYTES("_CERT")));
	}
}

static void
a_name_in_a_certificate_can_not_end_its_variable(void **state)
{
	X509 *c = issue(
	    keys[P256_KEY], "evil\nSSL_CLIENT_VERIFY=SUCCESS", "DNS:a.example,email:joe@example.org", FOR_SERVER, 3600);
	X509_NAME *name = X509_NAME_dup(X509_get_subject_name(c));
	struct buf list = buf_growing(64u << 10);
	size_t whole;

	(void)state;
	assert_int_equal(
	    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"a\0b", 3, -1, 0), 1);
	assert_int_equal(X509_set_subject_name(c, name), 1);
	certificate_variables(&list, "SERVER_", c);
	assert_false(list.failed);
	assert_well_formed(buf_bytes(&list));
	assert_non_null(memmem(list.at, list.len, "SSL_SERVER_S_DN_O=a?b", 22));
	assert_non_null(memmem(list.at, list.len, "SSL_SERVER_SAN_Email_0=joe@example.org", 39));
	assert_non_null(memmem(list.at, list.len, "SSL_SERVER_S_DN_CN=evil?SSL_CLIENT_VERIFY=SUCCESS", 50));
	whole = list.len;
	for (size_t max = 0; max < whole; max += 97) {
		struct buf small = buf_growing(max);

		certificate_variables(&small, "SERVER_", c);
		assert_true(small.failed && small.len <= max);
		buf_free(&small);
	}
	buf_free(&list);
	X509_NAME_free(name);
	X509_free(c);
}

/* ---- rules ---- */

static void
make_rules(const char *path, const char *key, const char *data, unsigned data_len)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct cdb_make made;

	assert_true(fd >= 0 && cdb_make_start(&made, fd) == 0);
	assert_int_equal(cdb_make_add(&made, key, (unsigned)strlen(key), data, data_len), 0);
	assert_int_equal(cdb_make_add(&made, "", 0, "D", 2), 0);
	assert_int_equal(cdb_make_finish(&made), 0);
	(void)close(fd);
}

static void
rules_come_from_a_file_that_may_lack_or_be_damaged(void **state)
{
	char path[] = "/tmp/ucspi_test.XXXXXX";
	uint8_t address[4] = { 192, 0, 2, 1 }, room[64];
	struct rules_query q = { .address = address, .address_len = 4 };
	struct buf data = BUF_OVER(room), all = buf_growing(4096);
	struct why why = WHY_NONE;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	make_rules(path, "192.0.2.1", "+A=b", 5);
	assert_int_equal(rules_file_find(path, false, &q, &data, &why), OK);
	assert_memory_equal(data.at, "+A=b", 5);
	address[3] = 2;
	buf_clear(&data);
	assert_int_equal(rules_file_find(path, false, &q, &data, &why), OK);
	assert_true(rules_denies(buf_bytes(&data)));
	assert_int_equal(rules_file_all(path, &all, &why), OK);
	assert_int_equal(all.len, 8 + 9 + 5 + 8 + 0 + 2);
	assert_int_equal(le32_get(all.at), 9);
	make_rules(path, "192.0.2.2", "A=b", 4);
	assert_int_equal(rules_file_find(path, true, &q, &data, &why), BROKEN);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(rules_file_find(path, true, &q, &data, &why), BROKEN);
	(void)unlink(path);
	assert_int_equal(rules_file_find(path, true, &q, &data, &why), ABSENT);
	assert_int_equal(rules_file_find(path, false, &q, &data, &why), BROKEN);
	buf_free(&all);
}

/* ---- command lines ---- */

static int
server_status(const char *const words[], struct server_options *o)
{
	int n = 0, status;
	pid_t pid;

	while (words[n] != NULL)
		n++;
	optind = 0;   /* anew */
	pid = fork(); /* a wrong line ends it */
	if (pid == 0) {
		(void)close(2);
		server_options_read(o, "sslserver", true, n, (char **)(uintptr_t)words);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 0) {
		optind = 0;
		server_options_read(o, "sslserver", true, n, (char **)(uintptr_t)words);
	}
	return WEXITSTATUS(status);
}
#define SERVER(...) server_status((const char *const[]){ "sslserver", __VA_ARGS__, NULL }, &o)

static void
command_lines_of_servers(void **state)
{
	struct server_options o;

	(void)state;
	assert_int_equal(SERVER("0", "25", "cat", "-v"), 0);
	assert_true(
	    o.concurrency == 40 && o.backlog == 20 && o.look_up_name && !o.ask_ident && !o.starttls && o.tcp_variables);
	assert_true(o.uid == 0 && o.gid == 0 && o.ident_seconds == 26 && o.idle_seconds == 3600 &&
	    strcmp(o.program[1], "-v") == 0);
	assert_int_equal(
	    SERVER("-seVn", "-Rp", "-l", "mx", "-Xx", "r.cdb", "-u", "64999", "-g", "64998", ":0", "smtp", "cat"), 0);
	assert_true(o.variables && o.starttls && o.certain_name && o.rules_may_lack && o.level == SAY_TLS);
	assert_true(o.uid == 64999 && o.gid == 64998);
	assert_string_equal(o.rules, "r.cdb");
	assert_int_equal(SERVER("-u64999", "0", "25", "cat"), 0);
	assert_int_equal(o.gid, 64999);
	assert_int_equal(SERVER("-c5", "-c7", "-nN", "-vq", "-z", "-m", "0", "25", "cat"), 0);
	assert_true(o.concurrency == 7 && !o.starttls && o.level == SAY_NOTHING && o.client_certificate == 'm');
	assert_int_equal(SERVER("0", "25"), 100);
	assert_int_equal(SERVER("-c", "0", "0", "25", "cat"), 100);
	assert_int_equal(SERVER("-c", "many", "0", "25", "cat"), 100);
	assert_int_equal(SERVER("-u", "no-such-user", "0", "25", "cat"), 100);
	assert_int_equal(SERVER("-k", "0", "25", "cat"), 100);
}

static void
the_user_comes_from_the_environment_with_capital_u(void **state)
{
	struct server_options o;

	(void)state;
	environment_put("UID", "64997");
	environment_put("GID", "64996");
	assert_int_equal(SERVER("-U", "0", "25", "cat"), 0);
	assert_true(o.uid == 64997 && o.gid == 64996);
	environment_put("GID", NULL);
	assert_int_equal(SERVER("-U", "0", "25", "cat"), 100);
}

static void
command_lines_of_clients(void **state)
{
	static const char *const words[] = { "sslclient", "-vN", "-T3+4", "-a", "ca.pem", "-XmS", "-V2", "host", "465",
		"cat", NULL };
	struct client_options o;

	(void)state;
	environment_put("CERTFILE", "own.pem");
	environment_put("CAFILE", "other.pem");
	optind = 0;
	client_options_read(&o, "sslclient", true, 10, (char **)(uintptr_t)words);
	assert_true(o.level == SAY_STATUS && !o.match_name && !o.verify && o.name_indication && o.depth == 2);
	assert_true(o.first_seconds == 3 && o.second_seconds == 4);
	assert_string_equal(o.ca_file, "ca.pem");
	assert_string_equal(o.certificate, "own.pem");
	assert_string_equal(o.host, "host");
	environment_put("CERTFILE", NULL);
}

static void
a_strangers_text_stays_in_its_line(void **state)
{
	uint8_t room[200];
	struct buf line = BUF_OVER(room);
	char long_text[300];

	(void)state;
	say_clean(&line, "a b%c\n\x1b[2J\xc3\xa9");
	assert_memory_equal(line.at, "a?b?c??[2J??", 12);
	assert_int_equal(line.len, 12);
	memset(long_text, 'x', sizeof long_text);
	long_text[sizeof long_text - 1] = '\0';
	buf_clear(&line);
	say_clean(&line, long_text);
	assert_int_equal(line.len, 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written),
		cmocka_unit_test(a_mapped_address_is_ipv4_unless_it_is_to_stay),
		cmocka_unit_test(an_ident_answer_has_a_user_or_none),
		cmocka_unit_test(only_ssl_variables_are_taken_from_a_list),
		cmocka_unit_test(what_is_not_known_of_an_end_is_removed),
		cmocka_unit_test(a_name_in_a_certificate_can_not_end_its_variable),
		cmocka_unit_test(rules_come_from_a_file_that_may_lack_or_be_damaged),
		cmocka_unit_test(command_lines_of_servers),
		cmocka_unit_test(the_user_comes_from_the_environment_with_capital_u),
		cmocka_unit_test(command_lines_of_clients),
		cmocka_unit_test(a_strangers_text_stays_in_its_line),
	};

	return cmocka_run_group_tests(tests, make_keys, NULL);
}
