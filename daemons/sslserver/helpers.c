/* Starting and replacing of the helpers.
 * Trusts root's files and environment; of the helpers only how they end.
 * Never reads a key, and nothing that a helper writes. */
#include "sslserver/helpers.h"

#include "base/le.h"
#include "config.h"
#include "control/variables.h"
#include "house/certificates.h"
#include "house/generation.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "sys/process.h"
#include "ucspi/rules_file.h"
#include "ucspi/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX (16u << 20) /* octets of all rules */
#define VARIABLES_MAX (64u << 10)
#define SOUND_MS 5000 /* helpers that lived so long were not at fault */

struct helpers {
	const struct server *server;
	struct instance in;
	struct generation now;
	struct command_ends ends;
	int rack_fd, passphrase_fd;
	uint64_t started; /* clock_ms */
	char label[200], keys[512], empty[512];
};

static const char *
setting(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value != NULL && value[0] == '/' ? value : otherwise;
}

/* Names of files tell who listens where; SSL_UID and SSL_GID, if given, are the engine's. */
static enum result
find_house(struct helpers *h, struct why *why)
{
	const struct address *here = &h->server->here;
	const char *uid = getenv("SSL_UID"), *gid = getenv("SSL_GID");
	char text[ADDRESS_TEXT];

	address_text(here, text);
	h->in = (struct instance){ .control = setting("POSTERN_CONTROLDIR", POSTERN_CONTROLDIR),
		.run = setting("POSTERN_RUNDIR", POSTERN_RUNDIR),
		.libexec = setting("POSTERN_LIBEXECDIR", POSTERN_LIBEXECDIR),
		.queue = "",
		.service = "sslserver",
		.sessions = h->server->o.concurrency,
		.label = h->label,
		.empty = h->empty,
		.keys = h->keys };
	(void)snprintf(h->label, sizeof h->label, "sslserver.%s:%u", text, here->port);
	(void)snprintf(h->empty, sizeof h->empty, "%s/empty", h->in.run);
	(void)snprintf(h->keys, sizeof h->keys, "%s/%s.keys", h->in.run, h->label);
	if (uid != NULL && uid[0] != '\0') {
		if (!options_user(uid, &h->in.engine.uid, &h->in.engine.gid) ||
		    (gid != NULL && gid[0] != '\0' && !options_group(gid, &h->in.engine.gid)))
			return why_set(why, MALFORMED, "SSL_UID and SSL_GID: expected a user and a group");
		if (h->in.engine.uid != 0 && (h->in.engine.uid == h->server->o.uid || h->in.engine.gid == 0))
			return why_set(why, REFUSED, "SSL_UID must be nobody's but the TLS engine's");
	}
	return OK;
}

/* Nobody may pass for one of the others: neither the program nor the engine, whose user may be another by SSL_UID. */
static enum result
check_user(const struct helpers *h, struct why *why)
{
	static const char *const users[] = { "tls", "key", "ucspitls" };
	struct owner owners[nitems(users)];
	enum result r;

	for (size_t i = 0; i < nitems(users); i++) {
		if ((r = instance_owner(&h->in, users[i], &owners[i], why)) != OK)
			return r;
		if (owners[i].uid == h->server->o.uid)
			return why_set(why, REFUSED, "the program may not run as Postern's user for %s", users[i]);
		for (size_t k = 0; k < i; k++)
			if (owners[k].uid == owners[i].uid)
				return why_set(why, REFUSED, "%s and %s must not be one user", users[k], users[i]);
	}
	return OK;
}

/* ---- certificates ---- */

static void
put_variable(struct buf *into, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	buf_format(into, "+%s=%s", name, value);
	buf_add_octet(into, '\0');
}

static const char *
certificate_file(void)
{
	const char *chain = getenv("CERTCHAINFILE");

	return chain != NULL && chain[0] != '\0' ? chain : getenv("CERTFILE");
}

/* A cdb that was compiled elsewhere may say what our compiler refuses. */
static void
warn_of_rules(const char *file, struct bytes at)
{
	while (at.len >= 8) {
		size_t key_len = le32_get(at.at), data_len = le32_get(at.at + 4);
		struct bytes key = bytes_first(bytes_skip(at, 8), key_len);
		struct why why = WHY_NONE;

		if (variables_check(bytes_first(bytes_skip(at, 8 + key_len), data_len), &why) != OK)
			say_warning("%s: rule %.*s: %s", file, (int)key.len, (const char *)key.at, why.text);
		at = bytes_skip(at, 8 + key_len + data_len);
	}
}

