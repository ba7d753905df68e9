/* tcprulescheck: says what a compiled set of rules does with a connection.
 * Trusts whoever runs it; not the cdb, whose records are checked.
 * Never changes anything. */
#include "control/variables.h"
#include "sys/fd.h"
#include "sys/about.h"
#include "ucspi/rules_file.h"

#include <arpa/inet.h>
#include <cdb.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 100
#define EXIT_SYNTAX 101 /* as tcprules has it */
#define EXIT_TROUBLE 111

/* The variables of IPv6 go before those of IPv4, as servers set both. */
static const char *
variable(const char *six, const char *four)
{
	const char *value = getenv(six);

	return value != NULL && *value != '\0' ? value : getenv(four);
}

static bool
query_of_environment(struct rules_query *q, uint8_t address[16])
{
	const char *ip = variable("TCP6REMOTEIP", "TCPREMOTEIP");

	*q = (struct rules_query){ .address = address };
	q->host = bytes_of_string(variable("TCP6REMOTEHOST", "TCPREMOTEHOST"));
	q->info = bytes_of_string(variable("TCP6REMOTEINFO", "TCPREMOTEINFO"));
	if (ip == NULL || *ip == '\0')
		return true;
	q->address_len = inet_pton(AF_INET, ip, address) == 1 ? 4 : inet_pton(AF_INET6, ip, address) == 1 ? 16 : 0;
	return q->address_len != 0;
}

static void
print(struct bytes what)
{
	for (size_t i = 0; i < what.len; i++)
		(void)putchar(what.at[i] < ' ' || what.at[i] == 0x7f ? '?' : what.at[i]);
}

static void
print_rule(enum result r, struct bytes key, struct bytes data)
{
	struct bytes name, value;
	bool denies = rules_denies(data);

	if (r == ABSENT)
		(void)printf("default:\n");
	else {
		(void)printf("rule ");
		print(key);
		(void)printf(":\n");
	}
	while (rules_next_variable(&data, &name, &value)) {
		(void)printf("set environment variable ");
		print(name);
		(void)putchar('=');
		print(value);
		(void)putchar('\n');
	}
	(void)printf("%s connection\n", denies ? "deny" : "allow");
}

/* What a compiler of other make, or an older one of ours, let pass. */
static int
check_variables(const char *file, struct bytes key, struct bytes data)
{
	struct why why = WHY_NONE;

	if (variables_check(data, &why) == OK)
		return 0;
	(void)fflush(stdout);
	(void)fprintf(stderr, "tcprulescheck: %s: rule %.*s: %s\n", file, (int)key.len, (const char *)key.at, why.text);
	return EXIT_SYNTAX;
}

static int
check(int fd, const char *file)
{
	struct rules_query q;
	uint8_t address[16], room[RULES_KEY_MAX];
	struct buf key = BUF_OVER(room);
	struct bytes data;
	struct cdb db;
	int status = EXIT_TROUBLE;
	enum result r;

	if (!query_of_environment(&q, address)) {
		(void)fprintf(stderr, "tcprulescheck: fatal: expected an address in TCPREMOTEIP\n");
		return EXIT_USAGE;
	}
	if (cdb_init(&db, fd) != 0) {
		(void)fprintf(stderr, "tcprulescheck: fatal: %s is no cdb\n", file);
		return EXIT_TROUBLE;
	}
	r = rules_find(rules_of_cdb, &db, &q, &data, &key);
	if (r == OK || r == ABSENT) {
		print_rule(r, buf_bytes(&key), data);
		status = check_variables(file, buf_bytes(&key), data);
	} else
		(void)fprintf(stderr, "tcprulescheck: fatal: %s is damaged\n", file);
	cdb_free(&db);
	return status;
}

static const char usage[] = "usage: tcprulescheck rules.cdb, with TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO in the "
			    "environment\n";

int
main(int argc, char *argv[])
{
	int fd, status;

	about(argc, argv, "tcprulescheck", usage);
	if (argc != 2) {
		(void)fputs(usage, stderr);
		return EXIT_USAGE;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		(void)fprintf(stderr, "tcprulescheck: fatal: opening %s: %m\n", argv[1]);
		return EXIT_TROUBLE;
	}
	status = check(fd, argv[1]);
	(void)close(fd);
	return status;
}
