/* The table of users: from users/assign, users/cdb and the host's own accounts to one sealed file.
 * Trusts the host's passwd and root's control files; each row is judged by the rule that lspawn has.
 * Never makes a row for uid 0 out of an account; looks into no home but that of who gets what no other user does, and reads names there,
 * no file. */
#include "control/users_build.h"

#include "base/le.h"
#include "control/control.h"
#include "control/format.h"
#include "sys/fd.h"

#include <assert.h>
#include <cdb.h>
#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MISSING_MAX 4096 /* octets of homes that are missing: those of more accounts are looked for less often */

struct builder {
	const struct control_source *source;
	const struct user_bounds *bounds;
	struct cdb_make make;
	uint8_t wildcards[32];
	uint8_t missing_room[MISSING_MAX];
	struct buf missing;
	char home[1024]; /* looked at last: lines of one user stand together */
	size_t home_len;
	uint64_t home_uid;
	enum user_refusal home_state;
	bool has_rest; /* the row for what no user has is there: the first one counts */
	bool failed;
};

static uint64_t
number_of(const struct control_source *s, enum control_item item)
{
	return s->items[item].value.len == 8 ? le64_get(s->items[item].value.at) : 0;
}

static void
put(struct builder *b, struct bytes key, struct bytes value)
{
	if (cdb_make_add(&b->make, key.at, (unsigned)key.len, value.len > 0 ? value.at : key.at, (unsigned)value.len) !=
	    0)
		b->failed = true;
}

static void
note_wildcard(struct builder *b, struct bytes key)
{
	uint8_t last;

	if (key.len < 2 || key.at[0] != '!' || key.at[key.len - 1] == '\0')
		return; /* a whole local part; or the empty prefix, which is always tried */
	last = key.at[key.len - 1];
	b->wildcards[last / 8] = (uint8_t)(b->wildcards[last / 8] | 1u << (last % 8));
}

static enum user_refusal
look_at_home(struct builder *b, uint64_t uid, struct bytes home)
{
	if (b->home_uid == uid && bytes_equal(home, bytes_of(b->home, b->home_len)))
		return b->home_state;
	b->home_state = user_home_check(b->bounds, uid, home);
	b->home_uid = uid;
	b->home_len = home.len < sizeof b->home ? home.len : 0;
	if (b->home_len > 0)
		memcpy(b->home, home.at, b->home_len);
	return b->home_state;
}

/* The names of the .qmail files of who gets what no other user does, if there are any: so policy can refuse what no file is for.
 * Without them, or if the home can't be read, nothing is known. */
static void
put_files(struct builder *b, struct bytes home)
{
	char path[1024];
	bool found = false;
	DIR *d = NULL;

	if (home.len < sizeof path && number_of(b->source, ITEM_DOTQMAIL) != 0) {
		memcpy(path, home.at, home.len);
		path[home.len] = '\0';
		d = opendir(path);
	}
	for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		char key[sizeof e->d_name + 1] = USERS_FILES;
		int n;

		if (strncmp(e->d_name, ".qmail-", 7) != 0)
			continue;
		found = true;
		n = snprintf(key, sizeof key, USERS_FILES "%s", e->d_name + 7);
		if (n > 1)
			put(b, bytes_of(key, (size_t)n), BYTES_NONE);
	}
	if (found)
		put(b, BYTES(USERS_FILES), home);
	if (d != NULL)
		(void)closedir(d);
}

