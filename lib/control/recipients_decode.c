/* From the text of recipients, and the tables that it names, to what is looked up.
 * Trusts root, who alone may name a file here; nothing in the file.
 * Never goes on without a table that can't be read: its addresses would be refused for good. */
#include "control/decode.h"
#include "control/program.h"
#include "control/recipients.h"

#include "sys/fd.h"

#include <cdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PROGRAM_ARGUMENTS_MAX 5
#define TABLE_MAX (size_t)(1u << 30)

static void
put_address(struct decoder *d, uint8_t table, struct bytes key)
{
	uint8_t room[CONTROL_KEY_MAX];
	struct buf whole = BUF_OVER(room);

	buf_add_octet(&whole, table);
	buf_add(&whole, key);
	if (whole.failed)
		decoder_expected(d, "at most %d octets of address", CONTROL_KEY_MAX - 1);
	else
		decoder_put_once(d, buf_bytes(&whole));
}

static void
take_text(struct decoder *d, uint8_t table, struct bytes text)
{
	struct bytes line;

	d->rest = text;
	while (decoder_line(d, &line)) {
		uint8_t room[CONTROL_KEY_MAX];
		struct buf key = BUF_OVER(room);

		if (recipients_key(line, &key))
			put_address(d, table, buf_bytes(&key));
		else
			decoder_expected(d, "local@domain");
	}
}

static void
take_records(struct decoder *d, uint8_t table, int fd)
{
	struct cdb db;
	unsigned at;
	int r;

	if (cdb_init(&db, fd) != 0) {
		decoder_expected(d, "a cdb");
		return;
	}
	cdb_seqinit(&at, &db);
	while ((r = cdb_seqnext(&at, &db)) > 0) {
		struct bytes key = bytes_of(cdb_getkey(&db), cdb_keylen(&db));
		uint8_t room[CONTROL_KEY_MAX];
		struct buf lower = BUF_OVER(room);

		d->line++;
		if (key.len > 0 && key.at[0] == ':' && recipients_key(key, &lower)) /* fastforward's others are none */
			put_address(d, table, buf_bytes(&lower));
	}
	if (r < 0)
		decoder_expected(d, "a whole cdb");
	cdb_free(&db);
}

/* The image is a copy, so that the file may change or shrink meanwhile. */
static void
take_compiled(struct decoder *d, uint8_t table, struct bytes image)
{
	int fd = memfd_create("recipients", MFD_CLOEXEC);

	if (fd < 0 || fd_write_all(fd, image) != OK)
		d->table->failed = true;
	else
		take_records(d, table, fd);
	fd_close(&fd);
}

/* Complaints about the table name its file and line; afterwards d is at the item again. */
static void
take_table(struct decoder *d, uint8_t table, struct bytes path)
{
	struct buf content = buf_growing(TABLE_MAX);
	struct bytes rest = d->rest;
	unsigned line = d->line;
	struct why why = WHY_NONE;
	char item[sizeof d->file], name[300];
	enum result r;

	(void)snprintf(item, sizeof item, "%s", d->file);
	(void)snprintf(name, sizeof name, "%.*s", (int)path.len, (const char *)path.at);
	r = decoder_open(d, name, TABLE_MAX, &content, &why);
	if (r == OK && bytes_ends_nocase(path, BYTES(".cdb")))
		take_compiled(d, table, buf_bytes(&content));
	else if (r == OK)
		take_text(d, table, content.len == 0 ? BYTES("") : buf_bytes(&content));
	buf_free(&content);
	(void)snprintf(d->file, sizeof d->file, "%s", item);
	d->rest = rest;
	d->line = line;
	if (r == ABSENT)
		decoder_expected(d, "the name of a table that is there, not %s", name);
	else if (r != OK)
		decoder_expected(d, "a table that can be read: %s: %s", name, why.text);
}

static bool
is_domain(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_alnum(text.at[i]) && memchr(".-_", text.at[i], 3) == NULL)
			return false;
	return text.len > 0 && text.len <= 253;
}

