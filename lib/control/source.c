/* Reading a control directory.
 * Trusts root, who alone may write there, to mean well; not to write well. Bounds every file.
 * Never follows what a file says to another file, but for the tables of recipients; never stops at the first error: all are told. */
#include "control/decode.h"
#include "control/format.h"
#include "sys/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_FILE_MAX (size_t)(1u << 30)
#define LINE_FILE_MAX (size_t)65536

static void
complain(struct control_source *s, enum severity severity, const char *file, unsigned line, const char *text)
{
	struct control_complaint c = { severity, file, line, text };

	if (severity == SEVERITY_ERROR && s->n_errors++ == 0) {
		if (line > 0)
			(void)why_set(&s->first, MALFORMED, "%s:%u: %s", file, line, text);
		else
			(void)why_set(&s->first, MALFORMED, "%s: %s", file, text);
	}
	if (severity == SEVERITY_WARNING)
		s->n_warnings++;
	if (s->from.complain != NULL)
		s->from.complain(s->from.ctx, &c);
}

static __attribute__((format(printf, 5, 6))) void
complain_of_file(
    struct control_source *s, enum severity severity, const char *directory, const char *file, const char *format, ...)
{
	char name[512], text[300];
	va_list ap;

	(void)snprintf(name, sizeof name, "%s%s%s/%s", s->from.etc, *directory == '\0' ? "" : "/", directory, file);
	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	complain(s, severity, name, 0, text);
}

void
decoder_expected(struct decoder *d, const char *format, ...)
{
	char text[300];
	va_list ap;
	int n = snprintf(text, sizeof text, "expected ");

	d->failed = true;
	if (d->quiet)
		return;
	va_start(ap, format);
	(void)vsnprintf(text + n, sizeof text - (size_t)n, format, ap);
	va_end(ap);
	complain(d->source, SEVERITY_ERROR, d->file, d->line, text);
}

void
decoder_expected_why(struct decoder *d, const struct why *why)
{
	struct bytes text = bytes_of_string(why->text), expected = BYTES("expected ");

	decoder_expected(d, "%s", why->text + (bytes_starts(text, expected) ? expected.len : 0));
}

void
decoder_warn(struct decoder *d, const char *format, ...)
{
	char text[300];
	va_list ap;

	if (d->quiet)
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	complain(d->source, SEVERITY_WARNING, d->file, d->line, text);
}

