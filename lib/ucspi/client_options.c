/* Command lines of the clients.
 * Trusts whoever starts them.
 * Never guesses: a number that is none ends the program. */
#include "ucspi/client.h"
#include "sys/about.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMON "46hHrRdDqQvi:p:I:l:t:T:"
#define OF_TLS "3xXnNmMsSeEa:A:c:k:K:V:z:w:"
#define SECONDS 26
#define FIRST_SECONDS 2
#define SECOND_SECONDS 58
#define IDLE_SECONDS 3600
#define SECONDS_MAX 1000000
#define EXIT_USAGE 100

__attribute__((noreturn)) static void
usage(const struct client_options *o, bool tls, int argc, char *argv[])
{
	char text[1024];

	(void)snprintf(text, sizeof text,
	    "usage: %s [-46hHrRdDqQv%s] [-i localip] [-p localport] [-I interface] [-l localname]\n"
	    "\t[-T timeout[+timeout]] [-t seconds]%s host port program [argument ...]\n",
	    o->command, tls ? "3xXnNmMsSeE" : "",
	    tls ? " [-a cafile] [-A cadir] [-c certificate] [-k key]\n"
		  "\t[-K passphrasefile] [-V depth] [-z ciphers] [-w seconds]"
		: "");
	about(argc, argv, o->command, text);
	(void)fputs(text, stderr);
	exit(EXIT_USAGE);
}

static bool
take_timeouts(struct client_options *o, const char *text)
{
	char first[16];
	size_t len = strcspn(text, "+");

	if (len >= sizeof first)
		return false;
	memcpy(first, text, len);
	first[len] = '\0';
	if (!options_number(first, SECONDS_MAX, &o->first_seconds))
		return false;
	o->second_seconds = 0;
	return text[len] == '\0' || options_number(text + len + 1, SECONDS_MAX, &o->second_seconds);
}

static bool
take_switch(struct client_options *o, int c)
{
	const struct {
		char on, off;
		bool *what;
	} pairs[] = { { 'h', 'H', &o->look_up_name }, { 'r', 'R', &o->ask_ident }, { 'd', 'D', &o->delay },
		{ '4', 0, &o->only_ipv4 }, { '6', 0, &o->only_ipv6 }, { '3', 0, &o->passphrase },
		{ 'x', 'X', &o->verify }, { 'n', 'N', &o->match_name }, { 'm', 'M', &o->name_indication },
		{ 's', 'S', &o->variables }, { 'e', 'E', &o->tcp_variables } };

	for (size_t i = 0; i < nitems(pairs); i++)
		if (c == pairs[i].on || c == pairs[i].off) {
			*pairs[i].what = c == pairs[i].on;
			return true;
		}
	o->level = c == 'q' ? SAY_NOTHING : c == 'v' ? SAY_STATUS : SAY_ERRORS;
	return c == 'q' || c == 'Q' || c == 'v';
}

static bool
take_value(struct client_options *o, int c, const char *value)
{
	const struct {
		char letter;
		const char **what;
	} texts[] = { { 'i', &o->local_ip }, { 'p', &o->local_port }, { 'I', &o->interface }, { 'l', &o->local_name },
		{ 'a', &o->ca_file }, { 'A', &o->ca_dir }, { 'c', &o->certificate }, { 'k', &o->key },
		{ 'K', &o->passphrase_file }, { 'z', &o->ciphers } };

	for (size_t i = 0; i < nitems(texts); i++)
		if (c == texts[i].letter) {
			*texts[i].what = value;
			return true;
		}
	switch (c) {
	case 'T':
		return take_timeouts(o, value);
	case 't':
		return options_number(value, SECONDS_MAX, &o->ident_seconds);
	case 'w':
		return options_number(value, SECONDS_MAX, &o->idle_seconds);
	case 'V':
		return options_number(value, 100, &o->depth);
	default:
		return take_switch(o, c);
	}
}

static const char *
setting(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static void
take_environment(struct client_options *o)
{
	o->ca_file = setting("CAFILE");
	o->ca_dir = setting("CADIR");
	o->certificate = setting("CERTFILE");
	o->key = setting("KEYFILE");
	o->ciphers = setting("CIPHERS");
	if (setting("VERIFYDEPTH") != NULL)
		(void)options_number(setting("VERIFYDEPTH"), 100, &o->depth);
}

void
client_options_read(struct client_options *o, const char *command, bool tls, int argc, char *argv[])
{
	int c;

	*o = (struct client_options){ .command = command,
		.level = SAY_ERRORS,
		.first_seconds = FIRST_SECONDS,
		.second_seconds = SECOND_SECONDS,
		.ident_seconds = SECONDS,
		.handshake_seconds = SECONDS,
		.idle_seconds = IDLE_SECONDS,
		.look_up_name = true,
		.verify = true,
		.match_name = true,
		.tcp_variables = true };
	if (argc == 2 && strncmp(argv[1], "--", 2) == 0)
		usage(o, tls, argc, argv);
	if (tls)
		take_environment(o);
	while ((c = getopt(argc, argv, tls ? "+" COMMON OF_TLS : "+" COMMON)) != -1)
		if (!take_value(o, c, optarg))
			usage(o, tls, argc, argv);
	if (argc - optind < 3 || (o->only_ipv4 && o->only_ipv6))
		usage(o, tls, argc, argv);
	o->host = argv[optind];
	o->port = argv[optind + 1];
	o->program = argv + optind + 2;
}
