/* The open descriptors of a running process against its table.
 * Trusts the kernel's word in /proc.
 * Never stops at the first deviation: each is noted. */
#include "postern/plan_proc.h"

#include "base/bytes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct fd_slot *
slot_of(const struct privileges *may, int fd)
{
	for (const struct fd_slot *s = may->fds; s < may->fds + nitems(may->fds) && s->name != NULL; s++)
		if (fd == s->fd || (fd > s->fd && fd < s->fd + s->many))
			return s;
	return NULL;
}

/* whether the socket with this inode is of another family than AF_UNIX */
static bool
is_inet(const char *target)
{
	static const char *const tables[] = { "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6",
		"/proc/net/raw" };
	char line[512], inode[32];
	bool found = false;

	(void)snprintf(inode, sizeof inode, " %s", target + strlen("socket:["));
	inode[strcspn(inode, "]")] = ' ';
	for (size_t i = 0; i < nitems(tables) && !found; i++) {
		FILE *f = fopen(tables[i], "re");

		while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
			found = strstr(line, inode) != NULL;
		if (f != NULL)
			(void)fclose(f);
	}
	return found;
}

static bool
is_written(int pid, int fd, bool *append)
{
	char name[64], info[1024];
	const char *flags;
	unsigned long value;

	(void)snprintf(name, sizeof name, "fdinfo/%d", fd);
	if (!proc_read(pid, name, info, sizeof info) || (flags = strstr(info, "flags:")) == NULL)
		return false;
	value = strtoul(flags + 6, NULL, 8);
	*append = (value & O_APPEND) != 0;
	return (value & O_ACCMODE) != O_RDONLY;
}

/* what a descriptor that is no slot's must be allowed as */
static unsigned
held_as(const struct subject *s, int fd, const char *target)
{
	bool append = false;

	if (strncmp(target, "anon_inode:[event", 17) == 0 || strcmp(target, "anon_inode:[signalfd]") == 0 ||
	    strncmp(target, "pipe:[", 6) == 0)
		return HOLDS_EVENTS;
	if (strncmp(target, "socket:[", 8) == 0)
		return is_inet(target) ? HOLDS_CONNECTION : HOLDS_CHANNELS;
	if (target[0] == '/') {
		if (!is_written(s->pid, fd, &append))
			return HOLDS_MESSAGES | HOLDS_FILES;
		return append ? HOLDS_WRITERS | HOLDS_FILES : HOLDS_FILES;
	}
	return HOLDS_NOTHING;
}

static bool
fits_slot(const struct subject *s, const struct fd_slot *slot, const char *target)
{
	switch (slot->kind) {
	case FD_CONTROL:
		return strncmp(target, "/memfd:", 7) == 0;
	case FD_TABLE:
		return target[0] == '/';
	case FD_CHANNEL:
	case FD_DOOR:
	case FD_DOORWAY:
		return strncmp(target, "socket:[", 8) == 0 && !is_inet(target);
	case FD_LISTENING:
		return strncmp(target, "socket:[", 8) == 0;
	case FD_DIRECTORY:
		return target[0] == '/';
	case FD_PROC_FDS:
		return strncmp(target, "/proc/", 6) == 0;
	case FD_PROGRAM:
		return target[0] == '/';
	}
	(void)s;
	return false;
}

static void
check_fd(struct subject *s, int fd)
{
	const struct fd_slot *slot = slot_of(s->may, fd);
	char name[32], target[512];

	if (slot != NULL && !s->slots && slot->kind != FD_TABLE)
		slot = NULL; /* a session has of its zygote's no more than what it may read */
	(void)snprintf(name, sizeof name, "fd/%d", fd);
	if (!proc_link(s->pid, name, target, sizeof target) || fd == 2)
		return;
	if (fd < 2) {
		if (strcmp(target, "/dev/null") != 0)
			subject_deviates(s, "descriptor %d is %s instead of /dev/null", fd, target);
		return;
	}
	s->n_fds++;
	if (slot != NULL) {
		if (!fits_slot(s, slot, target) && !(slot->optional && strcmp(target, "/dev/null") == 0))
			subject_deviates(s, "descriptor %d should be its %s (%s), but is %s", fd, slot->name,
			    fd_kind_name(slot->kind), target);
	} else if (s->may->syscalls != 0 && (held_as(s, fd, target) & s->may->holds) == 0)
		subject_deviates(s, "descriptor %d is %s, which the plan does not let it hold", fd, target);
}

void
subject_check_fds(struct subject *s)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", s->pid);
	d = opendir(path);
	if (d == NULL) {
		subject_deviates(s, "its descriptors can't be read: %s", strerror(errno));
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]))
			check_fd(s, proc_number(e->d_name));
	(void)closedir(d);
	for (const struct fd_slot *slot = s->may->fds;
	     s->slots && slot < s->may->fds + nitems(s->may->fds) && slot->name != NULL; slot++) {
		char name[32], target[512];

		(void)snprintf(name, sizeof name, "fd/%d", slot->fd);
		if (!slot->optional && !proc_link(s->pid, name, target, sizeof target))
			subject_deviates(s, "its descriptor %d (%s) is missing", slot->fd, slot->name);
	}
}
