/* postern explain: the tables of the service send, asked about one address, and then DNS.
 * Trusts the control directory and resolve as send and remote do: it is the same code that answers.
 * Never sends anything, and never prints a password. */
#include "postern/explain.h"

#include "config.h"
#include "control/source.h"
#include "control/users.h"
#include "control/users_build.h"
#include "net/mailbox.h"
#include "sys/about.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

struct question {
	const char *etc, *run, *sender, *address;
	const char *checks; /* the service whose checks are asked for; null: none */
	bool given[N_CONTROL_ITEMS];
};

void
explain_row(const char *about, const char *format, ...)
{
	char text[2000];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	for (char *c = text; *c != '\0'; c++) /* the terminal is nobody's but the administrator's */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	(void)printf("  %-12s %s\n", about, text);
}

/* ---- of the tables ---- */

static void
say_route(const struct peer_order *o)
{
	const struct mail_route *r = &o->route;
	char port[16] = "";

	if (r->port != 0)
		(void)snprintf(port, sizeof port, " port %u", r->port);
	if (r->table == NULL)
		explain_row("route", "none: the domain's MX hosts");
	else if (r->relay.len == 0)
		explain_row("route", "the domain's MX hosts, by the line \"%.*s:\" of %s", SHOW(r->key), r->table);
	else
		explain_row("route", "to %.*s%s%s, by the line \"%.*s:\" of %s", SHOW(r->relay), port,
		    r->qmtp ? " by QMTP" : "", SHOW(r->key), r->table);
	if (r->user.len > 0)
		explain_row("login", "as %.*s, with the password of that line, %s", SHOW(r->user),
		    r->without_tls ? "even without TLS" : "only in TLS");
}

static void
say_local_side(const struct peer_order *o)
{
	if (o->side.address.len > 0)
		explain_row("comes from", "%.*s, by domainips", SHOW(o->side.address));
	explain_row("says", "EHLO %.*s%s", SHOW(o->helo), o->side.helo.len > 0 ? ", by domainips" : "");
	if (o->certificate.len > 0)
		explain_row("certificate", "%.*s, to a peer that asks for one, by domaincerts", SHOW(o->certificate));
}

void
explain_demand(const struct tls_policy *p, const char *names, struct buf *text)
{
	static const char *const demands[] = {
		[TLS_MODE_NEVER] = "no TLS",
		[TLS_MODE_OPPORTUNISTIC] = "TLS if it can be had, with any certificate or none, else plain text",
		[TLS_MODE_CERTIFICATE] = "TLS if it can be had, and then with a certificate, else plain text",
		[TLS_MODE_MANDATORY] = "TLS, with any certificate or none",
		[TLS_MODE_CA] = "TLS, with a certificate that verifies",
		[TLS_MODE_WILDCARD] = "TLS, with a certificate that verifies and has, perhaps by a wildcard, the name ",
		[TLS_MODE_NAME] = "TLS, with a certificate that verifies and has in full the name ",
		[TLS_MODE_PIN] = "TLS, with the certificate of the fingerprint ",
	};

	buf_add_string(text, demands[p->mode]);
	if (p->mode == TLS_MODE_WILDCARD || p->mode == TLS_MODE_NAME)
		buf_add_string(text, names);
	for (unsigned i = 0; p->mode == TLS_MODE_PIN && i < p->pin_len; i++)
		buf_format(text, "%02x", p->pin[i]);
	if (p->mode >= TLS_MODE_CA && p->mode <= TLS_MODE_NAME)
		buf_format(text, "; CAs: %.*s", SHOW(p->ca.len > 0 ? p->ca : BYTES("those of cafile")));
	if (p->ciphers.len > 0)
		buf_format(text, "; ciphers of TLS 1.2: %.*s", SHOW(p->ciphers));
	if (p->depth > 0)
		buf_format(text, "; chain of at most %u", p->depth);
}

static void
say_policy(const struct control *c, const struct peer_order *o)
{
	uint8_t room[1900];
	struct buf text = BUF_OVER(room);

	if (o->policy.by_line)
		buf_format(&text, "by the line \"%.*s:\" of tlsdestinations, for %.*s: ", SHOW(o->policy.line),
		    SHOW(o->policy_host));
	else if (control_text(c, ITEM_TLSDESTINATIONS).len == 0)
		buf_add_string(&text, "there are no tlsdestinations: ");
	else
		buf_format(&text, "no line of tlsdestinations fits %.*s: ", SHOW(o->policy_host));
	explain_demand(&o->policy, "of the host", &text);
	explain_row("TLS", "%.*s", SHOW(buf_bytes(&text)));
	explain_row("port", "%u%s", o->peer.port, o->peer.implicit_tls ? ", TLS from the first octet" : "");
	explain_row("DANE", "%s",
	    o->peer.dane == RM_DANE_OFF ? "off: TLSA records do not count"
		: o->peer.dane == RM_DANE_AFTER
		? "after: TLSA records count where no line of tlsdestinations fits"
		: "first: TLSA records go before tlsdestinations, but not before a ! line");
}

/* ---- of one address ---- */

static int
elsewhere(const struct question *q, const struct control *c, struct bytes domain)
{
	static struct peer_order o;
	struct why why = WHY_NONE;
	enum result r = peer_order_find(c, bytes_of_string(q->sender), domain, &o, &why);

	if (r == OK || (r == AGAIN && o.route.relay.len > 0)) {
		say_route(&o);
		say_local_side(&o);
		say_policy(c, &o);
	}
	if (r == OK)
		return explain_hosts(q->run, c, &o);
	explain_row("so", "%s: %s", r == MALFORMED ? "returned" : "it would wait", why.text);
	return r == MALFORMED ? EXPLAIN_RETURNED : EXPLAIN_WAITS;
}

