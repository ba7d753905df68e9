/* What a program is told of its delivery (qmail-command(8)).
 * Trusts no value: addresses are a stranger's.
 * Never lets one through that a shell could take for code, and tells nothing of the service. */
#include "pipe/pipe.h"

#include "base/bytes.h"
#include "config.h"
#include "mail/from_line.h"

#define PROGRAM_PATH POSTERN_QMAILBINDIR ":" POSTERN_BINDIR ":/usr/local/bin:/usr/bin:/bin"

static void
begin(struct environment *e, const char *name)
{
	if (e->n >= ENVIRONMENT_MAX)
		e->room.failed = true;
	else
		e->words[e->n++] = (char *)e->octets + e->room.len;
	buf_add_string(&e->room, name);
	buf_add_octet(&e->room, '=');
}

static void
end(struct environment *e)
{
	buf_add_octet(&e->room, '\0');
}

static void
set(struct environment *e, const char *name, struct bytes value)
{
	e->is_code |= bytes_starts(value, BYTES("() {")) || bytes_find(value, '\0') < value.len;
	begin(e, name);
	buf_add(&e->room, value);
	end(e);
}

/* NAME, then NAME2 to NAME4: what is behind the first, second and third `-`. */
static void
set_extensions(struct environment *e, struct bytes extension)
{
	static const char *const names[] = { "EXT2", "EXT3", "EXT4" };

	set(e, "EXT", extension);
	for (size_t i = 0; i < nitems(names); i++) {
		extension = bytes_skip(extension, bytes_find(extension, '-') + 1);
		set(e, names[i], extension);
	}
}

/* The host, and then what is left without its last label, again and again. */
static void
set_hosts(struct environment *e, struct bytes host)
{
	static const char *const names[] = { "HOST2", "HOST3", "HOST4" };

	set(e, "HOST", host);
	for (size_t i = 0; i < nitems(names); i++) {
		host = bytes_first(host, bytes_find_last(host, '.'));
		set(e, names[i], host);
	}
}

static void
set_address(struct environment *e, const char *name, const char *before, struct bytes local, struct bytes host,
    const char *after)
{
	begin(e, name);
	buf_add_string(&e->room, before);
	buf_add(&e->room, local);
	buf_add_octet(&e->room, '@');
	buf_add(&e->room, host);
	buf_add_string(&e->room, after);
	end(e);
}

static void
set_lines(struct environment *e, const struct bytes f[PI_RUN_FIELDS], uint64_t now_s)
{
	set_address(e, "DTLINE", "Delivered-To: ", f[PI_LOCAL], f[PI_HOST], "\n");
	begin(e, "RPLINE");
	buf_add_string(&e->room, "Return-Path: <");
	buf_add(&e->room, f[PI_SENDER]);
	buf_add_string(&e->room, ">\n");
	end(e);
	begin(e, "UFLINE");
	from_line_put(&e->room, f[PI_SENDER], now_s);
	end(e);
}

enum result
environment_make(struct environment *e, const char *home, const struct pi_run *run, const struct bytes f[PI_RUN_FIELDS],
    uint64_t now_s, struct why *why)
{
	e->room = BUF_OVER(e->octets);
	e->n = 0;
	e->is_code = false;
	set(e, "PATH", BYTES(PROGRAM_PATH));
	set(e, "SHELL", BYTES("/bin/sh"));
	set(e, "HOME", bytes_of_string(home));
	set(e, "USER", f[PI_USER]);
	set(e, "LOGNAME", f[PI_USER]);
	set(e, "SENDER", f[PI_SENDER]);
	set(e, "NEWSENDER", f[PI_NEWSENDER]);
	set_address(e, "RECIPIENT", "", f[PI_LOCAL], f[PI_HOST], "");
	set(e, "LOCAL", f[PI_LOCAL]);
	set_hosts(e, f[PI_HOST]);
	set_extensions(e, f[PI_EXTENSION]);
	if (run->has_default)
		set(e, "DEFAULT", f[PI_DEFAULT]);
	set_lines(e, f, now_s);
	e->words[e->n] = NULL;
	if (e->is_code)
		return why_set(why, REFUSED, "an address that begins like a shell function is not told to programs");
	return e->room.failed ? why_set(why, EXHAUSTED, "the addresses are too long for a program") : OK;
}
