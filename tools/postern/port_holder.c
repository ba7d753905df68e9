/* Which program listens on a port.
 * Trusts /proc for numbers; names of programs are anybody's, and are cleaned before they are shown.
 * Never changes anything. */
#include "postern/port_holder.h"

#include "base/bytes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_LISTENING 0x0a
#define INODES_MAX 16

struct inodes {
	unsigned long at[INODES_MAX];
	size_t n;
};

static void
add_listening(const char *table, uint16_t port, struct inodes *found)
{
	FILE *in = fopen(table, "re");
	char line[512], local[64];
	unsigned state;
	unsigned long inode;

	while (in != NULL && fgets(line, sizeof line, in) != NULL) {
		const char *colon;

		if (sscanf(line, " %*d: %63s %*s %x %*s %*s %*s %*d %*d %lu", local, &state, &inode) != 3 ||
		    state != TCP_LISTENING || (colon = strrchr(local, ':')) == NULL ||
		    strtoul(colon + 1, NULL, 16) != port || found->n == INODES_MAX)
			continue;
		found->at[found->n++] = inode;
	}
	if (in != NULL)
		(void)fclose(in);
}

static bool
holds(const char *pid, const struct inodes *wanted)
{
	char path[300], link[64];
	struct dirent *e;
	bool found = false;
	DIR *dir;

	(void)snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
	if ((dir = opendir(path)) == NULL)
		return false;
	while (!found && (e = readdir(dir)) != NULL) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof link - 1);
		unsigned long inode;

		link[n > 0 ? n : 0] = '\0';
		if (sscanf(link, "socket:[%lu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < wanted->n; i++)
			found = found || wanted->at[i] == inode;
	}
	(void)closedir(dir);
	return found;
}

static void
read_name(const char *pid, char name[32])
{
	char path[64];
	FILE *in;
	size_t n = 0;

	(void)snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
	if ((in = fopen(path, "re")) != NULL) {
		n = fread(name, 1, 31, in);
		(void)fclose(in);
	}
	while (n > 0 && name[n - 1] == '\n')
		n--;
	name[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (name[i] < ' ' || name[i] > '~')
			name[i] = '?';
}

void
port_holder_find(uint16_t port, struct port_holder *h)
{
	struct inodes wanted = { .n = 0 };
	struct dirent *e;
	DIR *dir = opendir("/proc");

	*h = (struct port_holder){ .pid = 0 };
	add_listening("/proc/net/tcp", port, &wanted);
	add_listening("/proc/net/tcp6", port, &wanted);
	while (dir != NULL && wanted.n > 0 && (e = readdir(dir)) != NULL) {
		if (!ascii_is_digit((uint8_t)e->d_name[0]) || !holds(e->d_name, &wanted))
			continue;
		h->pid = (pid_t)strtol(e->d_name, NULL, 10);
		read_name(e->d_name, h->name);
		h->is_ours = strcmp(h->name, "warden") == 0 || strcmp(h->name, "listen") == 0;
		if (h->is_ours)
			break;
	}
	if (dir != NULL)
		(void)closedir(dir);
}
