/* The way to a user's home, with that user's rights.
 * Trusts lspawn for which home is meant; that it is the user's own is checked.
 * Never goes out of the home on the way to a directory below it. */
#include "sys/home.h"

#include "sys/beneath.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
stands_in_own(const struct process *self)
{
	struct stat here;

	return stat(".", &here) == 0 && here.st_uid == self->uid;
}

static enum result
check_owner(const struct process *self, struct why *why)
{
	struct stat here;

	if (stat(".", &here) != 0)
		return why_errno(why, REFUSED, "looking at the home directory %s", self->root);
	if (here.st_uid != self->uid)
		return why_set(why, REFUSED,
		    "the home directory %s belongs to uid %u; it must belong to its user, uid %u", self->root,
		    here.st_uid, self->uid);
	return OK;
}

static enum result
go_below(const struct process *self, struct why *why)
{
	struct why reason = WHY_NONE;
	enum result r;
	int fd = -1;

	r = beneath_open(AT_FDCWD, self->below, BENEATH_FOLLOW, &fd, NULL);
	if (r == ABSENT && (r = beneath_make(AT_FDCWD, self->below, &reason)) != OK)
		return why_set(why, r, "in the home directory %s: %s", self->root, reason.text);
	if (fd < 0)
		r = beneath_open(AT_FDCWD, self->below, BENEATH_FOLLOW, &fd, &reason);
	if (r == OK && fchdir(fd) != 0)
		r = why_errno(&reason, REFUSED, "going to %s", self->below);
	fd_close(&fd);
	return r == OK ? OK : why_set(why, r, "in the home directory %s: %s", self->root, reason.text);
}

enum result
home_go(const struct process *self, struct why *why)
{
	enum result r;

	if (self->root == NULL || self->root[0] != '/')
		return why_set(why, MALFORMED, "%s was not told its directory", self->may->process);
	/* root may have come where the user can't go all the way, and the user where root can't */
	if (chdir(self->root) != 0 && !(errno == EACCES && stands_in_own(self)))
		return why_errno(why, REFUSED, "the home directory %s can't be used", self->root);
	if ((r = check_owner(self, why)) != OK)
		return r;
	return self->below != NULL ? go_below(self, why) : OK;
}

enum result
home_look(const struct why *away, struct why *why)
{
	struct stat st;

	if (away->text[0] != '\0')
		return why_set(why, REFUSED, "%s", away->text);
	if (stat(".", &st) != 0)
		return why_errno(why, BROKEN, "looking at the home directory");
	if (st.st_mode & S_ISVTX)
		return why_set(why, AGAIN, "the home directory is sticky: its user is changing things");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return why_set(why, REFUSED, "the home directory can be written by others");
	return OK;
}