static enum result
gather(struct helpers *h, int *rack_fd, struct why *why)
{
	static const char *const names[] = { "KEYFILE", "CERTDIR", "CAFILE", "CADIR", "CCAFILE", "CRLFILE" };
	struct buf variables = buf_growing(VARIABLES_MAX), rules = buf_growing(RULES_MAX);
	struct certificates_named named;
	char passphrase[32];
	enum result r;

	put_variable(&variables, "CERTFILE", certificate_file());
	for (size_t i = 0; i < nitems(names); i++)
		put_variable(&variables, names[i], getenv(names[i]));
	(void)snprintf(passphrase, sizeof passphrase, "/proc/self/fd/%d", h->passphrase_fd);
	put_variable(&variables, "KEYPASSFILE", h->passphrase_fd >= 0 ? passphrase : getenv("KEYPASSFILE"));
	if (h->server->o.rules != NULL && rules_file_all(h->server->o.rules, &rules, why) != OK) {
		if (!h->server->o.rules_may_lack)
			say_warning("no certificates of rules: %s", why->text);
		buf_clear(&rules);
		*why = WHY_NONE;
	}
	warn_of_rules(h->server->o.rules, buf_bytes(&rules));
	named = (struct certificates_named){ .variables = buf_bytes(&variables), .rules = buf_bytes(&rules) };
	r = variables.failed ? why_set(why, EXHAUSTED, "the TLS variables are too long")
			     : certificates_gather(&h->in, &named, rack_fd, why);
	buf_free(&variables);
	buf_free(&rules);
	return r;
}

/* ---- generations ---- */

static void
wait_a_little(const struct helpers *h)
{
	static const struct timespec pause = { 0, 200 * 1000000L };

	if (clock_ms() - h->started < SOUND_MS)
		(void)nanosleep(&pause, NULL);
}

/* Those of before end when the last of their sessions has gone: nobody else has their channels. */
static enum result
start(struct helpers *h, struct why *why)
{
	struct generation new = { .number = h->now.number + 1 };
	struct command_ends ends = { .n = 0 };
	enum result r = generation_start_for_command(&new, &h->in, h->rack_fd, &ends, why);
	mode_t programs;

	if (r != OK)
		return r;
	command_ends_close(&h->ends);
	h->ends = ends;
	h->now = new;
	h->started = clock_ms();
	programs = umask(022);
	r = generation_write_pids(&h->now, &h->in, why);
	(void)umask(programs);
	return r;
}

enum result
helpers_renew(struct helpers *h, struct why *why)
{
	int rack_fd = -1;
	enum result r = gather(h, &rack_fd, why);

	if (r != OK)
		return r;
	fd_close(&h->rack_fd);
	h->rack_fd = rack_fd;
	return start(h, why);
}

enum result
helpers_open(struct helpers **out, const struct server *s, int passphrase_fd, struct why *why)
{
	static struct helpers h;
	enum result r;

	h = (struct helpers){ .server = s, .rack_fd = -1, .passphrase_fd = passphrase_fd };
	*out = &h;
	if (geteuid() != 0)
		return why_set(why, REFUSED, "it must be started by root: its processes give root up");
	log_open("sslserver", "sslserver");
	if ((r = find_house(&h, why)) != OK || (r = check_user(&h, why)) != OK ||
	    (r = instance_prepare(&h.in, why)) != OK)
		return r;
	return helpers_renew(&h, why);
}

bool
helpers_ended(struct helpers *h, pid_t pid, int status)
{
	struct member *m = generation_find(&h->now, pid);
	struct why why = WHY_NONE;

	if (m == NULL)
		return false;
	say_warning("%s ended with status %d; others take over", m->process, status);
	m->pid = 0;
	wait_a_little(h);
	if (start(h, &why) != OK)
		say_die(111, "unable to start the TLS processes: %s", why.text);
	return true;
}

int
helpers_door(const struct helpers *h)
{
	return command_end(&h->ends, "ucspitls");
}

void
helpers_close(struct helpers *h)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/%s.pids", h->in.run, h->label);
	(void)unlink(path);
}
