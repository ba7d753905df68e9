/* Who may send what to whom.
 * Trusts the sealed tables and what listen said of the peer; everything in an envelope comes from the network.
 * Never says "no such user" of a table that it could not read, never relays for anybody whom no rule names. */
#include "policy/decide.h"

#include "base/utf8.h"
#include "control/patterns.h"
#include "control/recipients.h"
#include "control/rules.h"
#include "control/senders.h"
#include "control/users.h"
#include "net/domain.h"
#include "net/mailbox.h"

#include <string.h>

/* ---- the steps of a RCPT: each returns true if it has settled the matter, with *r the reply ---- */

struct asked {
	const struct client *c;
	const struct envelope *e;
	struct bytes address; /* with a domain, and the suffix of the rule */
	bool bare;            /* said without a domain: ours, as postmaster must be (RFC 5321 4.5.1) */
	struct reply *r;
};

static bool
settle(const struct asked *a, struct reply r)
{
	*a->r = r;
	return true;
}

/* The same, with the words that the rule has for it. */
static bool
settle_with_words(const struct asked *a, struct reply r, enum variable words)
{
	*a->r = r;
	a->r->custom = variable_text(&a->c->says, words);
	return true;
}

static bool
unreadable(const struct asked *a)
{
	return settle(
	    a, REFUSAL(451, 4, 3, 0, "a table of this host can't be read, try again later", "table not readable"));
}

static bool
no_dns(const struct asked *a, const char *reason)
{
	return settle(a, REFUSAL(451, 4, 4, 3, "DNS temporary failure, try again later", reason));
}

/* HELOCHECK="=", "A" and "M": the name against DNS. */
static bool
check_helo_name(const struct asked *a)
{
	const struct client *c = a->c;

	if (bytes_equal(c->helo_check, BYTES("="))) {
		if (c->host_known == HOST_FAILED)
			return no_dns(a, "no answer about the peer's name");
		if (c->host.at == NULL ? c->host_known == HOST_NONE : !bytes_equal_nocase(c->host, a->e->helo))
			return settle_with_words(a,
			    REFUSAL(
				550, 5, 7, 1, "sorry, HELO/EHLO does not fit your host name", "helo is not the host"),
			    VAR_REPLY_HELO);
	}
	if (c->found.helo == FINDING_FAILED)
		return no_dns(a, "no answer about the helo");
	if (c->found.helo != FINDING_BAD)
		return false;
	return settle_with_words(a,
	    REFUSAL(550, 5, 7, 1, "sorry, your HELO/EHLO name must exist in DNS", "helo not in DNS"), VAR_REPLY_HELO);
}

static bool
check_helo(const struct asked *a)
{
	struct bytes how = a->c->helo_check;
	struct verdict v;

	if (a->c->relays)
		return false;
	if (how.len == 1 && a->e->helo.len == 0)
		return settle_with_words(
		    a, REFUSAL(550, 5, 7, 1, "sorry, say HELO or EHLO first", "no helo"), VAR_REPLY_HELO);
	if (bytes_equal(how, BYTES("!")))
		return false; /* any will do */
	if (pattern_check_helo(a->c->settings->control, a->e->helo, &v) != OK)
		return unreadable(a);
	if (v.says == VERDICT_BAD) {
		(void)settle_with_words(
		    a, REFUSAL(550, 5, 7, 1, "sorry, invalid HELO/EHLO greeting", "badhelo"), VAR_REPLY_HELO);
		a->r->form = v.form;
		return true;
	}
	return v.says != VERDICT_EXEMPT && check_helo_name(a);
}

/* RBLSMTPD and the DNS lists. */
static bool
check_lists(const struct asked *a)
{
	const struct listed *l = &a->c->listed;
	struct reply r = REFUSAL(451, 4, 7, 1, "your address is refused:", "in a DNS list");

	if (a->c->relays || l->how == LISTING_NONE)
		return false;
	if (l->how == LISTING_SILENT)
		return no_dns(a, "a DNS list is silent");
	if (l->for_good)
		r = REFUSAL(553, 5, 7, 1, "your address is refused:", "in a DNS list");
	if (l->how == LISTING_HERE)
		r.reason = "RBLSMTPD";
	r.custom = l->words;
	return settle(a, r);
}

