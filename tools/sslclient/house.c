/* What a connection's TLS needs, made before it and removed after its handshake.
 * Trusts the user's files; keys pass through as descriptors, unread.
 * Never leaves a key behind on disk. */
#include "sslclient/house.h"

#include "config.h"
#include "control/rules.h"
#include "house/certificates.h"
#include "sys/fd.h"
#include "sys/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_TROUBLE 111
#define HOST_CA "/etc/ssl/certs/ca-certificates.crt"

static const char *
setting(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value != NULL && value[0] == '/' ? value : otherwise;
}

/* Somebody who is not root has nothing below the run directory: a directory of his own, for a moment. */
static void
make_own_run(struct small_house *h)
{
	(void)snprintf(
	    h->run, sizeof h->run, "%.200s/sslclient.XXXXXX", setting("XDG_RUNTIME_DIR", setting("TMPDIR", "/tmp")));
	if (mkdtemp(h->run) == NULL)
		say_die(EXIT_TROUBLE, "unable to make a directory %s: %s", h->run, strerror(errno));
	h->own_run = true;
}

static void
make_directories(struct small_house *h)
{
	struct why why = WHY_NONE;

	(void)snprintf(h->empty, sizeof h->empty, "%s/empty", h->run);
	(void)snprintf(h->keys, sizeof h->keys, "%s/%s.keys", h->run, h->label);
	if (!h->own_run) {
		if (instance_prepare(&h->in, &why) != OK)
			say_die(EXIT_TROUBLE, "%s", why.text);
	} else if (mkdir(h->empty, 0500) != 0 || mkdir(h->keys, 0700) != 0)
		say_die(EXIT_TROUBLE, "unable to make a directory below %s: %s", h->run, strerror(errno));
}

static void
find_house(struct small_house *h)
{
	h->in = (struct instance){ .control = setting("POSTERN_CONTROLDIR", POSTERN_CONTROLDIR),
		.run = h->run,
		.libexec = setting("POSTERN_LIBEXECDIR", POSTERN_LIBEXECDIR),
		.queue = "",
		.service = "sslclient",
		.sessions = 1,
		.label = h->label,
		.empty = h->empty,
		.keys = h->keys,
		.same_user = geteuid() != 0 };
	(void)snprintf(h->label, sizeof h->label, "sslclient.%d", (int)getpid());
	if (h->in.same_user)
		make_own_run(h);
	else
		(void)snprintf(h->run, sizeof h->run, "%.200s", setting("POSTERN_RUNDIR", POSTERN_RUNDIR));
	make_directories(h);
}

/* ---- certificates ---- */

static void
whole_path(const char *file, char path[HOUSE_PATH])
{
	char *whole;

	path[0] = '\0';
	if (file == NULL || file[0] == '\0')
		return;
	whole = realpath(file, NULL);
	if (whole == NULL || strlen(whole) >= HOUSE_PATH)
		say_die(EXIT_TROUBLE, "unable to open %s: %s", file, strerror(errno));
	memcpy(path, whole, strlen(whole) + 1);
	free(whole);
}

static void
find_files(struct small_house *h, const struct client_options *o, int passphrase_fd)
{
	bool host_ca = o->ca_file == NULL && o->ca_dir == NULL && access(HOST_CA, R_OK) == 0;

	whole_path(o->certificate, h->certificate);
	whole_path(o->certificate == NULL ? NULL : o->key, h->key);
	whole_path(o->passphrase_file, h->passphrase);
	if (passphrase_fd >= 0)
		(void)snprintf(h->passphrase, sizeof h->passphrase, "/proc/self/fd/%d", passphrase_fd);
	whole_path(host_ca ? HOST_CA : o->ca_file, h->ca_file);
	whole_path(o->ca_dir, h->ca_dir);
}

static int
gather(struct small_house *h)
{
	const struct {
		const char *name, *value;
	} all[] = { { "CERTFILE", h->certificate }, { "KEYFILE", h->key }, { "KEYPASSFILE", h->passphrase },
		{ "CAFILE", h->ca_file }, { "CADIR", h->ca_dir } };
	struct certificates_named named = { .rules = BYTES_NONE };
	struct buf variables = buf_growing(64u << 10);
	struct why why = WHY_NONE;
	int rack_fd = -1;

	for (size_t i = 0; i < nitems(all); i++)
		if (all[i].value[0] != '\0') {
			buf_format(&variables, "+%s=%s", all[i].name, all[i].value);
			buf_add_octet(&variables, '\0');
		}
	named.variables = buf_bytes(&variables);
	if (variables.failed || certificates_gather(&h->in, &named, &rack_fd, &why) != OK) {
		small_house_close(h);
		say_die(EXIT_TROUBLE, "unable to read certificates: %s", why.text);
	}
	buf_free(&variables);
	return rack_fd;
}

void
small_house_open(struct small_house *h, const struct client_options *o, int passphrase_fd)
{
	struct why why = WHY_NONE;
	int rack_fd;

	log_open("sslclient", "sslclient");
	find_files(h, o, passphrase_fd);
	find_house(h);
	rack_fd = gather(h);
	if (generation_start_for_command(&h->processes, &h->in, rack_fd, &h->ends, &why) != OK) {
		small_house_close(h);
		say_die(EXIT_TROUBLE, "unable to start TLS: %s", why.text);
	}
	(void)close(rack_fd);
}

static void
remove_keys(const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dir, e->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(path);
}

void
small_house_close(struct small_house *h)
{
	command_ends_close(&h->ends);
	remove_keys(h->keys);
	if (!h->own_run)
		return;
	(void)rmdir(h->empty);
	(void)rmdir(h->run);
}
