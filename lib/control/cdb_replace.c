/* Making a cdb.
 * Trusts whoever runs the program, with whose rights it writes; no line of the input.
 * Never touches the old table until the new one is whole and on disk, never leaves half of one behind. */
#include "control/cdb_replace.h"

#include "sys/fd.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum result
add_line(struct cdb_make *made, struct bytes line, unsigned number, cdb_add_line *add, struct why *why)
{
	struct why reason = WHY_NONE;
	enum result r;

	while (line.len > 0 && memchr(" \t\n", line.at[line.len - 1], 3) != NULL)
		line.len--;
	if (line.len == 0 || line.at[0] == '#')
		return OK;
	r = add(made, line, &reason);
	return r == OK ? OK : why_set(why, r, "line %u: %s", number, reason.text);
}

static enum result
add_all(struct cdb_make *made, FILE *from, cdb_add_line *add, struct why *why)
{
	enum result r = OK;
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while (r == OK && (n = getline(&line, &size, from)) >= 0)
		r = add_line(made, bytes_of(line, (size_t)n), ++number, add, why);
	if (r == OK && !feof(from))
		r = why_errno(why, BROKEN, "reading the lines");
	free(line);
	return r;
}

static enum result
write_table(int fd, const char *temporary, FILE *from, cdb_add_line *add, struct why *why)
{
	struct cdb_make made;
	enum result r;

	if (cdb_make_start(&made, fd) != 0)
		return why_errno(why, BROKEN, "making %s", temporary);
	r = add_all(&made, from, add, why);
	if (cdb_make_finish(&made) != 0 && r == OK)
		r = why_errno(why, BROKEN, "writing %s", temporary);
	if (r == OK && fsync(fd) != 0)
		r = why_errno(why, BROKEN, "flushing %s", temporary);
	return r;
}

/* The name in its directory is not safe before the directory is on disk. */
static enum result
flush_directory(const char *file, struct why *why)
{
	char *copy = strdup(file);
	int fd = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum result r = OK;

	if (fd < 0 || fsync(fd) != 0)
		r = why_errno(why, BROKEN, "flushing the directory of %s", file);
	free(copy);
	fd_close(&fd);
	return r;
}

enum result
cdb_replace(const char *table, const char *temporary, FILE *from, cdb_add_line *add, struct why *why)
{
	int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	enum result r;

	if (fd < 0)
		return why_errno(why, BROKEN, "making %s", temporary);
	r = write_table(fd, temporary, from, add, why);
	if (close(fd) != 0 && r == OK)
		r = why_errno(why, BROKEN, "closing %s", temporary);
	if (r == OK && rename(temporary, table) != 0)
		r = why_errno(why, BROKEN, "moving to %s", table);
	if (r == OK)
		return flush_directory(table, why);
	(void)unlink(temporary);
	return r;
}