static enum result
read_file(int fd, size_t max, struct buf *text, struct why *why)
{
	*text = buf_growing(max);
	for (;;) {
		uint8_t *room = buf_room(text, text->len + 65536 > max ? 1 : 65536);
		ssize_t n;

		if (room == NULL && text->len + 1 > max)
			return why_set(why, MALFORMED, "expected at most %zu octets", max);
		if (room == NULL)
			return why_set(why, EXHAUSTED, "no memory for it");
		n = read(fd, room, text->size - text->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return why_errno(why, BROKEN, "expected a file that can be read");
		if (n == 0)
			return OK;
		text->len += (size_t)n;
	}
}

enum result
decoder_open(struct decoder *d, const char *file, size_t max, struct buf *text, struct why *why)
{
	struct control_source *s = d->source;
	int fd = openat(s->service_fd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool own = fd >= 0 || (errno != ENOENT && errno != ENOTDIR);
	struct stat st;
	enum result r;

	if (!own)
		fd = openat(s->etc_fd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*file == '/')
		(void)snprintf(d->file, sizeof d->file, "%s", file);
	else
		(void)snprintf(d->file, sizeof d->file, "%s/%s%s%s", s->from.etc, own ? s->from.service : "",
		    own ? "/" : "", file);
	d->line = 0;
	(void)seen_before(&s->read, bytes_of_string(d->file));
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return ABSENT;
	if (fd < 0)
		return why_errno(why, BROKEN, "expected a file that can be read");
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		r = why_set(why, MALFORMED, "expected a file");
	else {
		if (st.st_mode & (S_IWOTH | S_IWGRP))
			decoder_warn(d, "can be written by others than its owner: chmod go-w");
		r = read_file(fd, max, text, why);
	}
	(void)close(fd);
	return r;
}

uint64_t
control_source_number(const struct control_source *s, enum control_item item)
{
	struct bytes value = buf_bytes(&s->items[item].value);

	return value.len == 8 ? le64_get(value.at) : 0;
}

static bool
is_single(enum control_kind kind)
{
	return kind == KIND_LINE || kind == KIND_NUMBER || kind == KIND_BOOL || kind == KIND_DOMAIN ||
	    kind == KIND_PATH || kind == KIND_MAILDIR || kind == KIND_OWNER || kind == KIND_PROGRAM;
}

static const struct control_schema *
referent(const struct control_schema *schema)
{
	enum control_item item;
	bool compiled;

	if (schema->otherwise == NULL || schema->otherwise[0] != '=' ||
	    !control_item_of_file(bytes_of_string(schema->otherwise + 1), &item, &compiled))
		return NULL;
	return &control_schema[item];
}

/* A local program can't send a message again to the others, as a mail server does. */
static const char *
default_text(const struct control_schema *schema, const char *service)
{
	if (schema == &control_schema[ITEM_MAXRCPT] && strcmp(service, "inject") == 0)
		return "20000";
	return schema->otherwise;
}

/* Decodes the text of `schema`'s file, or of what its default names, as d's item. */
static enum result
decode_from(struct decoder *d, const struct control_schema *schema, struct why *why)
{
	size_t max = is_single(schema->kind) ? LINE_FILE_MAX : LIST_FILE_MAX;
	const struct control_schema *other = referent(schema);
	struct buf text = buf_growing(max);
	enum result r = decoder_open(d, schema->file, max, &text, why);

	if (r == ABSENT && other != NULL) {
		d->quiet = d->quiet || (other->readers & d->source->from.readers) != 0;
		r = decode_from(d, other, why);
	} else if (r == ABSENT && schema->otherwise == NULL)
		decoder_expected(d, "a file here: %s", schema->meaning);
	else if (r == ABSENT || r == OK) {
		d->rest = r == OK ? buf_bytes(&text) : bytes_of_string(default_text(schema, d->source->from.service));
		if (d->rest.at == NULL)
			d->rest = BYTES("");
		decode_text(d);
		r = OK;
	}
	buf_free(&text);
	return r;
}

static enum result
decode_compiled_file(struct decoder *d, const char *file, struct why *why)
{
	struct buf image = buf_growing(LIST_FILE_MAX);
	enum result r = decoder_open(d, file, LIST_FILE_MAX, &image, why);

	if (r == OK)
		decode_compiled(d, buf_bytes(&image));
	buf_free(&image);
	return r;
}

static bool
exists(const struct control_source *s, const char *file)
{
	return faccessat(s->service_fd, file, F_OK, 0) == 0 || faccessat(s->etc_fd, file, F_OK, 0) == 0;
}

static enum result
decode_item(struct control_source *s, enum control_item item, struct why *why)
{
	const struct control_schema *schema = &control_schema[item];
	const char *compiled = control_compiled_file(item);
	struct decoder d = { .source = s, .item = item, .schema = schema };
	struct why trouble = WHY_NONE;
	enum result r;

	d.value = &s->items[item].value;
	d.table = &s->items[item].table;
	d.seen = &s->items[item].seen;
	if (compiled != NULL && !exists(s, schema->file) && exists(s, compiled))
		r = decode_compiled_file(&d, compiled, &trouble);
	else
		r = decode_from(&d, schema, &trouble);
	if (r == EXHAUSTED)
		return why_set(why, r, "%s: %s", d.file, trouble.text);
	if (trouble.text[0] != '\0' && !d.quiet)
		complain(s, SEVERITY_ERROR, d.file, 0, trouble.text);
	s->items[item].refused = d.failed || trouble.text[0] != '\0';
	if (compiled != NULL && exists(s, schema->file) && exists(s, compiled) && !d.failed) {
		d.line = 0;
		decoder_warn(&d, "is read, %s beside it is not", compiled);
	}
	if (d.value->failed || d.table->failed)
		return why_set(why, EXHAUSTED, "%s: no memory for its content", d.file);
	return OK;
}

/* A table that an item names may lie beside the items. */
static bool
is_named(struct control_source *s, const char *directory, const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s%s%s/%s", s->from.etc, *directory == '\0' ? "" : "/", directory, name);
	return seen_before(&s->read, bytes_of_string(path));
}

/* Keys and certificates may, too: variables name them by their paths. */
static bool
is_for_tls(const char *name)
{
	static const char *const ends[] = { ".pem", ".crt", ".key", ".crl", ".ocsp" };

	for (size_t i = 0; i < nitems(ends); i++)
		if (bytes_ends_nocase(bytes_of_string(name), bytes_of_string(ends[i])))
			return true;
	return false;
}

static void
check_name(struct control_source *s, const char *directory, const char *name)
{
	enum control_item item;
	bool compiled;
	const char *near;

	if (*directory == '\0' && strcmp(name, "uids") == 0)
		return; /* warden's own: who the processes run as */
	if (!control_item_of_file(bytes_of_string(name), &item, &compiled)) {
		if (is_named(s, directory, name) || is_for_tls(name))
			return;
		near = control_nearest_item(bytes_of_string(name));
		if (near == NULL && strchr(name, '.') != NULL)
			return; /* a table that an item of another service names, say: no misspelled item */
		complain_of_file(s, SEVERITY_WARNING, directory, name, "is no control item%s%s%s",
		    near != NULL ? "; did you mean " : "", near != NULL ? near : "", near != NULL ? "?" : "");
	} else if (*directory != '\0' && !(control_schema[item].readers & s->from.readers))
		complain_of_file(s, SEVERITY_WARNING, directory, name,
		    "is not read by a service of this kind: it does nothing here");
}

/* Names that mean nothing are told with the nearest that does. */
static void
check_names(struct control_source *s, int fd, const char *directory)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	struct dirent *e;
	struct stat st;

	if (dir == NULL) {
		fd_close(&again);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.' && fstatat(fd, e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			check_name(s, directory, e->d_name);
	(void)closedir(dir);
}

/* Clients prefer SCRAM, for which a verifier must be here. */
static bool
offers_scram(struct bytes mechanisms)
{
	struct bytes word;

	while (bytes_split(&mechanisms, ' ', &word))
		if (bytes_starts_nocase(word, BYTES("SCRAM")))
			return true;
	return false;
}

static bool
is_socket(const struct buf *path)
{
	struct stat st;
	char name[200];

	(void)snprintf(name, sizeof name, "%.*s", (int)path->len, (const char *)path->at);
	return stat(name, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void
check_programs(struct control_source *s)
{
	bool program = s->items[ITEM_CHECKPASSWORD].value.len > 0, dovecot = s->items[ITEM_DOVECOTAUTH].value.len > 0;
	struct bytes mechanisms = buf_bytes(&s->items[ITEM_MECHANISMS].value);

	if (program && dovecot)
		complain_of_file(s, SEVERITY_ERROR, s->from.service, "dovecotauth",
		    "expected no such file beside checkpassword: either Dovecot is asked or a program");
	if (dovecot && !is_socket(&s->items[ITEM_DOVECOTAUTH].value))
		complain_of_file(s, SEVERITY_WARNING, s->from.service, "dovecotauth",
		    "there is no such socket now: until there is, logins are refused for the time being");
	if ((program || dovecot) && mechanisms.at != NULL && offers_scram(mechanisms))
		complain_of_file(s, SEVERITY_WARNING, s->from.service, "mechanisms",
		    "offers SCRAM, by which nobody logs in whose password only %s knows: PLAIN LOGIN, perhaps",
		    program ? "a program" : "Dovecot");
}

/* A character that a name may have would cut names in two; a slash is in no local part that is looked up. */
static void
check_breaks(struct control_source *s, enum control_item item)
{
	struct bytes breaks = buf_bytes(&s->items[item].value);

	for (size_t i = 0; i < breaks.len; i++)
		if (ascii_is_alnum(breaks.at[i]) || breaks.at[i] <= ' ' || breaks.at[i] >= 0x7f ||
		    breaks.at[i] == '/' || breaks.at[i] == '@') {
			complain_of_file(s, SEVERITY_ERROR, s->from.service, control_schema[item].file,
			    "expected punctuation, one or several characters like - or -+, without / and @");
			return;
		}
}

static void
check_users(struct control_source *s)
{
	struct bytes name = buf_bytes(&s->items[ITEM_ALIASUSER].value);
	struct passwd *pw;
	char text[64];

	check_breaks(s, ITEM_USERBREAK);
	check_breaks(s, ITEM_VIRTUALBREAK);
	if (name.len == 0 || name.len >= sizeof text)
		return;
	memcpy(text, name.at, name.len);
	text[name.len] = '\0';
	pw = getpwnam(text);
	if (pw == NULL || pw->pw_uid == 0)
		complain_of_file(s, SEVERITY_ERROR, s->from.service, "aliasuser",
		    "expected the name of a user of this host other than root");
}

/* What no item can tell by itself. */
static void
check_together(struct control_source *s)
{
	if (s->items[ITEM_VIRTUALUSERS].table.len > 0 && s->items[ITEM_VIRTUALUSER].value.len == 0)
		complain_of_file(s, SEVERITY_ERROR, s->from.service, "virtualuser",
		    "expected uid:gid:home here, the owner of the mailboxes in virtualusers");
	check_programs(s);
	check_users(s);
	if ((s->from.readers & BY_LISTEN) && (s->from.readers & BY_WARDEN) && s->items[ITEM_LISTEN].value.len == 0)
		complain_of_file(
		    s, SEVERITY_ERROR, s->from.service, "listen", "expected a file with an address to listen on");
}

bool
control_wants_programs(const struct control_source *s)
{
	return s->items[ITEM_CHECKPASSWORD].value.len > 0 || s->items[ITEM_DOVECOTAUTH].value.len > 0 ||
	    s->n_recipient_programs > 0;
}

static enum result
open_directories(struct control_source *s, struct why *why)
{
	s->etc_fd = open(s->from.etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->etc_fd < 0)
		return why_errno(why, ABSENT, "opening %s", s->from.etc);
	s->service_fd = openat(s->etc_fd, s->from.service, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->service_fd < 0)
		return why_errno(why, ABSENT, "opening %s/%s", s->from.etc, s->from.service);
	return OK;
}

enum result
control_read(struct control_source *s, const struct control_from *from, struct why *why)
{
	enum result r;

	*s = (struct control_source){ .from = *from, .etc_fd = -1, .service_fd = -1 };
	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++)
		s->items[i] = (struct control_data){ .value = buf_growing(LIST_FILE_MAX),
			.table = buf_growing(2 * LIST_FILE_MAX) };
	if ((r = open_directories(s, why)) != OK)
		return r;
	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++)
		if ((control_schema[i].readers & from->readers) &&
		    (r = decode_item(s, (enum control_item)i, why)) != OK)
			return r;
	check_names(s, s->etc_fd, "");
	check_names(s, s->service_fd, from->service);
	check_together(s);
	return s->n_errors > 0 ? why_set(why, MALFORMED, "%s", s->first.text) : OK;
}

void
control_forget(struct control_source *s)
{
	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++) {
		buf_free(&s->items[i].value);
		buf_free(&s->items[i].table);
		free(s->items[i].seen.slots);
	}
	free(s->told.slots);
	free(s->read.slots);
	s->told = s->read = (struct seen){ NULL, 0, 0 };
	fd_close(&s->etc_fd);
	fd_close(&s->service_fd);
}
