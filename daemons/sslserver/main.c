/* sslserver: accepts connections and starts a program for each, with TLS at once or when the program asks for it, as
 * sslserver of ucspi-ssl does.
 * Trusts root's command line, environment, rules and certificates.
 * Never reads from a connection, never has a key: tls, keyload and keyring do that, ucspitls joins them. */
#include "control/variables.h"
#include "house/generation.h"
#include "sslserver/helpers.h"
#include "sslserver/secure.h"
#include "ucspi/passphrase.h"
#include "ucspi/server.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_CERTIFICATE 110
#define EXIT_TROUBLE 111

static void
renew(struct server *s)
{
	struct why why = WHY_NONE;

	if (helpers_renew(s->own, &why) != OK)
		say_warning("certificates stay as they were: %s", why.text);
	else
		say_status("certificates read anew");
}

static void
replace(struct server *s, pid_t pid, int status)
{
	(void)helpers_ended(s->own, pid, status);
}

static void
end(struct server *s)
{
	helpers_close(s->own);
}

static bool
is_given(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0';
}

/* What can't be opened now is a refusal to start; later it is told, and what was read before stays. */
static void
check_files(const char *variable)
{
	struct bytes names = bytes_of_string(getenv(variable)), name;
	char path[PATH_MAX];

	while (names.len > 0 && bytes_split(&names, ':', &name)) {
		struct buf b = BUF_OVER(path);

		buf_add(&b, name);
		if (name.len == 0)
			continue;
		if (name.at[0] != '/' || buf_string(&b) == NULL)
			say_die(EXIT_TROUBLE, "%s: expected the whole path of a file", variable);
		if (access(path, R_OK) != 0)
			say_die(EXIT_TROUBLE, "unable to open %s: %s", path, strerror(errno));
	}
}

/* Other variables are the program's. */
static void
check_variables(void)
{
	for (unsigned i = 0; i < N_VARIABLES; i++) {
		const char *name = variable_schema[i].name, *value = getenv(name);
		struct why why = WHY_NONE;

		if (value != NULL && (variable_schema[i].services & FOR_SSLSERVER) &&
		    variable_check(bytes_of_string(name), bytes_of_string(value), &why) != OK)
			say_die(EXIT_TROUBLE, "%s", why.text);
	}
}

static void
check(const struct server *s)
{
	static const char *const files[] = { "CERTFILE", "CERTCHAINFILE", "KEYFILE", "KEYPASSFILE", "CAFILE" };

	check_variables();
	for (size_t i = 0; i < nitems(files); i++)
		check_files(files[i]);
	if (!is_given("CERTFILE") && !is_given("CERTCHAINFILE") && !is_given("CERTDIR") && s->o.rules == NULL)
		say_die(EXIT_TROUBLE, "no certificate: CERTFILE is not set");
	if ((s->o.client_certificate == 'z' || s->o.client_certificate == 'm') && !is_given("CCAFILE") &&
	    !is_given("CAFILE") && !is_given("CADIR"))
		say_die(EXIT_CERTIFICATE, "-%c needs CCAFILE, CAFILE or CADIR", s->o.client_certificate);
}

int
main(int argc, char *argv[])
{
	static struct server s = {
		.hang_up = renew, .ended = replace, .end = end, .secure = secure_prepare, .begin = secure_begin
	};
	const char *most = getenv("MAXCONIP");
	struct why why = WHY_NONE;
	struct helpers *h;
	int passphrase;

	server_options_read(&s.o, "sslserver", true, argc, argv);
	say_open("sslserver", s.o.level);
	passphrase = s.o.passphrase ? passphrase_take() : -1;
	if (most != NULL && !options_number(most, 100000, &s.per_address))
		say_die(EXIT_TROUBLE, "MAXCONIP is no number");
	check(&s);
	server_open(&s);
	if (helpers_open(&h, &s, passphrase, &why) != OK)
		say_die(EXIT_TROUBLE, "unable to start TLS: %s", why.text);
	s.own = h;
	server_run(&s);
}
