/* Who may send what to whom.
 * Trusts the sealed tables and what listen said of the peer; everything in an envelope comes from the network.
 * Never says "no such user" of a table that it could not read, never relays for anybody whom no rule names. */
#include "policy/decide.h"

#include "control/patterns.h"
#include "control/users.h"

#include <arpa/inet.h>
#include <string.h>

struct reply
decide_mail(const struct client *c, const struct sp_mail *mail, const struct bytes fields[3], struct envelope *e)
{
	envelope_begin(e, mail, fields); /* also for the log of a refusal */
	if (c->max_octets != 0 && mail->octets > c->max_octets)
		return REFUSAL(552, 5, 3, 4, "that message would exceed the size limit of this host", "too large");
	return REPLY(250, 2, 1, 0, "ok");
}

/* ---- the steps of a RCPT: each returns true if it has settled the matter, with *r the reply ---- */

struct asked {
	const struct client *c;
	const struct envelope *e;
	struct bytes address; /* with a domain, and the suffix of the rule */
	bool bare;            /* said without a domain: ours, as postmaster must be (RFC 5321 4.5.1) */
	struct reply *r;
};

static bool
settle(const struct asked *a, struct reply r, const char *variable)
{
	*a->r = r;
	if (variable != NULL)
		(void)client_variable(a->c, variable, &a->r->custom);
	return true;
}

static bool
unreadable(const struct asked *a)
{
	return settle(a, REFUSAL(451, 4, 3, 0, "a table of this host can't be read, try again later", "table not readable"), NULL);
}

static bool
check_helo(const struct asked *a)
{
	struct bytes how = a->c->helo_check;
	struct verdict v;

	if (a->c->relays)
		return false;
	if (how.len == 1 && a->e->helo.len == 0)
		return settle(a, REFUSAL(550, 5, 7, 1, "sorry, say HELO or EHLO first", "no helo"), "REPLY_HELO");
	if (bytes_equal(how, BYTES("!")))
		return false; /* any will do */
	if (pattern_check_helo(a->c->settings->control, a->e->helo, &v) != OK)
		return unreadable(a);
	if (v.says == VERDICT_BAD) {
		(void)settle(a, REFUSAL(550, 5, 7, 1, "sorry, invalid HELO/EHLO greeting", "badhelo"), "REPLY_HELO");
		a->r->form = v.form;
		return true;
	}
	if (bytes_equal(how, BYTES("=")) && v.says != VERDICT_EXEMPT && a->c->host.at != NULL &&
	    !bytes_equal_nocase(a->c->host, a->e->helo))
		return settle(a, REFUSAL(550, 5, 7, 1, "sorry, HELO/EHLO does not fit your host name", "helo is not the host"), "REPLY_HELO");
	return false;
}

static struct bytes
domain_of(struct bytes address)
{
	return bytes_skip(address, bytes_find_last(address, '@') + 1);
}

static bool
check_relaying(const struct asked *a)
{
	const struct control *control = a->c->settings->control;
	struct bytes domain = domain_of(a->address);
	enum result r;

	if (a->c->relays || a->bare)
		return false;
	r = control_find_domain(control, ITEM_RCPTHOSTS, domain);
	if (r == ABSENT)
		r = control_find_domain(control, ITEM_MORERCPTHOSTS, domain);
	if (r == OK)
		return false;
	if (r != ABSENT)
		return unreadable(a);
	return settle(a, REFUSAL(553, 5, 7, 1, "sorry, that domain isn't in my list of allowed rcpthosts", "rcpthosts"), "REPLY_NOGATEWAY");
}

static bool
check_mailbox(const struct asked *a)
{
	struct destination d;
	struct bytes none;
	enum result r = users_route(a->c->settings->control, a->address, &d);

	if (r == OK)
		return false;
	if (r != ABSENT)
		return unreadable(a);
	if (client_variable(a->c, "RECIPIENTS450", &none))
		return settle(a, REFUSAL(450, 4, 2, 1, "sorry, no mailbox here by that name", "no mailbox"), "REPLY_MAILBOX");
	return settle(a, REFUSAL(550, 5, 1, 1, "sorry, no mailbox here by that name", "no mailbox"), "REPLY_MAILBOX");
}

