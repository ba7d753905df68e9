/* Certificates and keys for a service.
 * Trusts root's control files for which files are meant, keyring for nothing but how it ends.
 * Never reads what it opens here: keys pass through as descriptors. */
#include "house/certificates.h"

#include "base/le.h"
#include "control/variables.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "house/generation.h"
#include "wire/channel.h"
#include "wire/policy_tls.h"
#include "wire/warden_keyring.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_SECONDS 30
#define PATH_LEN 1024
#define SEEN_MAX (256u << 10) /* octets of all names */

struct gatherer {
	struct channel keyring;
	struct buf seen; /* names that were handed over, each a field with a letter in front */
	struct why *why;
	enum result r;
};

static bool
is_new(struct gatherer *g, char kind, struct bytes name)
{
	struct bytes at = buf_bytes(&g->seen), one;
	uint8_t room[PATH_LEN + 1];
	struct buf key = BUF_OVER(room);

	buf_add_octet(&key, (uint8_t)kind);
	buf_add(&key, name);
	if (key.failed)
		return false;
	while (wire_take(&at, &one))
		if (bytes_equal(one, buf_bytes(&key)))
			return false;
	wire_put(&g->seen, buf_bytes(&key));
	return true;
}

static int
open_file(struct bytes name, const char *suffix)
{
	char path[PATH_LEN];
	struct stat st;
	int fd;

	if (name.len == 0 || name.at[0] != '/' ||
	    snprintf(path, sizeof path, "%.*s%s", (int)name.len, (const char *)name.at, suffix) >= (int)sizeof path)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void
hand_over(struct gatherer *g, uint16_t type, const void *body, struct bytes name, const int *fds)
{
	if (g->r == OK)
		g->r = channel_send(&g->keyring, type, 0, body, name, fds, g->why);
}

static void
pair(struct gatherer *g, struct bytes certificate, struct bytes key, struct bytes passphrase, bool by_name)
{
	struct wk_pair body = { .by_name = by_name };
	int fds[3] = { open_file(certificate, ""), open_file(key, ""), open_file(passphrase, "") };
	int staple = open_file(certificate, ".ocsp");
	bool locked = passphrase.len > 0;

	if (staple >= 0)
		hand_over(g, WK_STAPLE, NULL, certificate, &staple);
	if (fds[0] < 0 || fds[1] < 0 || (locked && fds[2] < 0))
		hand_over(g, WK_MISSING, &body, certificate, NULL);
	else
		hand_over(g, locked ? WK_LOCKED_PAIR : WK_PAIR, &body, certificate, fds);
	fd_close(&staple);
	for (unsigned i = 0; i < 3; i++)
		fd_close(&fds[i]);
}

/* Lists of names with colons between, key by key to the certificates. */
static void
pairs(struct gatherer *g, const struct variables *v)
{
	struct bytes certificates = variable_text(v, VAR_CERTFILE), certificate, key;
	struct bytes keys = variable_beside(v, VAR_KEYFILE, VAR_CERTFILE);
	struct bytes passphrase = variable_beside(v, VAR_KEYPASSFILE, VAR_CERTFILE);

	while (certificates.at != NULL && bytes_split(&certificates, ':', &certificate)) {
		if (keys.at == NULL || !bytes_split(&keys, ':', &key) || key.len == 0)
			key = certificate;
		if (is_new(g, 'p', certificate))
			pair(g, certificate, key, passphrase, false);
	}
}

static bool
ends(const char *name, const char *suffix)
{
	size_t a = strlen(name), b = strlen(suffix);

	return a > b && strcmp(name + a - b, suffix) == 0;
}

/* A directory of NAME.pem or NAME.crt, with its key in NAME.key or in itself. */
static void
pair_in_directory(struct gatherer *g, struct bytes dir, const char *name)
{
	char certificate[PATH_LEN], key[PATH_LEN];
	struct stat st;
	int n = snprintf(certificate, sizeof certificate, "%.*s/%s", (int)dir.len, (const char *)dir.at, name);

	if (n >= (int)sizeof certificate || (!ends(name, ".pem") && !ends(name, ".crt")))
		return;
	(void)snprintf(key, sizeof key, "%.*s.key", n - 4, certificate);
	if (stat(key, &st) != 0)
		(void)snprintf(key, sizeof key, "%s", certificate);
	if (is_new(g, 'p', bytes_of_string(certificate)))
		pair(g, bytes_of_string(certificate), bytes_of_string(key), BYTES_NONE, true);
}

static void
each_file(struct gatherer *g, struct bytes dir, void (*take)(struct gatherer *g, struct bytes dir, const char *name))
{
	char path[PATH_LEN];
	struct dirent *e;
	DIR *d;

	if (dir.len == 0 || dir.len >= sizeof path)
		return;
	(void)snprintf(path, sizeof path, "%.*s", (int)dir.len, (const char *)dir.at);
	if ((d = opendir(path)) == NULL) {
		log_simple(SEVERITY_ERROR, "directory-unreadable", "file", path);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			take(g, dir, e->d_name);
	(void)closedir(d);
}

static void
file(struct gatherer *g, struct bytes name, struct bytes from)
{
	uint8_t room[2 * WK_NAME_MAX];
	struct buf fields = BUF_OVER(room);
	int fd = open_file(from, "");
	struct log_line l;

	wire_put(&fields, name);
	wire_put(&fields, from);
	if (fd >= 0 && !fields.failed)
		hand_over(g, WK_FILE, NULL, buf_bytes(&fields), &fd);
	else {
		log_begin(&l, SEVERITY_ERROR, "file-unreadable");
		log_bytes(&l, "file", from);
		log_text(&l, "why", "this file of CAs or CRLs can't be opened");
		log_end(&l);
		if (!fields.failed)
			hand_over(g, WK_NO_FILE, NULL, buf_bytes(&fields), NULL);
	}
	fd_close(&fd);
}

static void
file_in_directory(struct gatherer *g, struct bytes dir, const char *name)
{
	char path[PATH_LEN];
	struct stat st;

	if (snprintf(path, sizeof path, "%.*s/%s", (int)dir.len, (const char *)dir.at, name) < (int)sizeof path &&
	    (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
		file(g, dir, bytes_of_string(path));
}

static void
gather(struct gatherer *g, const struct variables *v)
{
	static const enum variable files[] = { VAR_CAFILE, VAR_CCAFILE, VAR_CRLFILE };
	struct bytes value;

	pairs(g, v);
	if (variable_is_set(v, VAR_CERTDIR) && is_new(g, 'd', variable_text(v, VAR_CERTDIR)))
		each_file(g, variable_text(v, VAR_CERTDIR), pair_in_directory);
	for (size_t i = 0; i < nitems(files); i++) {
		value = variable_text(v, files[i]);
		if (value.len > 0 && !bytes_equal(value, BYTES("-")) && is_new(g, 'f', value))
			file(g, value, value);
	}
	if (variable_is_set(v, VAR_CADIR) && is_new(g, 'f', variable_text(v, VAR_CADIR)))
		each_file(g, variable_text(v, VAR_CADIR), file_in_directory);
}

/* ---- of a client ---- */

/* The file that is named; where it is the default, those of other distributions will do, too. */
static void
system_ca(struct gatherer *g, struct bytes named)
{
	static const char *const files[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };

	if (!bytes_equal(named, bytes_of_string(files[0]))) {
		file(g, BYTES(PT_SYSTEM_CA), named);
		return;
	}
	for (size_t i = 0; i < nitems(files); i++)
		if (access(files[i], R_OK) == 0) {
			file(g, BYTES(PT_SYSTEM_CA), bytes_of_string(files[i]));
			return;
		}
	log_simple(SEVERITY_WARNING, "no-system-cas", "why", "this host has no store of CAs where one is expected");
}

/* A memory file to read it from, or -1. */
static int
passphrase_file(struct bytes passphrase)
{
	int fd = memfd_create("passphrase", MFD_CLOEXEC);

	if (fd >= 0 && fd_write_all(fd, passphrase) != OK)
		fd_close(&fd);
	return fd;
}

static void
pair_with_passphrase(struct gatherer *g, struct bytes certificate, struct bytes key, struct bytes passphrase)
{
	struct wk_pair body = { .by_name = 0 };
	int fds[3] = { open_file(certificate, ""), open_file(key, ""), passphrase_file(passphrase) };

	if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
		hand_over(g, WK_MISSING, &body, certificate, NULL);
	else
		hand_over(g, WK_LOCKED_PAIR, &body, certificate, fds);
	for (unsigned i = 0; i < 3; i++)
		fd_close(&fds[i]);
}

static void
gather_for_client(struct gatherer *g, const struct certificates_named *named)
{
	struct bytes rest, one, key, passphrase;

	if (named->system_ca.len > 0)
		system_ca(g, named->system_ca);
	for (rest = named->cas; wire_take(&rest, &one);)
		if (is_new(g, 'f', one)) {
			if (one.len > 0 && one.at[one.len - 1] == '/')
				each_file(g, one, file_in_directory);
			else
				file(g, one, one);
		}
	for (rest = named->pairs; wire_take(&rest, &one) && wire_take(&rest, &key) && wire_take(&rest, &passphrase);) {
		if (!is_new(g, 'p', one))
			continue;
		if (passphrase.len > 0)
			pair_with_passphrase(g, one, key.len > 0 ? key : one, passphrase);
		else
			pair(g, one, key.len > 0 ? key : one, BYTES_NONE, false);
	}
}

static void
gather_all(struct gatherer *g, const struct certificates_named *named)
{
	struct bytes at = named->rules;
	struct variables v = { 0 };
	struct bytes rule;

	gather_for_client(g, named);
	variables_decode(&v, named->variables, false);
	gather(g, &v);
	while (at.len >= 8) {
		size_t key_len = le32_get(at.at), data_len = le32_get(at.at + 4);

		rule = bytes_first(bytes_skip(at, 8 + key_len), data_len);
		if (rule.len > 0) {
			v = (struct variables){ 0 };
			variables_decode(&v, rule, true);
			variables_decode(&v, named->variables, false);
			gather(g, &v);
		}
		at = bytes_skip(at, 8 + key_len + data_len);
	}
	hand_over(g, WK_END, NULL, BYTES_NONE, NULL);
}

/* Waits for keyring's end, without reading a word of it. */
static enum result
await(pid_t pid, int fd, struct why *why)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int status;

	if (poll(&p, 1, WAIT_SECONDS * 1000) <= 0)
		(void)kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return why_errno(why, BROKEN, "waiting for keyring");
	if (WIFSIGNALED(status))
		return why_set(why, BROKEN, "keyring was killed: %s", sigdescr_np(WTERMSIG(status)));
	return WEXITSTATUS(status) == 0 ? OK : why_set(why, BROKEN, "keyring could not do its work");
}

/* A descriptor that could be written, sealed or not, can't be mapped shared by older kernels. */
static enum result
reopen(int fd, int *rack_fd, struct why *why)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*rack_fd = fd_is_sealed(fd) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	return *rack_fd >= 0 ? OK : why_set(why, BROKEN, "keyring made no sealed certificates");
}

static enum result
work(struct gatherer *g, const struct instance *in, const struct certificates_named *named, int ends[2], int made)
{
	static const struct timeval limit = { WAIT_SECONDS, 0 };
	struct why *why = g->why, ignored = WHY_NONE; /* what counts is how keyring ends */
	enum result r;
	pid_t pid;

	if ((r = generation_start_helper(in, "keyring", "warden", ends[1], &pid, why)) != OK)
		return r;
	fd_close(&ends[1]);
	(void)setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	g->keyring = channel_of(ends[0], &warden_keyring_protocol, WK_WARDEN, true);
	g->why = &ignored;
	g->r = channel_send(&g->keyring, WK_RACK, 0, NULL, BYTES_NONE, &made, g->why);
	gather_all(g, named);
	return await(pid, ends[0], why);
}

enum result
certificates_gather(const struct instance *in, const struct certificates_named *named, int *rack_fd, struct why *why)
{
	struct gatherer g = { .seen = buf_growing(SEEN_MAX), .why = why };
	int made = memfd_create("certificates", MFD_CLOEXEC | MFD_ALLOW_SEALING), ends[2] = { -1, -1 };
	enum result r;

	if (made < 0)
		return why_errno(why, EXHAUSTED, "making a memory file for certificates");
	r = channel_pair(ends, why);
	if (r == OK)
		r = work(&g, in, named, ends, made);
	if (r == OK)
		r = reopen(made, rack_fd, why);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	fd_close(&made);
	buf_free(&g.seen);
	return r;
}
