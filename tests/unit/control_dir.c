/* A private control directory for tests.
 * Trusts the test.
 * Never touches anything outside its own directory. */
#include "unit.h"

#include "control/users_build.h"
#include "control_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
must(bool fine, const char *what)
{
	if (!fine) {
		perror(what);
		abort();
	}
}

void
dir_make(struct control_dir *d)
{
	const char *tmp = getenv("TMPDIR");
	char service[80];

	memset(d, 0, sizeof *d);
	must(
	    (size_t)snprintf(d->etc, sizeof d->etc, "%.40s/control.XXXXXX", tmp != NULL ? tmp : "/tmp") < sizeof d->etc,
	    "name");
	must(mkdtemp(d->etc) != NULL, "mkdtemp");
	(void)snprintf(service, sizeof service, "%s/smtpd", d->etc);
	must(mkdir(service, 0755) == 0, "mkdir");
	dir_put(d, "me", "mx.example.org\n");
	dir_put(d, "smtpd/listen", "127.0.0.1:2525\n");
	dir_put(d, "systemusers", "no\n");
}

void
dir_put_bytes(struct control_dir *d, const char *file, struct bytes what)
{
	char path[160];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", d->etc, file);
	for (char *slash = path + strlen(d->etc) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		must(mkdir(path, 0755) == 0 || errno == EEXIST, path);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	must(fd >= 0 && fchmod(fd, 0644) == 0 && write(fd, what.at, what.len) == (ssize_t)what.len, path);
	(void)close(fd);
}

void
dir_put(struct control_dir *d, const char *file, const char *text)
{
	char path[160];

	if (text != NULL) {
		dir_put_bytes(d, file, bytes_of_string(text));
		return;
	}
	(void)snprintf(path, sizeof path, "%s/%s", d->etc, file);
	must(unlink(path) == 0 || errno == ENOENT, path);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void
dir_remove(struct control_dir *d)
{
	must(nftw(d->etc, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, d->etc);
}

static void
note(void *ctx, const struct control_complaint *c)
{
	struct control_dir *d = ctx;
	size_t n = strlen(d->said);
	const char *file = strncmp(c->file, d->etc, strlen(d->etc)) == 0 ? c->file + strlen(d->etc) + 1 : c->file;

	(void)snprintf(d->said + n, sizeof d->said - n, "%s %s:%u: %s\n",
	    c->severity == SEVERITY_ERROR ? "error" : "warning", file, c->line, c->text);
}

enum result
dir_open(struct control_dir *d, const char *process, struct control *c, struct why *why)
{
	struct control_from from = { .etc = d->etc, .service = "smtpd", .complain = note, .ctx = d };
	struct control_source source;
	enum result r;
	int fd;

	d->said[0] = '\0';
	*c = CONTROL_NONE;
	from.readers = BY_WARDEN | BY_LISTEN | BY_SMTPD | BY_POLICY | control_reader_of(process);
	r = control_read(&source, &from, why);
	if (r == OK)
		r = control_seal(&source, process, &fd, why);
	if (r == OK)
		r = control_open(c, fd, process, why);
	if (r == OK) {
		struct user_bounds bounds = users_bounds_of(&source);

		bounds.homes_are_trusted = !d->looks_at_homes;
		r = users_build_for(&source, &bounds, c, why);
	}
	control_forget(&source);
	return r;
}

void
dir_close(struct control *c)
{
	int fd = c->fd;

	control_close(c);
	if (fd >= 0)
		(void)close(fd);
}

struct control_dir dir;
struct control control;

int
dir_set_up(void **state)
{
	(void)state;
	dir_make(&dir);
	control = CONTROL_NONE;
	return 0;
}

int
dir_tear_down(void **state)
{
	(void)state;
	dir_close(&control);
	dir_remove(&dir);
	return 0;
}

void
dir_open_as(const char *process)
{
	struct why why = WHY_NONE;
	enum result r = dir_open(&dir, process, &control, &why);

	if (r != OK)
		print_error("%s\n%s", why.text, dir.said);
	assert_int_equal(r, OK);
}
