/* The life of a connection before its program has it.
 * Trusts the kernel for the addresses and root's rules; names that strangers say are asked for by lookup.h.
 * Never reads from the connection; what is denied hears nothing. */
#include "ucspi/session.h"

#include "sys/confine_into.h"
#include "sys/fd.h"
#include "sys/log_out.h"
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
prepare_socket(const struct server *s, const struct session *c)
{
	int on = 1;

	if (!s->o.keep_route && c->ends.local.len == 4)
		(void)setsockopt(c->connection, IPPROTO_IP, IP_OPTIONS, "", 0);
	if (!s->o.delay)
		(void)setsockopt(c->connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
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
	struct rules_query q = { .address = c->ends.remote.octets, .address_len = c->ends.remote.len };
	uint8_t room[RULES_DATA_MAX];
	struct buf data = BUF_OVER(room);
	struct why why = WHY_NONE;
	enum result r;

	*found = false;
	if (file == NULL)
		return false;
	if (with_names && c->ends.remote_name[0] != '\0')
		q.host = bytes_of_string(c->ends.remote_name);
	if (with_names && c->ends.remote_info[0] != '\0')
		q.info = bytes_of_string(c->ends.remote_info);
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
	say_clean(&line, c->ends.local_name);
	buf_format(&line, ":%s:%u ", c->ends.local_text, c->ends.local.port);
	say_clean(&line, c->ends.remote_name);
	buf_format(&line, ":%s:", c->ends.remote_text);
	say_clean(&line, c->ends.remote_info);
	buf_format(&line, ":%u%s", c->ends.remote.port, note);
	say_status("%.*s", (int)line.len, (const char *)room);
}

static void
ask_rules(const struct server *s, struct session *c)
{
	struct ends_wanted wanted = { s->o.local_name, s->o.look_up_name, s->o.certain_name, s->o.ask_ident };
	bool early, late;
	bool denied = is_denied(s, c, s->o.early_rules, false, &early);

	if (!denied)
		ends_look_up(&c->ends, &s->lookup, &wanted);
	if (!denied && !early)
		denied = is_denied(s, c, s->o.rules, true, &late);
	environment_set(&c->ends, s->secure != NULL, s->secure == NULL || s->o.tcp_variables);
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
	log_out_usual_signals();
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
		.ends.remote = *peer,
		.n_from_address = n_from_address };
	if (!ends_find(&c.ends, connection, s->o.as_ipv6))
		_exit(EXIT_TROUBLE); /* gone already */
	say_status("pid %d from %s", (int)getpid(), c.ends.remote_text);
	prepare_socket(s, &c);
	if (s->secure == NULL)
		greet(s, &c);
	ask_rules(s, &c);
	if (s->secure != NULL)
		s->secure(s, &c);
	if ((s->o.uid != 0 || s->o.gid != 0) && process_become(s->o.uid, s->o.gid, &why) != OK)
		say_die(EXIT_TROUBLE, "%s", why.text);
	if (s->begin != NULL)
		s->begin(s, &c);
	if (s->secure != NULL)
		greet(s, &c);
	place(&c);
	execute(s);
}