static void
put_line(struct decoder *d, enum recipients_form form, uint8_t table, struct bytes domain)
{
	uint8_t room[256];
	struct buf line = BUF_OVER(room);

	buf_add_octet(&line, (uint8_t)form);
	buf_add_octet(&line, table);
	for (size_t i = 0; i < domain.len; i++)
		buf_add_octet(&line, ascii_lower(domain.at[i]));
	decoder_put_line(d, buf_bytes(&line));
}

static void
with_table(struct decoder *d, enum recipients_form form, struct bytes domain, struct bytes path)
{
	uint8_t table = d->source->n_recipient_tables;

	if (path.len == 0 || path.len > 255)
		decoder_expected(d, "the name of a table, of at most 255 octets, behind the colon");
	else if (table == RECIPIENTS_TABLES_MAX)
		decoder_expected(d, "at most %d tables", RECIPIENTS_TABLES_MAX);
	else {
		d->source->n_recipient_tables++;
		put_line(d, form, table, domain);
		take_table(d, table, path);
	}
}

static void
with_program(struct decoder *d, enum recipients_form form, struct bytes domain, struct bytes words)
{
	uint8_t number = d->source->n_recipient_programs, room[256 + 1100];
	struct buf line = BUF_OVER(room);

	if (number == RECIPIENTS_PROGRAMS_MAX) {
		decoder_expected(d, "at most %d programs", RECIPIENTS_PROGRAMS_MAX);
		return;
	}
	buf_add_octet(&line, (uint8_t)(form | RECIPIENTS_RUNS));
	buf_add_octet(&line, number);
	for (size_t i = 0; i < domain.len; i++)
		buf_add_octet(&line, ascii_lower(domain.at[i]));
	buf_add_octet(&line, '\0');
	if (!program_decode(d, words, PROGRAM_ARGUMENTS_MAX + 1, &line)) {
		if (line.failed)
			decoder_expected(d, "at most 1000 octets of program and arguments");
		return;
	}
	d->source->n_recipient_programs++;
	decoder_put_line(d, buf_bytes(&line));
}

/* domain|program …: false if the line is none */
static bool
take_program(struct decoder *d, struct bytes line)
{
	size_t bar = bytes_find(line, '|');
	struct bytes what = bytes_first(line, bar), words = bytes_skip(line, bar + 1);
	bool exact = what.len > 0 && what.at[0] == '@';
	struct bytes domain = exact ? bytes_skip(what, 1) : what;

	if (bar == line.len)
		return false;
	if (bytes_equal(what, BYTES("*")))
		with_program(d, RECIPIENTS_BELOW, BYTES_NONE, words);
	else if (is_domain(domain))
		with_program(d, exact ? RECIPIENTS_EXACT : RECIPIENTS_BELOW, domain, words);
	else
		decoder_expected(d, "@domain|PROGRAM, domain|PROGRAM or *|PROGRAM");
	return true;
}

void
decode_recipients(struct decoder *d, struct bytes line)
{
	size_t colon = bytes_find(line, ':');
	struct bytes what = bytes_first(line, colon), path = bytes_skip(line, colon + 1);
	enum recipients_form form = what.at[0] == '@' ? RECIPIENTS_EXACT : RECIPIENTS_BELOW;
	struct bytes domain = form == RECIPIENTS_EXACT ? bytes_skip(what, 1) : what;

	if (take_program(d, line))
		return;
	if (line.at[0] == '!' && bytes_equal(line, BYTES("!*")))
		put_line(d, RECIPIENTS_ALL_OF, RECIPIENTS_NO_TABLE, BYTES_NONE);
	else if (line.at[0] == '!' && is_domain(bytes_skip(line, 1)))
		put_line(d, RECIPIENTS_ALL_OF, RECIPIENTS_NO_TABLE, bytes_skip(line, 1));
	else if (colon < line.len && bytes_equal(what, BYTES("*")))
		with_table(d, RECIPIENTS_BELOW, BYTES_NONE, path);
	else if (colon < line.len && is_domain(domain))
		with_table(d, form, domain, path);
	else if (colon == line.len && (bytes_find(line, '/') < line.len || bytes_ends_nocase(line, BYTES(".cdb"))))
		with_table(d, RECIPIENTS_BELOW, BYTES_NONE, line);
	else
		decoder_expected(
		    d, "!domain, @domain:FILE, domain:FILE, *:FILE, one of these with |PROGRAM for :FILE, or !*");
}
