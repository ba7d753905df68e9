/* The life of a connection before its program has it.
 * Trusts the kernel for the addresses and root's rules; names that strangers say are asked for by lookup.h.
 * Never reads from the connection; what is denied hears nothing. */
#include "ucspi/session.h"

#include "sys/confine_into.h"
#include "sys/fd.h"
#include "ucspi/environment.h"
#include "ucspi/rules_file.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_TROUBLE 111

/* ---- who is there ---- */

static void
find_ends(const struct server *s, struct session *c)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof at;

	if (getsockname(c->connection, (struct sockaddr *)&at, &len) != 0 ||
	    !address_from(&at, s->o.as_ipv6, &c->local))
		_exit(EXIT_TROUBLE); /* gone already */
	address_text(&c->local, c->local_text);
	address_text(&c->remote, c->remote_text);
}

static void
prepare_socket(const struct server *s, const struct session *c)
{
	int on = 1;

	if (!s->o.keep_route && c->local.len == 4)
		(void)setsockopt(c->connection, IPPROTO_IP, IP_OPTIONS, "", 0);
	if (!s->o.delay)
		(void)setsockopt(c->connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void
look_up(const struct server *s, struct session *c)
{
	if (s->o.local_name != NULL) {
		struct buf name = buf_over(c->local_name, sizeof c->local_name);

		buf_add_string(&name, s->o.local_name);
		if (buf_string(&name) == NULL)
			c->local_name[0] = '\0';
	} else
		lookup_name(&s->lookup, &c->local, false, c->local_name);
	if (s->o.look_up_name)
		lookup_name(&s->lookup, &c->remote, s->o.certain_name, c->remote_name);
	if (s->o.ask_ident)
		lookup_ident(&s->lookup, &c->local, &c->remote, c->remote_info);
}

/* ---- rules ---- */

static void
put_variables(struct session *c, struct bytes data)
{
	char name_text[256], value_text[RULES_DATA_MAX];
	struct bytes name, value;

	while (rules_next_variable(&data, &name, &value)) {
		struct buf n = BUF_OVER(name_text), v = BUF_OVER(value_text);

		buf_add(&n, name);
		buf_add(&v, value);
		if (buf_string(&n) == NULL || buf_string(&v) == NULL)
			say_die(EXIT_TROUBLE, "a rule's variable is too long");
		environment_put(name_text, value_text);
		c->certificate_in_rule |= bytes_equal(name, BYTES("CERTFILE"));
	}
}

/* *found: a rule matched. Returns if the connection is denied. */
static bool
is_denied(const struct server *s, struct session *c, const char *file, bool with_names, bool *found)
{
	struct rules_query q = { .address = c->remote.octets, .address_len = c->remote.len };
	uint8_t room[RULES_DATA_MAX];
	struct buf data = BUF_OVER(room);
	struct why why = WHY_NONE;
	enum result r;

	*found = false;
	if (file == NULL)
		return false;
	if (with_names && c->remote_name[0] != '\0')
		q.host = bytes_of_string(c->remote_name);
	if (with_names && c->remote_info[0] != '\0')
		q.info = bytes_of_string(c->remote_info);
	r = rules_file_find(file, s->o.rules_may_lack, &q, &data, &why);
	if (r == ABSENT)
		return false;
	if (r != OK)
		say_die(EXIT_TROUBLE, "%s", why.text);
	*found = true;
	put_variables(c, buf_bytes(&data));
	return rules_denies(buf_bytes(&data));
}

static bool
is_one_too_many(const struct session *c)
{
	const char *text = getenv("MAXCONIP");
	unsigned max;

	return text != NULL && options_number(text, UINT32_MAX, &max) && max > 0 && c->n_from_address > max;
}

static void
say_verdict(const struct session *c, const char *verdict, const char *note)
{
	uint8_t room[900];
	struct buf line = BUF_OVER(room);

	buf_format(&line, "%s %d ", verdict, (int)getpid());
	say_clean(&line, c->local_name);
	buf_format(&line, ":%s:%u ", c->local_text, c->local.port);
	say_clean(&line, c->remote_name);
	buf_format(&line, ":%s:", c->remote_text);
	say_clean(&line, c->remote_info);
	buf_format(&line, ":%u%s", c->remote.port, note);
	say_status("%.*s", (int)line.len, (const char *)room);
}

static void
ask_rules(const struct server *s, struct session *c)
{
	bool early, late;
	bool denied = is_denied(s, c, s->o.early_rules, false, &early);

	if (!denied)
		look_up(s, c);
	if (!denied && !early)
		denied = is_denied(s, c, s->o.rules, true, &late);
	environment_set(s, c, s->secure != NULL);
	if (!denied && is_one_too_many(c)) {
		say_verdict(c, "deny", " ip connection limit");
		_exit(DENIED_STATUS);
	}
	say_verdict(c, denied ? "deny" : "ok", "");
	if (denied)
		_exit(DENIED_STATUS);
}

/* ---- the program ---- */

static void
greet(const struct server *s, const struct session *c)
{
	if (s->o.banner != NULL && fd_write_all(c->out, bytes_of_string(s->o.banner)) != OK)
		_exit(EXIT_TROUBLE);
}

static void
place(const struct session *c)
{
	int in = fcntl(c->in, F_DUPFD_CLOEXEC, 3), out = fcntl(c->out, F_DUPFD_CLOEXEC, 3);

	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0)
		say_die(EXIT_TROUBLE, "unable to set up descriptors: %s", strerror(errno));
}

/* The accepting process's own are not for the program. */
static void
usual_signals(void)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGCHLD };
	struct sigaction usual = { .sa_handler = SIG_DFL };

	for (size_t i = 0; i < nitems(signals); i++)
		(void)sigaction(signals[i], &usual, NULL);
}

__attribute__((noreturn)) static void
execute(const struct server *s)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };

	(void)sigaction(SIGPIPE, &usual, NULL); /* ignored until now */
	(void)execvp(s->o.program[0], s->o.program);
	say_die(EXIT_TROUBLE, "unable to run %s: %s", s->o.program[0], strerror(errno));
}

void
session_run(struct server *s, int connection, const struct address *peer, unsigned n_from_address)
{
	static struct session c;
	struct why why = WHY_NONE;

	usual_signals();
	(void)close(s->listening);
	c = (struct session){ .connection = connection,
		.in = connection,
		.out = connection,
		.remote = *peer,
		.n_from_address = n_from_address };
	find_ends(s, &c);
	say_status("pid %d from %s", (int)getpid(), c.remote_text);
	prepare_socket(s, &c);
	if (s->secure == NULL)
		greet(s, &c);
	ask_rules(s, &c);
	if (s->secure != NULL)
		s->secure(s, &c);
	if (process_become(s->o.uid, s->o.gid, &why) != OK)
		say_die(EXIT_TROUBLE, "%s", why.text);
	if (s->begin != NULL)
		s->begin(s, &c);
	if (s->secure != NULL)
		greet(s, &c);
	place(&c);
	execute(s);
}
