/* postern passwd: adds, changes, removes and lists login names in the item passwords.
 * Trusts its caller, with whose rights it writes; of the file, that other lines are somebody's.
 * Never prints a hash or a password, never takes one from the command line, never leaves half a file. */
#include "postern/passwd.h"

#include "config.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/secret.h"
#include "control/passwords.h"
#include "crypt/sasl.h"
#include "sys/about.h"
#include "sys/fd.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define EXIT_USAGE 100
#define EXIT_TROUBLE 111
#define FILE_MAX (64u << 20)
#define CLEAR_MIN 3

struct job {
	char file[512], new_file[520];
	const char *name;
	bool scram, clear;
	int lock_fd;
	struct buf old, new; /* the file's text */
};

__attribute__((format(printf, 2, 3))) static int
complain(int status, const char *format, ...)
{
	va_list ap;

	(void)fputs("postern passwd: ", stderr);
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return status;
}

/* ---- the file ---- */

static int
read_old(struct job *j)
{
	int fd = open(j->file, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return complain(EXIT_TROUBLE, "%s: %s", j->file, strerrordesc_np(errno));
	while (n > 0) {
		uint8_t *at = buf_room(&j->old, 65536);

		n = at == NULL ? -1 : read(fd, at, 65536);
		j->old.len += n > 0 ? (size_t)n : 0;
	}
	(void)close(fd);
	return n == 0 ? 0 : complain(EXIT_TROUBLE, "%s can't be read", j->file);
}

/* Two at a time would lose one's change: the directory is locked. */
static int
lock(struct job *j)
{
	char directory[512];
	const char *slash = strrchr(j->file, '/');

	(void)snprintf(directory, sizeof directory, "%.*s", slash == NULL ? 1 : (int)(slash - j->file) + 1,
	    slash == NULL ? "." : j->file);
	j->lock_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->lock_fd < 0 || flock(j->lock_fd, LOCK_EX) != 0)
		return complain(EXIT_TROUBLE, "%s: %s", directory, strerrordesc_np(errno));
	return 0;
}

static int
write_new(struct job *j)
{
	int fd = open(j->new_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), error;

	if (fd < 0)
		return complain(EXIT_TROUBLE, "%s: %s", j->new_file, strerrordesc_np(errno));
	error = j->new.failed ? ENOMEM : 0;
	if (error == 0 &&
	    (fchmod(fd, 0600) != 0 || fd_write_all(fd, buf_bytes(&j->new)) != OK || fsync(fd) != 0 ||
		rename(j->new_file, j->file) != 0))
		error = errno;
	fd_close(&fd);
	if (error != 0)
		(void)unlink(j->new_file); /* there are hashes in it */
	else if (fsync(j->lock_fd) != 0)
		error = errno;
	return error == 0 ? 0 : complain(EXIT_TROUBLE, "%s: %s", j->new_file, strerrordesc_np(error));
}

static struct bytes
name_of(struct bytes line)
{
	return line.len > 0 && line.at[0] == '#' ? BYTES_NONE : bytes_first(line, bytes_find(line, ':'));
}

/* Copies all lines but the name's; *had shows that one, or nothing. */
static void
copy_others(struct job *j, struct bytes *had)
{
	struct bytes rest = buf_bytes(&j->old), line;

	*had = BYTES_NONE;
	while (rest.len > 0 && bytes_split(&rest, '\n', &line))
		if (bytes_equal_nocase(name_of(line), bytes_of_string(j->name)))
			*had = line;
		else {
			buf_add(&j->new, line);
			buf_add_octet(&j->new, '\n');
		}
}

/* ---- the password ---- */

