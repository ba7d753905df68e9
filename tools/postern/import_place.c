/* The files of an import.
 * Trusts the administrator who runs it; a file of qmail's only to be read.
 * Never leaves half a file under an item's name. */
#include "postern/import_place.h"

#include "base/buf.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (size_t)(1u << 30)
#define PATH_ROOM 4400

void
import_say(struct import *im, const char *file, const char *what)
{
	if (printf("%s: %s\n", file, what) < 0)
		im->trouble = true;
}

void
import_leave(struct import *im, const char *file, const char *why)
{
	im->n_left++;
	if (printf("%s: NOT TAKEN OVER: %s\n", file, why) < 0)
		im->trouble = true;
}

static void
has_failed(struct import *im, const char *doing, const char *path)
{
	im->trouble = true;
	(void)fprintf(stderr, "postern import: %s %s: %m\n", doing, path);
}

bool
import_has(const struct import *im, const char *file)
{
	char path[PATH_ROOM];

	(void)snprintf(path, sizeof path, "%s/%s", im->from, file);
	return access(path, F_OK) == 0;
}

/* OK, ABSENT or BROKEN (errno). */
static enum result
read_whole(const char *path, struct buf *content, mode_t *mode)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	enum result r = OK;

	if (fd < 0)
		return errno == ENOENT ? ABSENT : BROKEN;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		errno = EISDIR;
		r = BROKEN;
	}
	*mode = r == OK ? st.st_mode & 0644 : 0600;
	while (r == OK) {
		uint8_t *room = buf_room(content, 65536);
		ssize_t n = room == NULL ? -1 : read(fd, room, 65536);

		if (n < 0)
			r = BROKEN;
		if (n <= 0)
			break;
		content->len += (size_t)n;
	}
	fd_close(&fd);
	return r;
}

/* Makes the directories above path that are missing. */
static bool
make_directories(const char *path)
{
	char directory[PATH_ROOM];

	(void)snprintf(directory, sizeof directory, "%s", path);
	for (char *slash = directory; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
		*slash = '\0';
		if (mkdir(directory, 0755) != 0 && errno != EEXIST)
			return false;
	}
	return true;
}

static bool
write_whole(const char *path, struct bytes content, mode_t mode)
{
	char temporary[PATH_ROOM + 8];
	int fd;
	bool done;

	(void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
	(void)unlink(temporary); /* of a run that was killed */
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	done = fd_write_all(fd, content) == OK && fchmod(fd, mode) == 0 && fsync(fd) == 0;
	if (close(fd) != 0)
		done = false;
	if (done && rename(temporary, path) == 0)
		return true;
	(void)unlink(temporary);
	return false;
}

/* What was there becomes .NAME.before, which no item is. */
static bool
put_aside(const char *path)
{
	char aside[PATH_ROOM + 16];
	const char *name = strrchr(path, '/') + 1;

	(void)snprintf(aside, sizeof aside, "%.*s.%s.before", (int)(name - path), path, name);
	return rename(path, aside) == 0;
}

/* *what: what became of it. */
static void
put_content(struct import *im, const char *to, struct bytes content, mode_t mode, char *what, size_t size)
{
	struct buf there = buf_growing(FILE_MAX);
	char path[PATH_ROOM];
	mode_t old_mode;
	enum result r;

	(void)snprintf(path, sizeof path, "%s/%s", im->to, to);
	r = read_whole(path, &there, &old_mode);
	if (r == OK && bytes_equal(buf_bytes(&there), content))
		(void)snprintf(what, size, "is in %s already", to);
	else if (r == OK && !im->replaces) {
		im->n_left++;
		(void)snprintf(what, size, "NOT TAKEN OVER: %s is there and differs; -f would replace it", to);
	} else {
		(void)snprintf(what, size, "to %s", to);
		if (!im->only_says &&
		    (!make_directories(path) || (r == OK && !put_aside(path)) || !write_whole(path, content, mode)))
			has_failed(im, "writing", path);
	}
	buf_free(&there);
}

static void
put(struct import *im, const char *file, const char *to, struct bytes content, mode_t mode)
{
	char what[PATH_ROOM];

	put_content(im, to, content, mode, what, sizeof what);
	import_say(im, file, what);
}

void
import_put(struct import *im, const char *to, struct bytes content, char *what, size_t size)
{
	put_content(im, to, content, 0644, what, size);
}

static const char *
path_of(const struct import *im, const char *file, char path[PATH_ROOM])
{
	(void)snprintf(path, PATH_ROOM, "%s/%s", im->from, file);
	return path;
}

/* False, and told, if it can't be read. */
static bool
read_it(struct import *im, const char *path, struct buf *content, mode_t *mode)
{
	*content = buf_growing(FILE_MAX);
	if (read_whole(path, content, mode) == OK)
		return true;
	has_failed(im, "reading", path);
	return false;
}

struct buf
import_read(struct import *im, const char *file)
{
	char path[PATH_ROOM];
	struct buf content;
	mode_t mode;

	if (!read_it(im, path_of(im, file, path), &content, &mode))
		buf_clear(&content);
	return content;
}

static void
place_path(struct import *im, const char *said, const char *path, const char *to)
{
	struct buf content;
	mode_t mode;

	if (read_it(im, path, &content, &mode))
		put(im, said, to, buf_bytes(&content), mode);
	buf_free(&content);
}

void
import_place(struct import *im, const char *file, const char *to)
{
	char path[PATH_ROOM];

	place_path(im, file, path_of(im, file, path), to);
}

void
import_place_from(struct import *im, const char *path, const char *to)
{
	place_path(im, path, path, to);
}

void
import_place_secret(struct import *im, const char *file, const char *to)
{
	char path[PATH_ROOM], what[PATH_ROOM];
	struct buf content;
	mode_t mode;

	if (read_it(im, path_of(im, file, path), &content, &mode))
		put_content(im, to, buf_bytes(&content), 0600, what, sizeof what);
	buf_free(&content);
}

void
import_write(struct import *im, const char *file, const char *to, const char *line)
{
	char content[PATH_ROOM];
	int n = snprintf(content, sizeof content, "%s\n", line);

	put(im, file, to, bytes_of(content, (size_t)n), 0644);
}

bool
import_single_address(struct import *im, const char *file, char *address, size_t size)
{
	struct buf content = buf_growing(FILE_MAX);
	struct bytes rest, line, found = BYTES_NONE;
	char path[PATH_ROOM];
	bool single = true;
	mode_t mode;

	(void)snprintf(path, sizeof path, "%s/%s", im->from, file);
	if (read_whole(path, &content, &mode) != OK)
		single = false;
	rest = buf_bytes(&content);
	while (single && rest.len > 0 && bytes_split(&rest, '\n', &line)) {
		line = bytes_trim(line);
		if (line.len == 0 || line.at[0] == '#')
			continue;
		if (line.at[0] == '&')
			line = bytes_skip(line, 1);
		single = found.at == NULL && line.len > 0 && ascii_is_alnum(line.at[0]) && line.len < size;
		found = line;
	}
	single = single && found.at != NULL;
	if (single) {
		memcpy(address, found.at, found.len);
		address[found.len] = '\0';
	}
	buf_free(&content);
	return single;
}
