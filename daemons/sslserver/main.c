/* sslserver: accepts connections and starts a program for each, with TLS at once or when the program asks for it, as
 * sslserver of ucspi-ssl does.
 * Trusts root's command line, environment, rules and certificates.
 * Never reads from a connection, never has a key: tls, keyload and keyring do that, ucspitls joins them. */
#include "base/secret.h"
#include "house/generation.h"
#include "sslserver/helpers.h"
#include "sslserver/secure.h"
#include "ucspi/environment.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXIT_CERTIFICATE 110
#define EXIT_TROUBLE 111
#define PASSPHRASE_FD 3
#define PASSPHRASE_MAX 1024

/* From descriptor 3 until a zero octet, into a memory file that keyring gets: it ends with a line end there. */
static int
take_passphrase(void)
{
	int fd = memfd_create("passphrase", MFD_CLOEXEC);
	uint8_t text[PASSPHRASE_MAX];
	size_t n = 0;

	while (n < sizeof text && read(PASSPHRASE_FD, text + n, 1) == 1 && text[n] != '\0')
		n++;
	if (n == sizeof text)
		say_die(EXIT_TROUBLE, "the passphrase is too long");
	text[n] = '\n';
	if (fd < 0 || write(fd, text, n + 1) != (ssize_t)n + 1)
		say_die(EXIT_TROUBLE, "unable to keep the passphrase");
	secret_wipe(text, sizeof text);
	(void)close(PASSPHRASE_FD);
	return fd;
}

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

static bool
is_given(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0';
}

static void
check(const struct server *s)
{
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
		.hang_up = renew, .ended = replace, .secure = secure_prepare, .begin = secure_begin
	};
	const char *most = getenv("MAXCONIP");
	struct why why = WHY_NONE;
	struct helpers *h;
	int passphrase;

	server_options_read(&s.o, "sslserver", true, argc, argv);
	passphrase = s.o.passphrase ? take_passphrase() : -1;
	say_open("sslserver", s.o.level);
	if (most != NULL && !options_number(most, 100000, &s.per_address))
		say_die(EXIT_TROUBLE, "MAXCONIP is no number");
	check(&s);
	server_open(&s);
	if (helpers_open(&h, &s, passphrase, &why) != OK)
		say_die(EXIT_TROUBLE, "unable to start TLS: %s", why.text);
	s.own = h;
	server_run(&s);
}
