/* What would surprise about users: mail that is accepted for them and then not delivered.
 * Trusts its caller, with whose rights it looks at homes; nothing in a line of users/assign.
 * Never follows a symbolic link, never changes anything. */
#include "postern/check_users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at
#define KINDS_MAX 1024 /* users that are told apart; more are not looked at */

enum { LOCAL, USER, UID, GID, HOME, N_FIELDS };

/* One user of users/assign, who may have many lines. */
struct assigned {
	struct bytes line, user, home;
	uint64_t uid, gid;
	bool takes_all; /* +: */
};

/* As control_read has it: what is malformed was told by that. */
static bool
parse(struct bytes line, struct assigned *a)
{
	struct bytes rest = bytes_skip(line, 1), f[N_FIELDS];

	*a = (struct assigned){ .line = line };
	for (size_t i = 0; i < N_FIELDS; i++)
		if (rest.at == NULL || !bytes_split(&rest, ':', &f[i]))
			return false;
	a->user = f[USER];
	a->home = f[HOME];
	a->takes_all = line.at[0] == '+' && f[LOCAL].len == 0;
	return (line.at[0] == '=' || line.at[0] == '+') && bytes_to_number(f[UID], UINT32_MAX - 1, &a->uid) &&
	    bytes_to_number(f[GID], UINT32_MAX - 1, &a->gid) && a->uid != 0 && f[HOME].len > 0 && f[HOME].at[0] == '/';
}

static uint64_t
number(const struct look *l, enum control_item item)
{
	return control_number(l->control, item);
}

/* ---- one user ---- */

static void
check_uid(const struct look *l, const struct place *at, const struct assigned *a)
{
	uint64_t least = number(l, ITEM_MINUID);
	char remedy[120];

	if (a->uid >= least)
		return;
	(void)snprintf(remedy, sizeof remedy, "put %llu into minuid, or give the user a uid from %llu on",
	    (unsigned long long)a->uid, (unsigned long long)least);
	find(l, SEVERITY_WARNING, at, remedy,
	    "%.*s has uid %llu, which is below minuid (%llu): nothing is delivered as that uid", SHOW(a->user),
	    (unsigned long long)a->uid, (unsigned long long)least);
}

static void
check_maildir(const struct look *l, const struct place *at, const struct assigned *a, const char *home)
{
	struct bytes below = control_text(l->control, ITEM_DEFAULTDELIVERY);
	char path[PATH_MAX];
	struct stat st;

	if (number(l, ITEM_MAKEMAILDIR) != 0)
		return; /* it is made with the first message */
	if (snprintf(path, sizeof path, "%s/%.*s", home, SHOW(below)) >= (int)sizeof path || lstat(path, &st) == 0)
		return;
	if (errno == EACCES)
		return; /* another than root may not see it */
	find(l, SEVERITY_WARNING, at, "make it as that user, with new, cur and tmp in it",
	    "%.*s has no Maildir %s: mail for it waits", SHOW(a->user), path);
}

static void
check_home(const struct look *l, const struct place *at, const struct assigned *a)
{
	char home[PATH_MAX], remedy[PATH_MAX + 100];
	struct stat st;

	(void)snprintf(home, sizeof home, "%.*s", SHOW(a->home));
	(void)snprintf(
	    remedy, sizeof remedy, "chown %llu:%llu %s", (unsigned long long)a->uid, (unsigned long long)a->gid, home);
	if (stat(home, &st) != 0) {
		if (errno != EACCES)
			find(l, SEVERITY_WARNING, at, "make it, for that uid, or take the line out",
			    "the home of %.*s, %s, is not there: mail for it waits", SHOW(a->user), home);
	} else if (!S_ISDIR(st.st_mode))
		find(l, SEVERITY_WARNING, at, "name a directory", "the home of %.*s, %s, is no directory",
		    SHOW(a->user), home);
	else if (st.st_uid != a->uid)
		find(l, SEVERITY_WARNING, at, remedy, "the home of %.*s, %s, belongs to uid %u: mail for it waits",
		    SHOW(a->user), home, st.st_uid);
	else
		check_maildir(l, at, a, home);
}