/* MFDNSCHECK */
static bool
check_sender_exists(const struct asked *a)
{
	if (a->c->relays)
		return false;
	switch (a->c->found.sender) {
	case FINDING_BAD:
		return settle_with_words(a,
		    REFUSAL(553, 5, 1, 8, "sorry, your envelope sender must exist", "sender's domain not in DNS"),
		    VAR_REPLY_SENDEREXIST);
	case FINDING_NULL_MX: /* RFC 7505 4.2 */
		return settle_with_words(a,
		    REFUSAL(
			550, 5, 7, 27, "sorry, your envelope sender's domain takes no mail", "sender has a null MX"),
		    VAR_REPLY_SENDEREXIST);
	case FINDING_FAILED:
		return no_dns(a, "no answer about the sender");
	default:
		return false;
	}
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
		return unreadable(a);
	if (r == OK && senders_have(senders, a->e->reverse))
		return false;
	return settle_with_words(a,
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
		return unreadable(a);
	return settle_with_words(a,
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
		return unreadable(a);
	return settle_with_words(a,
	    REFUSAL(553, 5, 7, 1, "sorry, that domain isn't in my list of allowed rcpthosts", "rcpthosts"),
	    VAR_REPLY_NOGATEWAY);
}

/* Whether the item recipients counts for this client: not for who may relay, unless the rule says so; RECIPIENTS="-" for
 * nobody. Postmaster is always taken (RFC 5321 4.5.1). */
static bool
is_subject_to_recipients(const struct asked *a)
{
	if (a->bare ||
	    bytes_equal_nocase(bytes_first(a->address, bytes_find_last(a->address, '@')), BYTES("postmaster")))
		return false;
	if (variable_is_set(&a->c->says, VAR_RECIPIENTS))
		return !variable_is(&a->c->says, VAR_RECIPIENTS, "-");
	return !a->c->relays;
}

/* What recipients says. AGAIN: a program has to be asked first, or was asked and can't say. */
static enum result
find_recipient(const struct asked *a)
{
	struct recipients_place anew = { 0 };
	struct trial *trial = a->c->trial;
	enum result r;

	if (trial == NULL || a->address.len > sizeof trial->address)
		return recipients_find(a->c->settings->control, a->address, &anew);
	if (trial->state == TRIAL_TAKEN)
		return OK;
	if (trial->state == TRIAL_TROUBLE)
		return AGAIN;
	r = recipients_find(a->c->settings->control, a->address, &trial->place);
	if (r == AGAIN) {
		trial->state = TRIAL_WANTED;
		trial->address_len = (uint16_t)a->address.len;
		memcpy(trial->address, a->address.at, a->address.len);
	}
	return r;
}

static bool
check_mailbox(const struct asked *a)
{
	const struct control *control = a->c->settings->control;
	struct destination d;
	enum result r = users_route_now(control, a->address, &d);

	if (r == OK && is_subject_to_recipients(a))
		r = find_recipient(a);
	if (r == OK)
		return false;
	if (r == AGAIN) {
		(void)settle(a, REFUSAL(421, 4, 3, 0, "unable to check recipients", "program for recipients"));
		a->r->answer.close = 1;
		return true;
	}
	if (r == REFUSED) /* somebody as whom lspawn starts nothing: the administrator can mend that */
		return settle(a,
		    REFUSAL(451, 4, 2, 1, "sorry, that mailbox can't be used now, try again later",
			user_refusal_text(d.user.refusal)));
	if (r != ABSENT)
		return unreadable(a);
	if (variable_is_set(&a->c->says, VAR_RECIPIENTS450))
		return settle_with_words(
		    a, REFUSAL(450, 4, 2, 1, "sorry, no mailbox here by that name", "no mailbox"), VAR_REPLY_MAILBOX);
	return settle_with_words(
	    a, REFUSAL(550, 5, 1, 1, "sorry, no mailbox here by that name", "no mailbox"), VAR_REPLY_MAILBOX);
}

/* SPF: what the level refuses (RFC 7372 for the codes). */
static bool
check_spf(const struct asked *a)
{
	static const uint8_t refused_from[] = { [SPF_NONE] = 6,
		[SPF_NEUTRAL] = 5,
		[SPF_PASS] = 7,
		[SPF_FAIL] = 3,
		[SPF_SOFTFAIL] = 4,
		[SPF_TEMPERROR] = 2,
		[SPF_PERMERROR] = 6 };
	const struct sender_policy *spf = &a->c->spf;

	if (a->c->relays || !spf->checked || a->c->spf_level < refused_from[spf->result])
		return false;
	if (spf->result == SPF_TEMPERROR)
		return settle(a, REFUSAL(451, 4, 7, 24, "SPF lookup failure, try again later", "SPF temperror"));
	*a->r = REFUSAL(550, 5, 7, 23, "sorry, the sender's domain does not let you send (SPF):", "SPF");
	if (spf->result == SPF_PERMERROR)
		*a->r = REFUSAL(550, 5, 7, 24, "sorry, the sender's domain has no valid SPF record", "SPF permerror");
	a->r->custom = spf->explanation;
	return true;
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
	(void)settle_with_words(a,
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
		return unreadable(a);
	if (v.says != VERDICT_BAD)
		return false;
	(void)settle_with_words(a,
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
	return settle(a, REFUSAL(452, 4, 5, 3, "sorry, too many recipients", "too many recipients"));
}

/* Cheap ones first would be another order; this is s/qmail's, which the log and administrators expect. */
static bool (*const checks[])(const struct asked *a) = {
	check_lists,
	check_helo,
	check_sender_exists,
	check_user_sender,
	check_local_sender,
	check_relaying,
	check_mailbox,
	check_spf,
	check_sender,
	check_recipient,
	check_number,
};

/* ---- what the recipient is called in this house ---- */

static bool
is_own_literal(const struct client *c, struct bytes domain)
{
	uint8_t address[16];
	size_t len;

	return domain_literal_address(domain, address, &len) && c->peer.family == (len == 4 ? LP_IPV4 : LP_IPV6) &&
	    memcmp(address, c->peer.local, len) == 0;
}

/* A domain of our own words where the said one is missing, ours by address, or in letters that tables don't have. */
static enum result
complete(const struct client *c, const struct mailbox *m, struct bytes *domain, uint8_t room[DOMAIN_MAX + 1])
{
	struct buf ascii = buf_over(room, DOMAIN_MAX + 1);
	enum result r = OK;

	*domain = mailbox_domain(m);
	if (domain->len == 0)
		*domain = c->settings->envnoathost;
	else if (m->literal && is_own_literal(c, *domain))
		*domain = c->settings->localiphost;
	else if (!utf8_is_ascii(*domain)) {
		r = domain_normalise(*domain, &ascii);
		*domain = buf_bytes(&ascii);
	}
	return r;
}

/* The one form of an address that is looked up, kept and delivered to. */
static enum result
normalise(const struct client *c, struct bytes said, bool utf8, struct buf *address)
{
	uint8_t room[DOMAIN_MAX + 1];
	struct mailbox m, whole;
	struct bytes domain;
	struct why why = WHY_NONE;
	enum result r = mailbox_parse(said, utf8, &m, &why);

	if (r != OK || mailbox_is_empty(&m))
		return r;
	if ((r = complete(c, &m, &domain, room)) != OK)
		return r;
	whole = m;
	if (domain.len > sizeof whole.domain)
		return MALFORMED;
	memcpy(whole.domain, domain.at, domain.len);
	whole.domain_len = (uint16_t)domain.len;
	mailbox_print(&whole, address);
	return address->failed ? MALFORMED : OK;
}

/* What is to be said of an address that is none. */
static struct reply
bad_address(struct bytes said, bool utf8, uint8_t detail)
{
	struct mailbox m;
	struct why why = WHY_NONE;

	if (!utf8 && !utf8_is_ascii(said) && mailbox_parse(said, true, &m, &why) == OK)
		return REFUSAL(553, 5, 6, 7, "sorry, that address needs SMTPUTF8", "needs SMTPUTF8");
	return REFUSAL(553, 5, 1, detail, "sorry, that is no address", "no address");
}

struct reply
decide_mail(const struct client *c, const struct sp_mail *mail, const struct bytes fields[3], struct envelope *e)
{
	uint8_t room[ENVELOPE_PATH_MAX];
	struct buf reverse = BUF_OVER(room);
	bool utf8 = mail->smtputf8 != 0;

	if (normalise(c, fields[1], utf8, &reverse) != OK) {
		envelope_begin(e, mail, fields[0], fields[1], fields[2]);
		return bad_address(fields[1], utf8, 7);
	}
	envelope_begin(e, mail, fields[0], buf_bytes(&reverse), fields[2]); /* also for the log of a refusal */
	if (e->verp && !c->is_local_program)
		return REFUSAL(555, 5, 5, 4, "that parameter is not offered", "XVERP from elsewhere");
	if (c->max_octets != 0 && mail->octets > c->max_octets)
		return REFUSAL(552, 5, 3, 4, "that message would exceed the size limit of this host", "too large");
	return REPLY(250, 2, 1, 0, "ok");
}

struct reply
decide_rcpt(const struct client *c, const struct sp_rcpt *rcpt, const struct bytes fields[2], struct envelope *e)
{
	uint8_t room[ENVELOPE_PATH_MAX];
	struct buf address = BUF_OVER(room);
	struct reply r = REPLY(250, 2, 1, 5, "ok");
	struct asked a = { .c = c, .e = e, .r = &r };

	if (normalise(c, fields[0], e->smtputf8, &address) != OK || address.len == 0)
		return bad_address(fields[0], e->smtputf8, 3);
	buf_add(&address, c->relay_suffix);
	a.address = buf_bytes(&address);
	a.bare = bytes_equal_nocase(fields[0], BYTES("postmaster"));
	for (size_t i = 0; i < nitems(checks); i++)
		if (checks[i](&a))
			return r;
	if (address.failed || envelope_add(e, a.address, fields[1], rcpt->notify) != OK)
		return reply_of_failure(EXHAUSTED);
	return r;
}