/* A row: six fields with a zero behind each, and then whether it may be served. */
static void
put_row(struct builder *b, struct bytes key, struct bytes fields)
{
	uint8_t room[USERS_ROW_MAX];
	struct buf value = BUF_OVER(room);
	struct user_row row;
	enum user_refusal refusal;

	buf_add(&value, fields);
	buf_add_octet(&value, '0');
	buf_add_octet(&value, '\0');
	if (value.failed || !users_row_take(buf_bytes(&value), &row)) {
		b->failed = true; /* the decoders have let none through */
		return;
	}
	refusal = user_check(b->bounds, row.uid, row.gid, row.home);
	if (refusal == USER_SERVED)
		refusal = look_at_home(b, row.uid, row.home);
	room[value.len - 2] = (uint8_t)('0' + refusal);
	put(b, key, buf_bytes(&value));
	note_wildcard(b, key);
	if (!b->has_rest && bytes_equal(key, BYTES("!"))) {
		b->has_rest = true;
		if (bytes_equal(row.dash, BYTES("-")) && row.extension.len == 0)
			put_files(b, row.home);
	}
}
static_assert(USER_N_REFUSALS <= 10, "a refusal is one digit");

static void
put_fields(struct builder *b, struct bytes key, struct bytes name, uint64_t uid, uint64_t gid, struct bytes home,
    const char *dash)
{
	uint8_t room[USERS_ROW_MAX];
	struct buf fields = BUF_OVER(room);

	buf_add(&fields, name);
	buf_add_octet(&fields, '\0');
	buf_add_number(&fields, uid);
	buf_add_octet(&fields, '\0');
	buf_add_number(&fields, gid);
	buf_add_octet(&fields, '\0');
	buf_add(&fields, home);
	buf_add_octet(&fields, '\0');
	buf_add_string(&fields, dash);
	buf_add_octet(&fields, '\0');
	buf_add_octet(&fields, '\0');
	if (fields.failed)
		return; /* a name or home of no use to anybody */
	put_row(b, key, buf_bytes(&fields));
}

/* ---- the control directory's own ---- */

static void
put_assignments(struct builder *b)
{
	struct bytes at = buf_bytes(&b->source->items[ITEM_USERS_ASSIGN].table);

	while (at.len > 8) {
		size_t key_len = le32_get(at.at), value_len = le32_get(at.at + 4);
		struct bytes key = bytes_first(bytes_skip(at, 8), key_len);

		at = bytes_skip(at, 8 + key_len);
		put_row(b, key, bytes_first(at, value_len));
		at = bytes_skip(at, value_len);
	}
}

static void
put_virtual_user(struct builder *b)
{
	struct bytes owner = buf_bytes(&b->source->items[ITEM_VIRTUALUSER].value);

	if (owner.len > CONTROL_OWNER_HEAD)
		put_fields(b, BYTES(USERS_VIRTUAL), BYTES("virtual"), le32_get(owner.at), le32_get(owner.at + 4),
		    bytes_skip(owner, CONTROL_OWNER_HEAD), "");
}

/* ---- the accounts of this host ---- */

/* The account's own name, and behind each break character all that begins with it. Where an assignment has the same key it
 * stands before this one, and is found. */
static void
put_account(struct builder *b, const struct passwd *pw)
{
	struct bytes breaks = buf_bytes(&b->source->items[ITEM_USERBREAK].value), home = bytes_of_string(pw->pw_dir);
	struct bytes name = bytes_of_string(pw->pw_name);
	uint8_t room[300];
	struct buf key = BUF_OVER(room);

	buf_add_octet(&key, '!');
	for (size_t i = 0; i < name.len; i++)
		buf_add_octet(&key, ascii_lower(name.at[i]));
	buf_add_octet(&key, '\0');
	if (key.failed)
		return;
	put_fields(b, buf_bytes(&key), name, pw->pw_uid, pw->pw_gid, home, "");
	for (size_t i = 0; i < breaks.len; i++) {
		room[key.len - 1] = breaks.at[i];
		put_fields(b, buf_bytes(&key), name, pw->pw_uid, pw->pw_gid, home, "-");
	}
}

static void
note_missing(struct builder *b, uint32_t uid, struct bytes home)
{
	uint8_t head[4];

	if (home.len + sizeof head + 1 > b->missing.max - b->missing.len)
		return;
	le32_put(head, uid);
	buf_add(&b->missing, bytes_of(head, sizeof head));
	buf_add(&b->missing, home);
	buf_add_octet(&b->missing, '\0');
}