static bool
read_line(char *line, size_t size)
{
	size_t n = 0;
	char c = '\0';

	while (n < size - 1 && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		line[n++] = c;
	line[n] = '\0';
	return c == '\n' || n > 0;
}

static bool
ask(const char *prompt, char *line, size_t size)
{
	struct termios was, quiet;
	bool good;

	if (tcgetattr(STDIN_FILENO, &was) != 0)
		return read_line(line, size);
	quiet = was;
	quiet.c_lflag &= (tcflag_t)~ECHO;
	(void)fputs(prompt, stderr);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	good = read_line(line, size);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	(void)fputc('\n', stderr);
	return good;
}

static int
ask_twice(char password[SASL_NAME_MAX + 2])
{
	char again[SASL_NAME_MAX + 2] = "";
	bool same;

	if (!ask("password: ", password, SASL_NAME_MAX + 2))
		return complain(EXIT_USAGE, "there is no password on standard input");
	same = isatty(STDIN_FILENO) == 0 ||
	    (ask("again: ", again, sizeof again) && bytes_equal(bytes_of_string(password), bytes_of_string(again)));
	secret_wipe(again, sizeof again);
	if (!same)
		return complain(EXIT_USAGE, "these are two different passwords");
	if (strlen(password) < CLEAR_MIN || strlen(password) > SASL_NAME_MAX)
		return complain(EXIT_USAGE, "a password has %d to %d octets", CLEAR_MIN, SASL_NAME_MAX);
	return 0;
}

static bool
add_hash(struct buf *line, const char *password)
{
	static struct crypt_data room;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash = NULL;

	if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting) != NULL)
		hash = crypt_rn(password, setting, &room, (int)sizeof room); /* see auth/workers.c */
	if (hash == NULL || hash[0] == '*')
		return false;
	buf_add_string(line, hash);
	secret_wipe(&room, sizeof room);
	return true;
}

static bool
add_verifier(struct buf *line, const char *password)
{
	struct scram_keys k;
	uint8_t salt[16];
	struct why why = WHY_NONE;

	if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt ||
	    scram_derive(bytes_of_string(password), bytes_of(salt, sizeof salt), SCRAM_ITERATIONS, &k, &why) != OK)
		return false;
	buf_format(line, " SCRAM-SHA-256$%d:", SCRAM_ITERATIONS);
	base64_encode(bytes_of(salt, sizeof salt), line);
	buf_add_octet(line, '$');
	base64_encode(bytes_of(k.stored, sizeof k.stored), line);
	buf_add_octet(line, ':');
	base64_encode(bytes_of(k.server, sizeof k.server), line);
	secret_wipe(&k, sizeof k);
	return true;
}

static bool
add_words(const struct job *j, struct buf *line, const char *password)
{
	if (!add_hash(line, password) || (j->scram && !add_verifier(line, password)))
		return false;
	if (j->clear) {
		buf_add_string(line, " clear=");
		base64_encode(bytes_of_string(password), line);
	}
	return true;
}

/* ---- the acts ---- */

static bool
may_be_named(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f || name[i] == ':')
			return false;
	return len > 0 && len <= PASSWORD_NAME_MAX && strchr("!@*#", name[0]) == NULL;
}

static int
act_set(struct job *j)
{
	char password[SASL_NAME_MAX + 2] = "";
	struct bytes had;
	int status;
	bool good;

	if (!may_be_named(j->name))
		return complain(EXIT_USAGE, "%s can't be a login name", j->name);
	if ((status = ask_twice(password)) != 0)
		return status;
	copy_others(j, &had);
	buf_format(&j->new, "%s:", j->name);
	good = add_words(j, &j->new, password);
	buf_add_octet(&j->new, '\n');
	secret_wipe(password, sizeof password);
	return good ? write_new(j) : complain(EXIT_TROUBLE, "libcrypt or OpenSSL makes no hash");
}

static int
act_remove(struct job *j)
{
	struct bytes had;

	copy_others(j, &had);
	return had.at != NULL ? write_new(j) : complain(EXIT_USAGE, "%s has no %s", j->file, j->name);
}

