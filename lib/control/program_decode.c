/* From the text of a line that names a program to its words; and paths.
 * Trusts root, who alone may name one.
 * Never goes on with a program that is not there or can't be executed: what it would be asked would fail for good. */
#include "control/decode.h"
#include "control/program.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool
is_program(const char *path, struct stat *st)
{
	return stat(path, st) == 0 && S_ISREG(st->st_mode) && (st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
}

/* A name with a slash is a path; others are looked for where programs are. */
static bool
find(struct bytes name, char *path, size_t size, struct stat *st)
{
	struct bytes places = BYTES(PROGRAM_PATH), place;

	if (bytes_find(name, '/') < name.len) {
		(void)snprintf(path, size, "%.*s", (int)name.len, (const char *)name.at);
		return path[0] == '/' && name.len < size && is_program(path, st);
	}
	while (bytes_split(&places, ':', &place)) {
		int n = snprintf(path, size, "%.*s/%.*s", (int)place.len, (const char *)place.at, (int)name.len,
		    (const char *)name.at);

		if (n > 0 && (size_t)n < size && is_program(path, st))
			return true;
	}
	return false;
}

bool
program_decode(struct decoder *d, struct bytes line, size_t max, struct buf *packed)
{
	struct bytes rest = line, word;
	char path[512];
	struct stat st;
	size_t n = 0;

	while (bytes_split(&rest, ' ', &word)) {
		if (word.len == 0)
			continue;
		if (n == max) {
			decoder_expected(d, "a program with at most %zu arguments", max - 1);
			return false;
		}
		if (n == 0 && !find(word, path, sizeof path, &st)) {
			decoder_expected(d, "a program that is there and can be executed, not %.*s",
			    (int)(word.len < 200 ? word.len : 200), (const char *)word.at);
			return false;
		}
		if (n++ == 0)
			buf_add_string(packed, path);
		else
			buf_add(packed, word);
		buf_add_octet(packed, '\0');
	}
	if (n == 0)
		decoder_expected(d, "a program");
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		decoder_warn(d, "%s can be written by others than its owner", path);
	return n > 0 && !packed->failed;
}

void
decode_program(struct decoder *d, struct bytes line)
{
	char *words[PROGRAM_WORDS_MAX + 1];

	if (line.len == 0)
		return;
	if (line.len > d->schema->most)
		decoder_expected(d, "at most %llu octets", (unsigned long long)d->schema->most);
	else if (program_decode(d, line, PROGRAM_WORDS_MAX, d->value) && program_words(buf_bytes(d->value), words) &&
	    words[1] == NULL)
		decoder_warn(d,
		    "a checkpassword program executes its argument when a password is right: %s /bin/true, perhaps",
		    words[0]);
}

void
decode_path(struct decoder *d, struct bytes line)
{
	if ((line.len > 0 || d->schema->least > 0) && (line.len < 2 || line.at[0] != '/' || line.len > d->schema->most))
		decoder_expected(d, "an absolute path of at most %llu octets", (unsigned long long)d->schema->most);
	buf_add(d->value, line);
}
