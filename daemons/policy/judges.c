/* The judges of what tables and rules say: nothing has to be found out for them.
 * Trusts the sealed tables and what listen said of the peer; everything in an envelope comes from the network.
 * Never says "no such user" of a table that it could not read, never relays for anybody whom no rule names. */
#include "policy/checks.h"

#include "control/patterns.h"
#include "control/rules.h"
#include "control/senders.h"

#include <string.h>

bool
judge_settle(const struct asked *a, struct reply r)
{
	*a->r = r;
	return true;
}

bool
judge_settle_with_words(const struct asked *a, struct reply r, enum variable words)
{
	*a->r = r;
	a->r->custom = variable_text(&a->c->says, words);
	return true;
}

bool
judge_unreadable(const struct asked *a)
{
	return judge_settle(
	    a, REFUSAL(451, 4, 3, 0, "a table of this host can't be read, try again later", "table not readable"));
}

bool
judge_no_dns(const struct asked *a, const char *reason)
{
	return judge_settle(a, REFUSAL(451, 4, 4, 3, "DNS temporary failure, try again later", reason));
}

static struct bytes
domain_of(struct bytes address)
{
	return bytes_skip(address, bytes_find_last(address, '@') + 1);
}

/* Whether mail for the domain is taken from anybody. OK, ABSENT, BROKEN. */
static enum result
is_ours(const struct control *control, struct bytes domain)
{
	enum result r = control_find_domain(control, ITEM_RCPTHOSTS, domain);

	return r == ABSENT ? control_find_domain(control, ITEM_MORERCPTHOSTS, domain) : r;
}

/* LOCALMFCHECK="!": what the rule for this client or user lets it send as. */
static enum result
sender_has_rule(const struct asked *a)
{
	const struct client *c = a->c;
	size_t len = c->peer.family == LP_IPV4 ? 4 : c->peer.family == LP_IPV6 ? 16 : 0;
	struct rules_query q = { c->peer.remote, len, c->host, c->user };
	struct bytes senders;
	enum result r = senders_find(c->settings->control, &q, &senders);

	return r != OK ? r : senders_have(senders, a->e->reverse) ? OK : ABSENT;
}

static bool
is_own_address(const struct asked *a, struct bytes user)
{
	struct bytes sender = a->e->reverse;
	size_t at = bytes_find_last(sender, '@');

	if (bytes_find(user, '@') < user.len)
		return bytes_equal_nocase(user, sender);
	return bytes_equal_nocase(user, bytes_first(sender, at)) &&
	    control_find_domain(a->c->settings->control, ITEM_LOCALS, bytes_skip(sender, at + 1)) == OK;
}

/* Submission: a user's own address, or what mailfromrules lists for him. LOCALMFCHECK goes before it. */
static bool
check_user_sender(const struct asked *a)
{
	struct bytes user = a->c->user, senders;
	enum result r;

	if (!a->c->settings->is_submission || user.len == 0 || a->e->reverse.len == 0 ||
	    variable_is_set(&a->c->says, VAR_LOCALMFCHECK) || is_own_address(a, user))
		return false;
	r = control_find(a->c->settings->control, ITEM_MAILFROMRULES, user, &senders);
	if (r != OK && r != ABSENT)
		return judge_unreadable(a);
	if (r == OK && senders_have(senders, a->e->reverse))
		return false;
	return judge_settle_with_words(a,
	    REFUSAL(553, 5, 7, 1, "sorry, the sender is no address of yours", "not an address of the user's"),
	    VAR_REPLY_SENDERINVALID);
}

/* LOCALMFCHECK: as whom those who may relay may send; "?" was looked at with the certificate. */
static bool
check_local_sender(const struct asked *a)
{
	struct bytes how = variable_text(&a->c->says, VAR_LOCALMFCHECK), domain = domain_of(a->e->reverse);
	enum result r;

	if (!a->c->relays || a->e->reverse.len == 0 || how.at == NULL || bytes_equal(how, BYTES("?")))
		return false;
	if (bytes_equal(how, BYTES("!")))
		r = sender_has_rule(a);
	else if (bytes_equal(how, BYTES("=")))
		r = a->c->user.at != NULL && bytes_equal_nocase(a->c->user, a->e->reverse) ? OK : ABSENT;
	else
		r = how.len > 0 && bytes_equal_nocase(how, domain) ? OK : is_ours(a->c->settings->control, domain);
	if (r == OK)
		return false;
	if (r != ABSENT)
		return judge_unreadable(a);
	return judge_settle_with_words(a,
	    REFUSAL(553, 5, 7, 1, "sorry, invalid sender address specified", "not an address of the client's"),
	    VAR_REPLY_SENDERINVALID);
}

static bool
check_relaying(const struct asked *a)
{
	enum result r;

	if (a->c->relays || a->bare)
		return false;
	r = is_ours(a->c->settings->control, domain_of(a->address));
	if (r == OK)
		return false;
	if (r != ABSENT)
		return judge_unreadable(a);
	return judge_settle_with_words(a,
	    REFUSAL(553, 5, 7, 1, "sorry, that domain isn't in my list of allowed rcpthosts", "rcpthosts"),
	    VAR_REPLY_NOGATEWAY);
}

static bool
check_sender(const struct asked *a)
{
	struct peer_name peer = { a->c->host, a->c->relays };
	struct verdict v;

	if (pattern_check_sender(a->c->settings->control, a->e->reverse, &peer, &v) != OK)
		return judge_unreadable(a);
	if (v.says != VERDICT_BAD)
		return false;
	(void)judge_settle_with_words(a,
	    REFUSAL(553, 5, 7, 1, "sorry, your envelope sender is in my badmailfrom list", "badmailfrom"),
	    VAR_REPLY_BADMAILFROM);
	a->r->form = v.form;
	return true;
}

static bool
check_recipient(const struct asked *a)
{
	struct verdict v;

	if (pattern_check_recipient(a->c->settings->control, a->address, &v) != OK)
		return judge_unreadable(a);
	if (v.says != VERDICT_BAD)
		return false;
	(void)judge_settle_with_words(a,
	    REFUSAL(553, 5, 7, 1, "sorry, your envelope recipient is in my badrcptto list", "badrcptto"),
	    VAR_REPLY_BADRCPTTO);
	a->r->form = v.form;
	return true;
}

static bool
check_number(const struct asked *a)
{
	if (a->e->n_recipients < a->c->max_recipients)
		return false;
	return judge_settle(a, REFUSAL(452, 4, 5, 3, "sorry, too many recipients", "too many recipients"));
}

static bool
check_size(const struct asked *a)
{
	if (a->c->max_octets == 0 || a->e->octets <= a->c->max_octets)
		return false;
	return judge_settle(a, REFUSAL(552, 5, 3, 4, "that message exceeds the size limit of this host", "too large"));
}

const struct check_work usersender_work = { .judge = check_user_sender, .for_relays = true };
const struct check_work localsender_work = { .judge = check_local_sender, .for_relays = true };
const struct check_work relaying_work = { .judge = check_relaying };
const struct check_work badmailfrom_work = { .judge = check_sender, .for_relays = true };
const struct check_work badrcptto_work = { .judge = check_recipient, .for_relays = true };
const struct check_work number_work = { .judge = check_number, .for_relays = true };
const struct check_work size_work = { .judge = check_size, .for_relays = true };