static int
switch_disabled(struct job *j, bool disabled)
{
	struct bytes had, words, word;

	copy_others(j, &had);
	if (had.at == NULL)
		return complain(EXIT_USAGE, "%s has no %s", j->file, j->name);
	words = bytes_skip(had, bytes_find(had, ':') + 1);
	buf_add(&j->new, bytes_first(had, bytes_find(had, ':') + 1));
	if (disabled)
		buf_add_string(&j->new, "disabled");
	while (words.len > 0 && bytes_split(&words, ' ', &word))
		if (word.len > 0 && !bytes_equal(word, BYTES("disabled"))) {
			if (j->new.at[j->new.len - 1] != ':')
				buf_add_octet(&j->new, ' ');
			buf_add(&j->new, word);
		}
	buf_add_octet(&j->new, '\n');
	return write_new(j);
}

static int
act_disable(struct job *j)
{
	return switch_disabled(j, true);
}

static int
act_enable(struct job *j)
{
	return switch_disabled(j, false);
}

static bool
has_word(struct bytes line, struct bytes start)
{
	struct bytes rest = bytes_skip(line, bytes_find(line, ':') + 1), word;

	while (rest.len > 0 && bytes_split(&rest, ' ', &word))
		if (bytes_starts(word, start))
			return true;
	return false;
}

static int
act_list(struct job *j)
{
	struct bytes rest = buf_bytes(&j->old), line;

	while (rest.len > 0 && bytes_split(&rest, '\n', &line)) {
		struct bytes name = name_of(line);

		if (name.len == 0)
			continue;
		(void)printf("%.*s%s%s%s%s\n", (int)name.len, (const char *)name.at,
		    has_word(line, BYTES("$")) ? " hash" : "", has_word(line, BYTES("SCRAM-SHA-256$")) ? " scram" : "",
		    has_word(line, BYTES("clear=")) ? " clear" : "",
		    has_word(line, BYTES("disabled")) ? " disabled" : "");
	}
	return 0;
}

static const struct {
	const char *word;
	int (*act)(struct job *j);
	bool named;
} acts[] = {
	{ "set", act_set, true },
	{ "remove", act_remove, true },
	{ "disable", act_disable, true },
	{ "enable", act_enable, true },
	{ "list", act_list, false },
};

static const char usage_text[] = "usage: postern passwd [-f FILE] [--no-scram] [--clear] "
				 "set NAME | remove NAME | disable NAME | enable NAME | list\n";

static int
usage(void)
{
	(void)fputs(usage_text, stderr);
	return EXIT_USAGE;
}

static int
run(struct job *j, int (*act)(struct job *j))
{
	int status;

	if ((status = lock(j)) == 0 && (status = read_old(j)) == 0)
		status = act(j);
	secret_wipe(j->old.at, j->old.len);
	secret_wipe(j->new.at, j->new.len);
	buf_free(&j->old);
	buf_free(&j->new);
	fd_close(&j->lock_fd);
	return status;
}

int
passwd_main(int argc, char *argv[])
{
	struct job j = { .scram = true, .old = buf_growing(FILE_MAX), .new = buf_growing(FILE_MAX), .lock_fd = -1 };
	const char *file = POSTERN_CONTROLDIR "/passwords";
	int i = 1;

	about(argc, argv, "postern passwd", usage_text);
	for (; i < argc && argv[i][0] == '-'; i++)
		if (strcmp(argv[i], "-f") == 0 && i + 1 < argc)
			file = argv[++i];
		else if (strcmp(argv[i], "--no-scram") == 0)
			j.scram = false;
		else if (strcmp(argv[i], "--clear") == 0)
			j.clear = true;
		else
			return usage();
	if (snprintf(j.file, sizeof j.file, "%s", file) >= (int)sizeof j.file)
		return complain(EXIT_USAGE, "the name of the file is too long");
	(void)snprintf(j.new_file, sizeof j.new_file, "%s.new", j.file);
	for (size_t a = 0; i < argc && a < nitems(acts); a++)
		if (strcmp(argv[i], acts[a].word) == 0 && argc - i == (acts[a].named ? 2 : 1)) {
			j.name = acts[a].named ? argv[i + 1] : NULL;
			return run(&j, acts[a].act);
		}
	return usage();
}