static bool
check_sender(const struct asked *a)
{
	struct peer_name peer = { a->c->host, a->c->relays };
	struct verdict v;

	if (pattern_check_sender(a->c->settings->control, a->e->reverse, &peer, &v) != OK)
		return unreadable(a);
	if (v.says != VERDICT_BAD)
		return false;
	(void)settle(a, REFUSAL(553, 5, 7, 1, "sorry, your envelope sender is in my badmailfrom list", "badmailfrom"), "REPLY_BADMAILFROM");
	a->r->form = v.form;
	return true;
}

static bool
check_recipient(const struct asked *a)
{
	struct verdict v;

	if (pattern_check_recipient(a->c->settings->control, a->address, &v) != OK)
		return unreadable(a);
	if (v.says != VERDICT_BAD)
		return false;
	(void)settle(a, REFUSAL(553, 5, 7, 1, "sorry, your envelope recipient is in my badrcptto list", "badrcptto"), "REPLY_BADRCPTTO");
	a->r->form = v.form;
	return true;
}

static bool
check_number(const struct asked *a)
{
	if (a->e->n_recipients < a->c->max_recipients)
		return false;
	return settle(a, REFUSAL(452, 4, 5, 3, "sorry, too many recipients", "too many recipients"), NULL);
}

/* Cheap ones first would be another order; this is s/qmail's, which the log and administrators expect. */
static bool (*const checks[])(const struct asked *a) = {
	check_helo,
	check_relaying,
	check_mailbox,
	check_sender,
	check_recipient,
	check_number,
};

/* ---- what the recipient is called in this house ---- */

/* Whether a domain [192.0.2.1] or [IPv6:2001:db8::1] is the address that the peer connected to. */
static bool
is_own_literal(const struct client *c, struct bytes domain)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t address[16];
	bool v6;

	if (domain.len < 3 || domain.at[0] != '[' || domain.at[domain.len - 1] != ']')
		return false;
	domain = bytes_skip(bytes_first(domain, domain.len - 1), 1);
	v6 = bytes_starts_nocase(domain, BYTES("IPv6:"));
	if (v6)
		domain = bytes_skip(domain, 5);
	if (domain.len >= sizeof text)
		return false;
	memcpy(text, domain.at, domain.len);
	text[domain.len] = '\0';
	if (c->peer.family != (v6 ? LP_IPV6 : LP_IPV4) || inet_pton(v6 ? AF_INET6 : AF_INET, text, address) != 1)
		return false;
	return memcmp(address, c->peer.local, v6 ? 16 : 4) == 0;
}

static enum result
complete(const struct client *c, struct bytes said, struct buf *address)
{
	size_t at = bytes_find_last(said, '@');

	if (at == said.len) {
		buf_add(address, said);
		buf_add_octet(address, '@');
		buf_add(address, c->settings->envnoathost);
	} else if (is_own_literal(c, bytes_skip(said, at + 1))) {
		buf_add(address, bytes_first(said, at + 1));
		buf_add(address, c->settings->localiphost);
	} else
		buf_add(address, said);
	buf_add(address, c->relay_suffix);
	return address->failed ? MALFORMED : OK;
}

struct reply
decide_rcpt(const struct client *c, const struct sp_rcpt *rcpt, const struct bytes fields[2], struct envelope *e)
{
	uint8_t room[ENVELOPE_PATH_MAX];
	struct buf address = BUF_OVER(room);
	struct reply r = REPLY(250, 2, 1, 5, "ok");
	struct asked a = { .c = c, .e = e, .r = &r };

	if (fields[0].len == 0 || complete(c, fields[0], &address) != OK)
		return REFUSAL(553, 5, 1, 3, "sorry, that is no address", "no address");
	a.address = buf_bytes(&address);
	a.bare = bytes_find(fields[0], '@') == fields[0].len;
	for (size_t i = 0; i < nitems(checks); i++)
		if (checks[i](&a))
			return r;
	if (envelope_add(e, a.address, fields[1], rcpt->notify) != OK)
		return reply_of_failure(EXHAUSTED);
	return r;
}
