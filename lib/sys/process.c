/* Start of a process: arguments and descriptors.
 * Trusts its parent's arguments (warden or lspawn, root both), checks what it was given all the same.
 * Never reads what it inherited; that comes after process_confine(). */
#include "sys/process.h"

#include "base/bytes.h"
#include "config.h"
#include "sys/about.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "sys/log_out.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define USAGE "%s: %s\nIt is started by postern's warden: see warden(8).\n"

static void
answer(int argc, char *argv[], const struct privileges *may)
{
	char text[512];

	(void)snprintf(text, sizeof text, USAGE, may->process, may->purpose);
	about(argc, argv, may->process, text);
}

__attribute__((noreturn)) static void
usage(const struct privileges *may)
{
	(void)fprintf(stderr, USAGE, may->process, may->purpose);
	exit(100);
}

static unsigned
id_argument(const char *s, const struct privileges *may)
{
	uint64_t n;

	if (s == NULL || !bytes_to_number(bytes_of_string(s), UINT32_MAX - 1, &n))
		usage(may);
	return (unsigned)n;
}

/* Only one version works: messages between processes, and the form of their configuration, may be others in the next. */
static void
check_version(const struct privileges *may, const char *version)
{
	struct why why = WHY_NONE;

	if (version == NULL || strcmp(version, POSTERN_VERSION) == 0)
		return;
	log_why("refuse",
	    why_set(&why, REFUSED,
		"this %s is of version %s, what started it of version %s: run postern reload, or restart the service",
		may->process, POSTERN_VERSION, version),
	    &why);
	exit(result_meaning(REFUSED)->exit_status);
}

struct process
process_begin(int argc, char *argv[], const struct privileges *may)
{
	struct process self = { .may = may };
	const char *version = NULL;
	bool uid_given = false;

	answer(argc, argv, may);
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--same-user") == 0) {
			self.same_user = true;
			continue;
		}
		if (strcmp(argv[i], "--lenient") == 0) {
			self.lenient = true;
			continue;
		}
		if (value == NULL || argv[i][0] != '-' || argv[i][1] == '\0' || argv[i][2] != '\0')
			usage(may);
		i++;
		switch (argv[i - 1][1]) {
		case 'n':
			self.service = value;
			break;
		case 'u':
			self.uid = id_argument(value, may);
			uid_given = true;
			break;
		case 'v':
			version = value;
			break;
		case 'g':
			self.gid = id_argument(value, may);
			break;
		case 'r':
			self.root = value;
			break;
		case 'b':
			self.below = value;
			break;
		case 'x':
			self.own_ids = value;
			break;
		case 's':
			self.groups = value;
			break;
		case 'm':
			self.sessions = id_argument(value, may);
			break;
		case 'p':
			self.ports = value;
			break;
#ifdef POSTERN_DRILL
		case 'D':
			self.attempt = (int)id_argument(value, may);
			break;
#endif
		default:
			usage(may);
		}
	}
	if (!uid_given || self.service == NULL)
		usage(may);
	log_open(may->process, self.service);
	(void)prctl(PR_SET_NAME, may->process); /* one that is executed by descriptor is named for its number */
	check_version(may, version);
	return self;
}

static const struct fd_slot *
slot_of(const struct privileges *may, int fd)
{
	for (const struct fd_slot *s = may->fds; s < may->fds + nitems(may->fds) && s->name != NULL; s++)
		if (fd == s->fd || (fd > s->fd && fd < s->fd + s->many))
			return s;
	return NULL;
}

static bool
is_socket(int fd, int type, int listening)
{
	int value = 0;
	socklen_t len = sizeof value;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len) != 0 || value != type)
		return false;
	len = sizeof value;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value == listening;
}