static void
check_one(const struct look *l, const struct place *at, const struct assigned *a)
{
	if (a->takes_all)
		find(l, SEVERITY_WARNING, at,
		    "its .qmail-... files say which addresses there are; without any no recipient is refused",
		    "+: gives every local part that nobody has to %.*s", SHOW(a->user));
	check_uid(l, at, a);
	if (a->gid == 0)
		find(l, SEVERITY_WARNING, at, "give it a group of its own",
		    "%.*s has gid 0: nothing is delivered as root's group", SHOW(a->user));
	else if (a->gid < number(l, ITEM_MINGID))
		find(l, SEVERITY_WARNING, at, "put that gid into mingid, or give the user a group of its own",
		    "%.*s has gid %llu, which is below mingid (%llu): nothing is delivered with that gid",
		    SHOW(a->user), (unsigned long long)a->gid, (unsigned long long)number(l, ITEM_MINGID));
	if (!a->takes_all && a->uid >= number(l, ITEM_MINUID))
		check_home(l, at, a);
}

/* ---- the file ---- */

struct seen_users {
	struct {
		uint64_t uid, gid;
		char home[256];
	} at[KINDS_MAX];
	size_t n;
};

/* The lines of one user differ in their local parts only: the first is told. */
static bool
is_new(struct seen_users *seen, const struct assigned *a)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->at[i].uid == a->uid && seen->at[i].gid == a->gid &&
		    bytes_equal(bytes_of_string(seen->at[i].home), a->home))
			return false;
	if (seen->n == KINDS_MAX || a->home.len >= sizeof seen->at[0].home)
		return false;
	seen->at[seen->n].uid = a->uid;
	seen->at[seen->n].gid = a->gid;
	(void)snprintf(seen->at[seen->n++].home, sizeof seen->at[0].home, "%.*s", SHOW(a->home));
	return true;
}

static void
check_line(const struct look *l, struct seen_users *seen, const struct place *at, struct bytes line)
{
	struct assigned a;

	if (line.len > 0 && line.at[0] != '#' && parse(line, &a) && (a.takes_all || is_new(seen, &a)))
		check_one(l, at, &a);
}

void
check_assignments(struct look *l)
{
	struct place at = place_of_item(l, ITEM_USERS_ASSIGN, BYTES_NONE);
	struct seen_users *seen = calloc(1, sizeof *seen);
	FILE *in = seen == NULL ? NULL : fopen(at.file, "re");
	char *text = NULL;
	size_t size = 0;
	ssize_t n;

	if (bytes_ends_nocase(bytes_of_string(at.file), BYTES("/cdb")))
		in = in == NULL ? NULL : (fclose(in), NULL); /* has no lines */
	while (in != NULL && (n = getline(&text, &size, in)) > 0 && text[0] != '.') {
		at.line++;
		check_line(l, seen, &at, bytes_trim(bytes_of(text, (size_t)n - (text[n - 1] == '\n'))));
	}
	free(text);
	free(seen);
	if (in != NULL)
		(void)fclose(in);
}

void
check_virtual_user(struct look *l)
{
	struct place at = place_of_item(l, ITEM_VIRTUALUSER, BYTES_NONE);
	struct control_owner owner;
	struct assigned a = { .user = BYTES("virtualuser") };
	char home[PATH_MAX];
	struct stat st;

	if (!control_owner(l->control, ITEM_VIRTUALUSER, &owner))
		return;
	at.line = 1;
	a.uid = owner.uid;
	(void)snprintf(home, sizeof home, "%.*s", SHOW(owner.home));
	check_uid(l, &at, &a);
	if (stat(home, &st) != 0) {
		if (errno != EACCES)
			find(l, SEVERITY_WARNING, &at, "make it, and give it to the uid that is named here",
			    "%s is not there: mail for its mailboxes waits", home);
	} else if (st.st_uid != owner.uid)
		find(l, SEVERITY_WARNING, &at, "chown it to the uid that is named here",
		    "%s belongs to uid %u: mail for its mailboxes waits", home, st.st_uid);
}
