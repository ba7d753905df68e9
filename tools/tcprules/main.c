/* tcprules: compiles connection rules from standard input into a cdb.
 * Trusts whoever runs it, with whose rights it writes; no line of its input.
 * Never touches the old cdb until the new one is whole and on disk. */
#include "control/rules.h"
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
	(void)fprintf(stderr, "tcprules: fatal: %s %s: %m\n", doing, what);
	return EXIT_TROUBLE;
}

static enum result
put(void *ctx, struct bytes key, struct bytes data, struct why *why)
{
	static const char nothing[] = "";

	if (cdb_make_add(ctx, key.at == NULL ? (const uint8_t *)nothing : key.at, (unsigned)key.len,
		data.at == NULL ? (const uint8_t *)nothing : data.at, (unsigned)data.len) != 0)
		return why_errno(why, BROKEN, "writing the cdb");
	return OK;
}

static int
compile_line(struct cdb_make *made, struct bytes line, unsigned number)
{
	struct why why = WHY_NONE;
	enum result r;

	while (line.len > 0 && memchr(" \t\n", line.at[line.len - 1], 3) != NULL)
		line.len--;
	if (line.len == 0 || line.at[0] == '#')
		return 0;
	r = rules_compile(line, put, made, &why);
	if (r == OK)
		return 0;
	(void)fprintf(stderr, "tcprules: fatal: line %u: %s\n", number, why.text);
	return r == MALFORMED ? EXIT_SYNTAX : EXIT_TROUBLE;
}

static int
compile(struct cdb_make *made)
{
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int status = 0;

	while (status == 0 && (n = getline(&line, &size, stdin)) >= 0)
		status = compile_line(made, bytes_of(line, (size_t)n), ++number);
	if (status == 0 && ferror(stdin))
		status = trouble("reading", "standard input");
	free(line);
	return status;
}

/* The name in its directory is not safe before the directory is on disk. */
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
make(const char *cdb, const char *temporary)
{
	int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	struct cdb_make made;
	int status;

	if (fd < 0)
		return trouble("making", temporary);
	if (cdb_make_start(&made, fd) != 0)
		return trouble("making", temporary);
	status = compile(&made);
	if (cdb_make_finish(&made) != 0 && status == 0)
		status = trouble("writing", temporary);
	if (status == 0 && fsync(fd) != 0)
		status = trouble("flushing", temporary);
	if (close(fd) != 0 && status == 0)
		status = trouble("closing", temporary);
	if (status == 0 && rename(temporary, cdb) != 0)
		status = trouble("moving to", cdb);
	if (status != 0) {
		(void)unlink(temporary);
		return status;
	}
	return flush_directory(cdb);
}

int
main(int argc, char *argv[])
{
	if (argc != 3) {
		(void)fprintf(stderr, "usage: tcprules rules.cdb rules.tmp < rules\n");
		return EXIT_USAGE;
	}
	return make(argv[1], argv[2]);
}
