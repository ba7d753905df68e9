/* From an address to the user whose mail it is.
 * Trusts the sealed table; the address comes from the network.
 * Never lets a path separator or a control octet of an address through to a user, never takes a table that can't be
 * read for one without the user. */
#include "control/users.h"

#include <string.h>

static bool
is_usable(struct bytes local)
{
	if (local.len == 0 || local.len > USER_LOCAL_MAX)
		return false;
	for (size_t i = 0; i < local.len; i++)
		if (local.at[i] < 0x20 || local.at[i] == 0x7f || local.at[i] == '/')
			return false;
	return true;
}

/* Fills u from a row; rest: what of the local part a prefix left over. */
static enum result
fill(const struct control *c, struct bytes key, struct bytes value, struct bytes rest, struct user *u)
{
	struct buf extension = BUF_OVER(u->room);
	struct user_row row;

	if (!users_row_take(value, &row) || key.len > sizeof u->key_room)
		return BROKEN;
	buf_add(&extension, row.extension);
	buf_add(&extension, rest);
	memcpy(u->key_room, key.at, key.len);
	u->key = bytes_of(u->key_room, key.len);
	u->row = value;
	u->uid = row.uid;
	u->gid = row.gid;
	u->name = row.name;
	u->home = row.home;
	u->dash = row.dash;
	u->extension = buf_bytes(&extension);
	u->maildir = control_text(c, ITEM_DEFAULTDELIVERY);
	u->is_virtual = u->has_no_file = false;
	u->refusal = row.refusal;
	return extension.failed ? ABSENT : row.refusal != USER_SERVED ? REFUSED : OK;
}

/* As lib/mail/dotqmail has the names: the whole extension; then each prefix that is empty or ends in `-`, and `default`. */
static bool
has_no_file(const struct control *c, struct bytes extension)
{
	uint8_t room[2 * USER_LOCAL_MAX + 20];
	struct bytes none;

	if (control_number(c, ITEM_DOTQMAIL) == 0 || users_table_find(&c->users, BYTES(USERS_FILES), &none) != OK)
		return false;
	for (size_t i = 0, n = extension.len; i <= extension.len + 1; i++, n = extension.len + 1 - i) {
		struct buf key = BUF_OVER(room);

		if (i > 0 && n > 0 && extension.at[n - 1] != '-')
			continue;
		buf_add_string(&key, USERS_FILES);
		for (size_t k = 0; k < n; k++)
			buf_add_octet(&key, extension.at[k] == '.' ? ':' : ascii_lower(extension.at[k]));
		buf_add_string(&key, i > 0 ? "default" : "");
		if (key.failed || users_table_find(&c->users, buf_bytes(&key), &none) != ABSENT)
			return false;
	}
	return true;
}

enum result
users_find(const struct control *c, struct bytes local, struct user *u)
{
	uint8_t room[USER_LOCAL_MAX + 2];
	struct buf key = BUF_OVER(room);
	struct bytes value, wildcards = BYTES_NONE;
	enum result r;

	if (!is_usable(local))
		return ABSENT;
	buf_add_octet(&key, '!');
	for (size_t i = 0; i < local.len; i++)
		buf_add_octet(&key, ascii_lower(local.at[i]));
	buf_add_octet(&key, '\0');
	r = users_table_find(&c->users, buf_bytes(&key), &value);
	if (r == OK)
		return fill(c, buf_bytes(&key), value, BYTES_NONE, u);
	if (r != ABSENT || (r = users_table_find(&c->users, BYTES(USERS_WILDCARDS), &wildcards)) != OK)
		return BROKEN; /* each table has its set of last octets */
	for (size_t n = local.len + 1; n-- > 0;) {
		if (n > 0 && bytes_find(wildcards, room[n]) == wildcards.len)
			continue;
		r = users_table_find(&c->users, bytes_of(room, n + 1), &value);
		if (r == OK) {
			r = fill(c, bytes_of(room, n + 1), value, bytes_skip(local, n), u);
			u->has_no_file = n == 0 && r == OK && has_no_file(c, u->extension);
			return r;
		}
		if (r != ABSENT)
			return BROKEN;
	}
	return ABSENT;
}

