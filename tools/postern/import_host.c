/* What qmail's users and run scripts have outside its directory.
 * Trusts the host's passwd for who has a home; a file in a home only to be looked for and, if it is small, read.
 * Never changes anything in a home. */
#include "postern/import_host.h"

#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UID_LEAST 500 /* those below are no people's */
#define NAMES_SHOWN 4

/* ---- rules ---- */

static const struct {
	const char *file, *instead, *to;
} rules[] = {
	{ "/etc/tcp.smtp", "control/rules.smtpd.txt", "smtpd/rules" },
	{ "/etc/tcp.smtps", "control/rules.smtpsd.txt", "smtps/rules" },
	{ "/etc/tcp.submission", "control/rules.smtpsub.txt", "submission/rules" },
	{ "/etc/tcp.pop3", "control/rules.pop3d.txt", "pop3/rules" },
	{ "/etc/tcprules.d/tcp.smtp", "control/rules.smtpd.txt", "smtpd/rules" },
	{ "/etc/tcprules.d/tcp.submission", "control/rules.smtpsub.txt", "submission/rules" },
	{ "/home/vpopmail/etc/tcp.smtp", "control/rules.smtpd.txt", "smtpd/rules" },
};

static void
take_rules(struct import *im)
{
	for (size_t i = 0; i < nitems(rules); i++) {
		char path[4200];
		struct stat st;

		(void)snprintf(path, sizeof path, "%s%s", im->root, rules[i].file);
		if (stat(path, &st) != 0)
			continue;
		if (import_has(im, rules[i].instead)) {
			char what[200];

			(void)snprintf(what, sizeof what, "not needed: %s was taken", rules[i].instead);
			import_say(im, path, what);
		} else
			import_place_from(im, path, rules[i].to);
	}
}

/* ---- homes ---- */

struct found {
	unsigned n;
	bool more_than_default; /* not only a .qmail that names the Maildir of everybody */
	char names[300];
};

/* A .qmail with one line, ./Maildir/. */
static bool
is_default(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	char text[64];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);

	if (fd >= 0)
		(void)close(fd);
	return n >= 0 && strcmp(name, ".qmail") == 0 &&
	    bytes_equal(bytes_trim(bytes_first(bytes_of(text, (size_t)n), bytes_find(bytes_of(text, (size_t)n), '\n'))),
		BYTES("./Maildir/")) &&
	    bytes_find(bytes_of(text, (size_t)n), '\n') + 1 >= (size_t)n;
}

static void
look(struct found *f, int dir, const char *name)
{
	size_t len = strlen(f->names);

	f->more_than_default = f->more_than_default || !is_default(dir, name);
	if (++f->n <= NAMES_SHOWN)
		(void)snprintf(f->names + len, sizeof f->names - len, "%s%.60s", len > 0 ? ", " : "", name);
}

static void
look_at_home(struct import *im, const struct passwd *pw)
{
	struct found f = { .n = 0 };
	char path[4200], what[600], more[40] = "";
	struct dirent *e;
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s%s", im->root, pw->pw_dir);
	if ((dir = opendir(path)) == NULL) {
		if (errno == EACCES)
			import_leave(im, path, "this home can't be looked at: run postern import as root");
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".forward") == 0 || strcmp(e->d_name, ".qmail") == 0 ||
		    strncmp(e->d_name, ".qmail-", 7) == 0)
			look(&f, dirfd(dir), e->d_name);
	(void)closedir(dir);
	if (f.n > NAMES_SHOWN)
		(void)snprintf(more, sizeof more, " and %u more", f.n - NAMES_SHOWN);
	(void)snprintf(what, sizeof what,
	    "%s%s: .qmail and .forward are not read; mail of %.40s goes to the Maildir that defaultdelivery names",
	    f.names, more, pw->pw_name);
	if (f.more_than_default)
		import_leave(im, path, what);
	else if (f.n > 0)
		import_say(im, path, "not needed: .qmail names the Maildir that is the default");
}

static void
look_at_homes(struct import *im)
{
	char path[4200];
	struct passwd *pw;
	FILE *in;

	(void)snprintf(path, sizeof path, "%s/etc/passwd", im->root);
	if ((in = fopen(path, "re")) == NULL)
		return;
	while ((pw = fgetpwent(in)) != NULL)
		if (pw->pw_uid >= UID_LEAST && pw->pw_dir[0] == '/' && pw->pw_dir[1] != '\0')
			look_at_home(im, pw);
	(void)fclose(in);
}

void
import_host(struct import *im)
{
	take_rules(im);
	look_at_homes(im);
}