/* As qmail-getpw: the home must be there and the user's own; else nobody has that name. */
static bool
gets_mail(struct builder *b, const struct passwd *pw)
{
	struct bytes home = bytes_of_string(pw->pw_dir);
	enum user_refusal state;

	if (pw->pw_uid < b->bounds->min_uid || pw->pw_uid == 0 || pw->pw_uid >= UINT32_MAX - 1 ||
	    pw->pw_gid >= UINT32_MAX - 1 || pw->pw_dir[0] != '/' || strchr(pw->pw_name, '/') != NULL)
		return false;
	state = look_at_home(b, pw->pw_uid, home);
	if (state != USER_SERVED)
		note_missing(b, pw->pw_uid, home);
	return state == USER_SERVED;
}

static void
put_accounts(struct builder *b)
{
	struct passwd *pw;

	if (number_of(b->source, ITEM_SYSTEMUSERS) == 0)
		return;
	setpwent();
	while ((pw = getpwent()) != NULL)
		if (gets_mail(b, pw))
			put_account(b, pw);
	endpwent();
}

static void
put_alias_user(struct builder *b)
{
	struct bytes name = buf_bytes(&b->source->items[ITEM_ALIASUSER].value);
	struct passwd *pw;
	char text[64];

	if (name.len == 0 || name.len >= sizeof text)
		return;
	memcpy(text, name.at, name.len);
	text[name.len] = '\0';
	if ((pw = getpwnam(text)) != NULL)
		put_fields(b, BYTES("!"), name, pw->pw_uid, pw->pw_gid, bytes_of_string(pw->pw_dir), "-");
}

/* ---- all of it ---- */

static void
put_wildcards(struct builder *b)
{
	uint8_t set[256];
	size_t n = 0;

	for (unsigned c = 0; c < 256; c++)
		if (b->wildcards[c / 8] & 1u << (c % 8))
			set[n++] = (uint8_t)c;
	put(b, BYTES(USERS_WILDCARDS), bytes_of(set, n));
}

static enum result
fill(struct builder *b, int fd, struct why *why)
{
	if (cdb_make_start(&b->make, fd) != 0)
		return why_errno(why, EXHAUSTED, "making the table of users");
	put(b, BYTES(USERS_HEAD), BYTES(USERS_VERSION));
	put_assignments(b);
	put_virtual_user(b);
	put_accounts(b);
	put_alias_user(b);
	put_wildcards(b);
	put(b, BYTES(USERS_MISSING), buf_bytes(&b->missing));
	if (cdb_make_finish(&b->make) != 0 || b->failed)
		return why_errno(why, EXHAUSTED, "filling the table of users");
	return fd_seal(fd, why);
}

struct user_bounds
users_bounds_of(const struct control_source *s)
{
	return (struct user_bounds){ .min_uid = (uint32_t)number_of(s, ITEM_MINUID),
		.min_gid = (uint32_t)number_of(s, ITEM_MINGID) };
}

enum result
users_build(const struct control_source *s, const struct user_bounds *bounds, int fd, struct why *why)
{
	static struct builder b;

	b = (struct builder){ .source = s, .bounds = bounds };
	b.missing = BUF_OVER(b.missing_room);
	return fill(&b, fd, why);
}

enum result
users_build_for(const struct control_source *s, const struct user_bounds *bounds, struct control *c, struct why *why)
{
	int fd = memfd_create("users", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	enum result r = fd >= 0 ? OK : why_errno(why, EXHAUSTED, "making a memory file");

	if (r == OK && (r = users_build(s, bounds, fd, why)) == OK && (r = fd_reopen_read_only(&fd, why)) == OK)
		r = control_take_users(c, fd, why);
	fd_close(&fd);
	return r;
}