/* The mailbox of the address without an extension: its local part up to a break character, the longest that is one. */
static enum result
find_extended(const struct control *c, struct bytes address, size_t at, struct bytes *maildir, size_t *base)
{
	struct bytes breaks = control_text(c, ITEM_VIRTUALBREAK);
	uint8_t room[USER_LOCAL_MAX + 256];
	enum result r = ABSENT;

	for (size_t n = at; r == ABSENT && breaks.len > 0 && n-- > 1;) {
		struct buf shorter = BUF_OVER(room);

		if (bytes_find(breaks, address.at[n]) == breaks.len)
			continue;
		buf_add(&shorter, bytes_first(address, n));
		buf_add(&shorter, bytes_skip(address, at));
		if (!shorter.failed)
			r = control_find(c, ITEM_VIRTUALUSERS, buf_bytes(&shorter), maildir);
		*base = n;
	}
	return r;
}

/* A mailbox of virtualusers: the address, then the address without its extension, then all others of its domain. */
static enum result
find_mailbox(const struct control *c, struct bytes address, size_t at, struct user *u)
{
	struct bytes maildir, row;
	size_t base = at;
	enum result r;

	if (!is_usable(bytes_first(address, at)))
		return ABSENT;
	r = control_find(c, ITEM_VIRTUALUSERS, address, &maildir);
	if (r == ABSENT && (r = find_extended(c, address, at, &maildir, &base)) == ABSENT) {
		base = at;
		r = control_find(c, ITEM_VIRTUALUSERS, bytes_skip(address, at), &maildir);
	}
	if (r != OK)
		return r;
	if (users_table_find(&c->users, BYTES(USERS_VIRTUAL), &row) != OK)
		return BROKEN; /* virtualusers without a virtualuser is no configuration */
	r = fill(
	    c, BYTES(USERS_VIRTUAL), row, base < at ? bytes_skip(bytes_first(address, at), base + 1) : BYTES_NONE, u);
	u->maildir = maildir;
	u->is_virtual = true;
	return r;
}

/* The prefix of a virtual domain. OK with *user possibly empty: an exception. */
static enum result
find_virtual_domain(const struct control *c, struct bytes address, size_t at, struct bytes *user)
{
	enum result r = control_find(c, ITEM_VIRTUALDOMAINS, address, user);

	for (size_t i = at + 1; r == ABSENT && i <= address.len; i++)
		if (i == at + 1 || i == address.len || address.at[i] == '.')
			r = control_find(c, ITEM_VIRTUALDOMAINS, bytes_skip(address, i), user);
	return r;
}

/* user%other@domain is user@other where domain is in percenthack; as often as it is. */
static enum result
unpercent(const struct control *c, struct bytes *local, struct bytes *domain)
{
	enum result r;
	struct bytes none;
	size_t percent;

	while ((percent = bytes_find_last(*local, '%')) < local->len) {
		r = control_find(c, ITEM_PERCENTHACK, *domain, &none);
		if (r != OK)
			return r == ABSENT ? OK : r;
		*domain = bytes_skip(*local, percent + 1);
		*local = bytes_first(*local, percent);
	}
	return OK;
}

/* The whole address in d->room, to show parts of it. */
static size_t
join(struct destination *d, struct bytes before, struct bytes local, struct bytes domain)
{
	uint8_t joined[sizeof d->room]; /* local may show d->room */
	struct buf whole = BUF_OVER(joined);
	size_t at;

	if (before.len > 0) {
		buf_add(&whole, before);
		buf_add_octet(&whole, '-');
	}
	buf_add(&whole, local);
	at = whole.len;
	buf_add_octet(&whole, '@');
	buf_add(&whole, domain);
	memcpy(d->room, joined, whole.len);
	d->address = whole.failed ? BYTES_NONE : bytes_of(d->room, whole.len);
	d->domain = bytes_skip(d->address, at + 1);
	return at;
}