static bool
fits(int fd, enum fd_kind kind)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	switch (kind) {
	case FD_CONTROL:
		return fd_is_sealed(fd);
	case FD_TABLE:
		return S_ISREG(st.st_mode) && (fd_is_sealed(fd) || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	case FD_CHANNEL:
		return is_socket(fd, SOCK_SEQPACKET, 0);
	case FD_DOOR:
	case FD_DOORWAY:
		return is_socket(fd, SOCK_DGRAM, 0);
	case FD_LISTENING:
		return is_socket(fd, SOCK_STREAM, 1);
	case FD_DIRECTORY:
	case FD_PROC_FDS:
		return S_ISDIR(st.st_mode);
	case FD_PROGRAM:
		return S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
	}
	return false;
}

static enum result
check_slot(const struct privileges *may, const struct fd_slot *s, struct why *why)
{
	for (int fd = s->fd; fd <= s->fd + (s->many > 0 ? s->many - 1 : 0); fd++) {
		if (fcntl(fd, F_GETFD) < 0) {
			if (s->optional || fd > s->fd)
				continue;
			return why_set(
			    why, MALFORMED, "%s was started without its descriptor %d (%s)", may->process, fd, s->name);
		}
		if (!fits(fd, s->kind))
			return why_set(why, MALFORMED, "descriptor %d (%s) of %s is no %s", fd, s->name, may->process,
			    fd_kind_name(s->kind));
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
			return why_errno(why, BROKEN, "descriptor %d", fd);
	}
	return OK;
}

static enum result
close_others(const struct privileges *may, struct why *why)
{
	int low = 3, null;

	for (int fd = 3; fd < 256; fd++) {
		if (slot_of(may, fd) == NULL)
			continue;
		if (fd > low && close_range((unsigned)low, (unsigned)fd - 1, 0) != 0)
			return why_errno(why, BROKEN, "closing descriptors");
		low = fd + 1;
	}
	if (close_range((unsigned)low, ~0U, 0) != 0)
		return why_errno(why, BROKEN, "closing descriptors");
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		return why_errno(why, BROKEN, "opening /dev/null");
	if (null > 2)
		(void)close(null);
	if (fcntl(2, F_GETFD) < 0 && dup2(0, 2) < 0)
		return why_errno(why, BROKEN, "no standard error");
	return OK;
}

/* So that nothing that is made later gets the number of a descriptor that is absent here, and is taken for it. */
static enum result
fill_absent(const struct privileges *may, struct why *why)
{
	for (const struct fd_slot *s = may->fds; s < may->fds + nitems(may->fds) && s->name != NULL; s++)
		if (s->optional && fcntl(s->fd, F_GETFD) < 0 && dup3(0, s->fd, O_CLOEXEC) < 0)
			return why_errno(why, BROKEN, "descriptor %d", s->fd);
	return OK;
}

enum result
process_inherit(const struct process *self, struct why *why)
{
	const struct privileges *may = self->may;
	enum result r;

	log_out_open(LOG_OUT_STANDARD_ERROR);
	for (const struct fd_slot *s = may->fds; s < may->fds + nitems(may->fds) && s->name != NULL; s++)
		if ((r = check_slot(may, s, why)) != OK)
			return r;
	r = close_others(may, why);
	return r == OK ? fill_absent(may, why) : r;
}

int
process_refuse(const struct process *self, enum result r, const struct why *why)
{
	(void)self;
	log_why("refuse", r, why);
	log_flush();
	return result_meaning(r)->exit_status;
}

int
process_count_fds(const struct privileges *may, const char *slot)
{
	int n = 0;

	for (const struct fd_slot *s = may->fds; s < may->fds + nitems(may->fds) && s->name != NULL; s++)
		if (strcmp(s->name, slot) == 0)
			for (int fd = s->fd; fd <= s->fd + (s->many > 0 ? s->many - 1 : 0); fd++)
				n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

const char *
fd_kind_name(enum fd_kind k)
{
	static const char *const names[] = {
		[FD_CONTROL] = "sealed snapshot",
		[FD_TABLE] = "table",
		[FD_CHANNEL] = "channel",
		[FD_DOOR] = "door",
		[FD_DOORWAY] = "doorway",
		[FD_LISTENING] = "listening socket",
		[FD_DIRECTORY] = "directory",
		[FD_PROC_FDS] = "own descriptors",
		[FD_PROGRAM] = "program",
	};

	return names[k];
}
