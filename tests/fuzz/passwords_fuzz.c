/* Fuzz target: the tables of passwords, from their text to what auth is told of a name.
 * Input: one octet that chooses the table, its text up to a zero, a login name.
 * A finding is a crash, a table that was taken and can't be asked, or an entry whose words are not those of the table. */
#include "control/decode.h"
#include "control/passwords.h"

#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool fine)
{
	if (!fine)
		abort();
}

static bool
decode(struct control_source *s, enum control_item item, struct bytes text)
{
	struct control_data *to = &s->items[item];
	struct decoder d = { .source = s,
		.item = item,
		.schema = &control_schema[item],
		.file = "fuzz",
		.rest = text,
		.value = &to->value,
		.table = &to->table,
		.seen = &to->seen };

	decode_text(&d);
	return !d.failed && !d.value->failed && !d.table->failed;
}

static bool
is_in(struct bytes part, struct bytes text)
{
	for (size_t i = 0; i + part.len <= text.len; i++)
		if (bytes_equal(part, bytes_of(text.at + i, part.len)))
			return true;
	return false;
}

/* is there a = before it in the table, which says that all the rest is the password? */
static bool
is_literal(struct bytes password, struct bytes text)
{
	for (size_t i = 0; i + 1 + password.len <= text.len; i++)
		if (text.at[i] == '=' && bytes_equal(password, bytes_of(text.at + i + 1, password.len)))
			return true;
	return false;
}

static void
look(const struct password_entry *e, struct bytes text, bool is_authuser)
{
	struct scram_verifier v;

	must(e->hash.len <= PASSWORD_HASH_MAX && is_in(e->hash, text) && is_in(e->scram, text) &&
	    is_in(e->digest, text));
	must(e->scram.len == 0 ||
	    (passwords_cut_scram(e->scram, &v) == OK && v.salt_len > 0 && v.salt_len <= sizeof v.salt));
	must(e->clear.len == 0 || (e->digest.len == 0 && e->clear.len <= PASSWORD_NAME_MAX));
	must(e->digest.len == 0 || e->digest.len == 32 || e->digest.len == 40 || e->digest.len == 64);
	if (is_authuser) /* what is behind a % is a sum, and never a password itself: for that it takes a = */
		must(e->hash.len == 0 && e->scram.len == 0 &&
		    (e->clear.len == 0 || e->clear.at[0] != '%' || is_literal(e->clear, text)));
	else
		must(!e->elsewhere && e->digest.len == 0);
}

static void
ask(const struct control *c, struct bytes name, struct bytes text, bool is_authuser)
{
	struct password_entry e;
	enum result r = passwords_find(c, name, &e);

	must(r == OK || r == ABSENT);
	if (r == OK)
		look(&e, text, is_authuser);
	must(passwords_dummy(c).len > 20 && passwords_dummy(c).len <= PASSWORD_HASH_MAX);
}

/* each name that the table has */
static void
ask_all(const struct control *c, struct bytes text, bool is_authuser)
{
	struct bytes rest = text, line;

	for (unsigned n = 0; n < 64 && rest.len > 0; n++) {
		line = bytes_first(rest, bytes_find(rest, '\n'));
		rest = bytes_skip(rest, line.len + 1);
		ask(c, bytes_first(line, bytes_find(line, ':')), text, is_authuser);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_source s = {
		.from = { .etc = "/etc", .service = "submission", .readers = BY_AUTH }, .etc_fd = -1, .service_fd = -1
	};
	struct bytes rest = bytes_of(data, size), text;
	struct why why = WHY_NONE;
	struct control c;
	bool is_authuser;
	int fd;

	if (size < 1)
		return 0;
	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++)
		s.items[i] = (struct control_data){ .value = buf_growing(1u << 22), .table = buf_growing(1u << 22) };
	is_authuser = data[0] & 1;
	rest = bytes_skip(rest, 1);
	text = bytes_first(rest, bytes_find(rest, '\0'));
	must(decode(&s, ITEM_ME, BYTES("mx.example.org")));
	if (decode(&s, is_authuser ? ITEM_AUTHUSER : ITEM_PASSWORDS, text)) {
		must(control_seal(&s, "auth", &fd, &why) == OK && control_open(&c, fd, "auth", &why) == OK);
		ask(&c, bytes_skip(rest, text.len + 1), text, is_authuser);
		ask_all(&c, text, is_authuser);
		control_close(&c);
		(void)close(fd);
	}
	control_forget(&s);
	return 0;
}
