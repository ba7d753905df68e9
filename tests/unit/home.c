/* A private directory.
 * Trusts TMPDIR.
 * Never removes anything outside of what it made. */
#include "home.h"

#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char home[64];

int
enter_home(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(home, sizeof home, "%.40s/local.XXXXXX", tmp != NULL ? tmp : "/tmp");
	return mkdtemp(home) == NULL || chdir(home) != 0;
}

void
remove_tree(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char name[1500];

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(void)snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		if (unlink(name) != 0)
			remove_tree(name);
	}
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(path);
}

int
leave_home(void **state)
{
	(void)state;
	if (chdir("/") != 0)
		return 1;
	remove_tree(home);
	return 0;
}

unsigned
count_files(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

int
memory_with(struct bytes what)
{
	int fd = memfd_create("content", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, what.at, what.len), (ssize_t)what.len);
	return fd;
}