static void
say_user(const struct control *c, const struct destination *d)
{
	const struct user *u = &d->user;
	bool instructed = control_number(c, ITEM_DOTQMAIL) != 0 && !u->is_virtual;

	explain_row("is", "a mailbox of this host, by %s", u->is_virtual ? "virtualusers" : "its users");
	explain_row("user", "%.*s, uid %u", SHOW(u->name), u->uid);
	if (u->extension.len > 0)
		explain_row("extension", "%.*s", SHOW(u->extension));
	explain_row("Maildir", "%.*s/%.*s%s", SHOW(u->home), SHOW(u->maildir),
	    instructed ? ", unless a .qmail file there says otherwise (dot-qmail(5))" : "");
}

static int
explain(const struct question *q, const struct control *c)
{
	struct destination d;
	enum result r = users_route_now(c, bytes_of_string(q->address), &d);

	(void)printf("%s\n", q->address);
	explain_row("from", "%s", q->sender[0] != '\0' ? q->sender : "<> (as a report would be)");
	if (r == ABSENT) {
		explain_row("so", "returned: the domain is this host's own, and there is no mailbox by that name");
		return EXPLAIN_RETURNED;
	}
	if (r == REFUSED) {
		say_user(c, &d);
		explain_row("so", "it would wait: %s", user_refusal_text(d.user.refusal));
		return EXPLAIN_WAITS;
	}
	if (r != OK) {
		explain_row("so", "it would wait: a table of users can't be read");
		return EXPLAIN_WAITS;
	}
	if (!bytes_equal(d.address, bytes_of_string(q->address)))
		explain_row("becomes", "%.*s", SHOW(d.address));
	if (d.route == ROUTE_LOCAL) {
		say_user(c, &d);
		return 0;
	}
	explain_row("is", "of another host: no table of this one has %.*s", SHOW(d.domain));
	return elsewhere(q, c, d.domain);
}

/* ---- the configuration ---- */

static void
complain(void *ctx, const struct control_complaint *c)
{
	(void)ctx;
	if (c->severity == SEVERITY_ERROR)
		(void)fprintf(stderr, "%s:%u: %s\n", c->file, c->line, c->text);
}

static enum result
open_control(struct question *q, struct control *c, int *fd, struct why *why)
{
	const char *process = q->checks != NULL ? "policy" : "send";
	struct control_from from = { q->etc, q->checks != NULL ? q->checks : "send", control_reader_of(process),
		complain, NULL };
	static struct control_source source;
	struct user_bounds bounds = { 0 };
	enum result r = control_read(&source, &from, why);

	if (r == OK && q->checks == NULL)
		bounds = users_bounds_of(&source);
	if (r == OK && (r = control_seal(&source, process, fd, why)) == OK)
		r = control_open(c, *fd, process, why);
	for (size_t i = 0; i < N_CONTROL_ITEMS; i++)
		q->given[i] = source.items[i].value.len > 0 || source.items[i].table.len > 0;
	if (r == OK && q->checks == NULL)
		r = users_build_for(&source, &bounds, c, why);
	control_forget(&source);
	return r;
}

static bool
parse(int argc, char *argv[], struct question *q)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
			q->sender = argv[++i];
		else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
			q->etc = argv[++i];
		else if (strcmp(argv[i], "--checks") == 0 && i + 1 < argc)
			q->checks = argv[++i];
		else if (strcmp(argv[i], "-R") == 0 && i + 1 < argc)
			q->run = argv[++i];
		else if (argv[i][0] == '-' || q->address != NULL)
			return false;
		else
			q->address = argv[i];
	}
	return q->address != NULL;
}

static bool
is_mailbox(const char *text)
{
	struct why why = WHY_NONE;
	struct mailbox m;

	if (mailbox_parse(bytes_of_string(text), true, &m, &why) == OK)
		return true;
	(void)fprintf(stderr, "postern explain: %s: %s\n", text, why.text);
	return false;
}

static const char usage_text[] = "usage: postern explain [-c CONTROLDIR] [-R RUNDIR] [--from SENDER] ADDRESS\n"
				 "       postern explain [-c CONTROLDIR] --checks SERVICE CLIENT\n";

int
explain_main(int argc, char *argv[])
{
	struct question q = { .etc = POSTERN_CONTROLDIR, .run = POSTERN_RUNDIR, .sender = "" };
	struct control c = CONTROL_NONE;
	struct why why = WHY_NONE;
	int status, fd = -1;

	about(argc, argv, "postern explain", usage_text);
	if (!parse(argc, argv, &q)) {
		(void)fputs(usage_text, stderr);
		return EXPLAIN_RETURNED;
	}
	if (q.checks == NULL && (!is_mailbox(q.address) || !is_mailbox(q.sender)))
		return EXPLAIN_RETURNED;
	if (open_control(&q, &c, &fd, &why) != OK) {
		(void)fprintf(stderr, "postern explain: %s\n", why.text);
		return EXPLAIN_WAITS;
	}
	status = q.checks != NULL ? explain_checks(&c, q.given, q.address) : explain(&q, &c);
	control_close(&c);
	(void)close(fd);
	return fflush(stdout) != 0 || ferror(stdout) ? EXPLAIN_WAITS : status;
}