static enum result
find_ours(const struct control *c, struct destination *d, size_t at)
{
	d->route = ROUTE_LOCAL;
	return users_find(c, bytes_first(d->address, at), &d->user);
}

static enum result
find_virtual(const struct control *c, struct destination *d, size_t at, struct bytes local, struct bytes domain)
{
	struct bytes user = BYTES_NONE;
	enum result r = find_virtual_domain(c, d->address, at, &user);

	if (r == ABSENT || (r == OK && user.len == 0)) {
		d->route = ROUTE_REMOTE;
		return OK;
	}
	if (r != OK)
		return r;
	at = join(d, user, local, domain);
	return d->address.at == NULL ? ABSENT : find_ours(c, d, at);
}

/* Whether virtualusers has mailboxes in the domain is not known by the domain alone; so it is the address that is looked
 * up before the domain is asked about. */
static enum result
route(const struct control *c, struct bytes local, struct bytes domain, struct destination *d)
{
	size_t at = join(d, BYTES_NONE, local, domain);
	struct bytes none;
	enum result r;

	d->route = ROUTE_LOCAL;
	if (d->address.at == NULL)
		return ABSENT;
	r = find_mailbox(c, d->address, at, &d->user);
	if (r != ABSENT)
		return r;
	r = control_find(c, ITEM_LOCALS, domain, &none);
	if (r == OK)
		return find_ours(c, d, at);
	if (r == ABSENT && (r = find_virtual(c, d, at, local, domain)) == OK && d->route == ROUTE_REMOTE &&
	    control_find(c, ITEM_VIRTUALUSERS, d->domain, &none) == OK)
		return ABSENT; /* the domain has mailboxes, not this one */
	return r;
}

/* "john\.doe" in quotes is john.doe (RFC 5321 4.1.2): both forms of a local part are one user. */
static bool
unquote(struct bytes *local, uint8_t room[USER_LOCAL_MAX])
{
	struct bytes in = *local;
	struct buf out = buf_over(room, USER_LOCAL_MAX);

	if (in.len < 2 || in.at[0] != '"' || in.at[in.len - 1] != '"')
		return true;
	in = bytes_skip(bytes_first(in, in.len - 1), 1);
	for (size_t i = 0; i < in.len; i++) {
		if (in.at[i] == '\\' && i + 1 < in.len)
			i++;
		buf_add_octet(&out, in.at[i]);
	}
	*local = buf_bytes(&out);
	return !out.failed;
}

static bool
is_nobody(const struct destination *d)
{
	return d->route == ROUTE_LOCAL && d->user.has_no_file;
}

enum result
users_route(const struct control *c, struct bytes address, struct destination *d)
{
	size_t at = bytes_find_last(address, '@');
	struct bytes local = bytes_first(address, at), domain = bytes_skip(address, at + 1), other;
	uint8_t room[USER_LOCAL_MAX];
	enum result r;

	if (!unquote(&local, room))
		return ABSENT;
	if (at == address.len)
		domain = control_text(c, ITEM_ENVNOATHOST);
	if ((r = unpercent(c, &local, &domain)) != OK)
		return r;
	r = route(c, local, domain, d);
	other = control_text(c, ITEM_POSTMASTER);
	if ((r != ABSENT && !(r == OK && is_nobody(d))) || !bytes_equal_nocase(local, BYTES("postmaster")) ||
	    other.len == 0)
		return r;
	at = bytes_find_last(other, '@');
	return route(c, bytes_first(other, at),
	    at == other.len ? control_text(c, ITEM_ENVNOATHOST) : bytes_skip(other, at + 1), d);
}

enum result
users_route_now(const struct control *c, struct bytes address, struct destination *d)
{
	enum result r = users_route(c, address, d);

	return r == OK && is_nobody(d) ? ABSENT : r;
}
