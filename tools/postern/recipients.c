/* postern recipients: makes a table of recipients from addresses on standard input.
 * Trusts whoever runs it, with whose rights it writes; no line of its input.
 * Never touches the old table until the new one is whole and on disk. */
#include "postern/recipients.h"

#include "control/recipients.h"
#include "sys/fd.h"

#include <cdb.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 100
#define EXIT_SYNTAX 101
#define EXIT_TROUBLE 111

static int
trouble(const char *doing, const char *what)
{
	(void)fprintf(stderr, "postern recipients: %s %s: %m\n", doing, what);
	return EXIT_TROUBLE;
}

static int
add_line(struct cdb_make *made, struct bytes line, unsigned number)
{
	uint8_t room[1100];
	struct buf key = BUF_OVER(room);

	while (line.len > 0 && memchr(" \t\n", line.at[line.len - 1], 3) != NULL)
		line.len--;
	if (line.len == 0 || line.at[0] == '#')
		return 0;
	if (!recipients_key(line, &key)) {
		(void)fprintf(stderr, "postern recipients: line %u: expected local@domain\n", number);
		return EXIT_SYNTAX;
	}
	return cdb_make_put(made, room, (unsigned)key.len, room, 0, CDB_PUT_REPLACE) < 0
	    ? trouble("writing", "the table")
	    : 0;
}

static int
add_all(struct cdb_make *made)
{
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int status = 0;

	while (status == 0 && (n = getline(&line, &size, stdin)) >= 0)
		status = add_line(made, bytes_of(line, (size_t)n), ++number);
	if (status == 0 && ferror(stdin))
		status = trouble("reading", "standard input");
	free(line);
	return status;
}

static int
flush_directory(const char *file)
{
	char *copy = strdup(file);
	int fd = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = fd < 0 || fsync(fd) != 0;

	free(copy);
	fd_close(&fd);
	return failed ? trouble("flushing the directory of", file) : 0;
}

static int
make(const char *table, const char *temporary)
{
	int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	struct cdb_make made;
	int status;

	if (fd < 0 || cdb_make_start(&made, fd) != 0)
		return trouble("making", temporary);
	status = add_all(&made);
	if (cdb_make_finish(&made) != 0 && status == 0)
		status = trouble("writing", temporary);
	if (status == 0 && fsync(fd) != 0)
		status = trouble("flushing", temporary);
	if (close(fd) != 0 && status == 0)
		status = trouble("closing", temporary);
	if (status == 0 && rename(temporary, table) != 0)
		status = trouble("moving to", table);
	if (status != 0) {
		(void)unlink(temporary);
		return status;
	}
	return flush_directory(table);
}

int
recipients_main(int argc, char *argv[])
{
	char temporary[4096];

	if (argc != 2 || argv[1][0] == '-' || strlen(argv[1]) + 5 > sizeof temporary) {
		(void)fprintf(stderr, "usage: postern recipients TABLE.cdb < addresses\n");
		return EXIT_USAGE;
	}
	(void)snprintf(temporary, sizeof temporary, "%s.tmp", argv[1]);
	return make(argv[1], temporary);
}
