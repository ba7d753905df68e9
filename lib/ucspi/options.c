/* Command lines of the servers.
 * Trusts whoever starts them.
 * Never guesses: a number that is none, or a user that is not there, ends the program. */
#include "ucspi/options.h"
#include "sys/about.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMON "146hHpPrRoOdDqQvUXI:c:b:x:y:B:g:u:l:t:"
#define OF_TLS "3nNsSeEzmZaAVT:w:"
#define CONCURRENCY 40
#define CONCURRENCY_MAX 100000
#define BACKLOG 20
#define SECONDS 26
#define IDLE_SECONDS 3600
#define SECONDS_MAX 1000000
#define EXIT_USAGE 100
#define EXIT_TROUBLE 111

__attribute__((noreturn)) static void
usage(const struct server_options *o, bool tls, int argc, char *argv[])
{
	char text[1024];

	(void)snprintf(text, sizeof text,
	    "usage: %s [-146hHpPrRoOdDqQv%sUX] [-c limit] [-b backlog] [-x rules.cdb] [-y rules.cdb] [-B banner]\n"
	    "\t[-g gid] [-u uid] [-l localname] [-t seconds] [-I interface]%s host port program [argument ...]\n",
	    o->command, tls ? "V3nNsSeEzmZaA" : "", tls ? " [-T seconds] [-w seconds]" : "");
	about(argc, argv, o->command, text);
	(void)fputs(text, stderr);
	exit(EXIT_USAGE);
}

bool
options_number(const char *text, unsigned max, unsigned *n)
{
	uint64_t number;

	if (text == NULL || !bytes_to_number(bytes_of_string(text), max, &number))
		return false;
	*n = (unsigned)number;
	return true;
}

uint16_t
options_port(const char *text)
{
	const struct servent *service;
	unsigned n;

	if (options_number(text, UINT16_MAX, &n))
		return (uint16_t)n;
	service = getservbyname(text, "tcp");
	if (service == NULL)
		say_die(EXIT_TROUBLE, "unable to figure out port number for %s", text);
	return ntohs((uint16_t)service->s_port);
}

bool
options_user(const char *text, uid_t *uid, gid_t *gid)
{
	const struct passwd *pw;
	unsigned n;

	if (options_number(text, UINT32_MAX - 1, &n)) {
		*uid = n;
		pw = getpwuid(n);
	} else if ((pw = text == NULL ? NULL : getpwnam(text)) != NULL)
		*uid = pw->pw_uid;
	else
		return false;
	*gid = pw != NULL ? pw->pw_gid : *uid;
	return true;
}

bool
options_group(const char *text, gid_t *gid)
{
	const struct group *g;
	unsigned n;

	if (options_number(text, UINT32_MAX - 1, &n)) {
		*gid = n;
		return true;
	}
	if (text == NULL || (g = getgrnam(text)) == NULL)
		return false;
	*gid = g->gr_gid;
	return true;
}

/* Who the program runs as, of -u, -g and -U in their order. */
struct who {
	uid_t uid;
	gid_t gid, of_user;
	bool has_user, has_group;
};

static bool
user(struct who *w, const char *text)
{
	w->has_user = options_user(text, &w->uid, &w->of_user);
	return w->has_user;
}

static bool
group(struct who *w, const char *text)
{
	w->has_group = options_group(text, &w->gid);
	return w->has_group;
}

static bool
take_switch(struct server_options *o, int c)
{
	switch (c) {
	case 'q':
		o->level = SAY_NOTHING;
		break;
	case 'Q':
		o->level = SAY_ERRORS;
		break;
	case 'v':
		o->level = SAY_STATUS;
		break;
	case 'V':
		o->level = SAY_TLS;
		break;
	case '1':
		o->print_port = true;
		break;
	case '4':
		o->only_ipv4 = true;
		break;
	case '6':
		o->as_ipv6 = true;
		break;
	case 'X':
		o->rules_may_lack = true;
		break;
	case 'h':
		o->look_up_name = true;
		break;
	case 'H':
		o->look_up_name = false;
		break;
	case 'p':
		o->certain_name = true;
		break;
	case 'P':
		o->certain_name = false;
		break;
	case 'r':
		o->ask_ident = true;
		break;
	case 'R':
		o->ask_ident = false;
		break;
	case 'o':
		o->keep_route = true;
		break;
	case 'O':
		o->keep_route = false;
		break;
	case 'd':
		o->delay = true;
		break;
	case 'D':
		o->delay = false;
		break;
	case 'n':
		o->starttls = true;
		break;
	case 'N':
		o->starttls = false;
		break;
	case 's':
		o->variables = true;
		break;
	case 'S':
		o->variables = false;
		break;
	case 'e':
		o->tcp_variables = true;
		break;
	case 'E':
		o->tcp_variables = false;
		break;
	case '3':
		o->passphrase = true;
		break;
	case 'z':
	case 'm':
	case 'Z':
		o->client_certificate = (char)c;
		break;
	case 'a':
	case 'A':
		break; /* keys are never read here, as anybody */
	default:
		return false;
	}
	return true;
}

static bool
take_value(struct server_options *o, struct who *w, int c, const char *value)
{
	switch (c) {
	case 'c':
		return options_number(value, CONCURRENCY_MAX, &o->concurrency) && o->concurrency > 0;
	case 'b':
		return options_number(value, CONCURRENCY_MAX, &o->backlog);
	case 't':
		return options_number(value, SECONDS_MAX, &o->ident_seconds);
	case 'T':
		return options_number(value, SECONDS_MAX, &o->handshake_seconds);
	case 'w':
		return options_number(value, SECONDS_MAX, &o->idle_seconds);
	case 'u':
		return user(w, value);
	case 'g':
		return group(w, value);
	case 'U':
		return user(w, getenv("UID")) && group(w, getenv("GID"));
	case 'x':
		o->rules = value;
		return true;
	case 'y':
		o->early_rules = value;
		return true;
	case 'B':
		o->banner = value;
		return true;
	case 'l':
		o->local_name = value;
		return true;
	case 'I':
		o->interface = value;
		return true;
	default:
		return take_switch(o, c);
	}
}

void
server_options_read(struct server_options *o, const char *command, bool tls, int argc, char *argv[])
{
	struct who w = { .uid = 0 };
	int c;

	*o = (struct server_options){ .command = command,
		.level = SAY_ERRORS,
		.concurrency = CONCURRENCY,
		.backlog = BACKLOG,
		.ident_seconds = SECONDS,
		.handshake_seconds = SECONDS,
		.idle_seconds = IDLE_SECONDS,
		.look_up_name = true,
		.tcp_variables = true };
	if (argc == 2 && strncmp(argv[1], "--", 2) == 0)
		usage(o, tls, argc, argv);
	while ((c = getopt(argc, argv, tls ? "+" COMMON OF_TLS : "+" COMMON)) != -1)
		if (!take_value(o, &w, c, optarg))
			usage(o, tls, argc, argv);
	if (argc - optind < 3)
		usage(o, tls, argc, argv);
	o->host = argv[optind];
	o->port = argv[optind + 1];
	o->program = argv + optind + 2;
	o->uid = w.uid;
	o->gid = w.has_group ? w.gid : w.has_user ? w.of_user : 0;
}
