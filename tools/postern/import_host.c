/* What qmail's users and run scripts have outside its directory.
 * Trusts the host's passwd for who has a home; a file in a home only to be looked for and, if it is small, read.
 * Never changes anything in a home. */
#include "postern/import_host.h"

#include "base/buf.h"
#include "mail/dotqmail.h"

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
	bool has_forward;
	char names[300];
	char wrong[200]; /* the first thing that is not carried out as in qmail */
};

struct reading {
	struct found *found;
	const char *name, *home;
};

static enum result
look_at_item(void *ctx, const struct dotqmail_item *item, struct why *why)
{
	struct reading *r = ctx;
	struct bytes home = bytes_of_string(r->home);
	bool is_path = item->kind == DOTQMAIL_MBOX || item->kind == DOTQMAIL_MAILDIR;

	if (is_path && item->text.len > 0 && item->text.at[0] == '/' && !bytes_starts(item->text, home))
		return why_set(why, REFUSED, "%s names %.*s, which is outside of the home", r->name,
		    (int)item->text.len, (const char *)item->text.at);
	return OK;
}

static void
read_qmail(struct found *f, int dir, const char *name, const char *home)
{
	static uint8_t text[DOTQMAIL_FILE_MAX + 1];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct reading reading = { f, name, home };
	struct why why = WHY_NONE;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);

	if (fd >= 0)
		(void)close(fd);
	if (n >= 0 && dotqmail_parse(bytes_of(text, (size_t)n), false, look_at_item, &reading, &why) != OK &&
	    f->wrong[0] == '\0')
		(void)snprintf(f->wrong, sizeof f->wrong, "%.190s", why.text);
}

static void
look(struct found *f, int dir, const char *name, const char *home)
{
	size_t len = strlen(f->names);

	if (strcmp(name, ".forward") == 0)
		f->has_forward = true;
	else
		read_qmail(f, dir, name, home);
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
			look(&f, dirfd(dir), e->d_name, pw->pw_dir);
	(void)closedir(dir);
	if (f.n > NAMES_SHOWN)
		(void)snprintf(more, sizeof more, " and %u more", f.n - NAMES_SHOWN);
	if (f.has_forward)
		import_leave(im, path,
		    "its .forward is not read: put the line |dot-forward .forward into .qmail, before ./Maildir/ "
		    "(Debian's package "
		    "dot-forward), or its addresses");
	if (f.wrong[0] != '\0')
		import_leave(im, path, f.wrong);
	else if (f.n > (unsigned)f.has_forward) {
		(void)snprintf(what, sizeof what, "%s%s: read where they are", f.names, more);
		import_say(im, path, what);
	}
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

bool
import_host_has_alias(const struct import *im)
{
	char path[4200];
	const struct passwd *pw;
	bool found = false;
	FILE *in;

	(void)snprintf(path, sizeof path, "%s/etc/passwd", im->root);
	if ((in = fopen(path, "re")) == NULL)
		return false;
	while (!found && (pw = fgetpwent(in)) != NULL)
		found = strcmp(pw->pw_name, "alias") == 0;
	(void)fclose(in);
	return found;
}
