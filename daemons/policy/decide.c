/* Who may send what to whom: findings in, a reply out.
 * Trusts the findings, and what listen said of the peer; everything in an envelope comes from the network.
 * Never asks anybody, never waits. */
#include "policy/decide.h"

#include "base/utf8.h"
#include "net/domain.h"
#include "net/mailbox.h"
#include "policy/checks.h"

#include <string.h>

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

/* The judges in the order of the table, until one has settled it. */
static bool
judged(const struct asked *a, enum check_stage due)
{
	for (size_t i = 0; i < N_CHECKS; i++)
		if (check_rows[i].due == due && check_works[i]->judge != NULL && check_works[i]->judge(a))
			return true;
	return false;
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
	if (judged(&a, CHECK_AT_RCPT))
		return r;
	if (address.failed || envelope_add(e, a.address, fields[1], rcpt->notify) != OK)
		return reply_of_failure(EXHAUSTED);
	return r;
}

struct reply
decide_message(const struct client *c, const struct envelope *e)
{
	struct reply r = REPLY(250, 2, 0, 0, "ok");
	struct asked a = { .c = c, .e = e, .r = &r };

	(void)judged(&a, CHECK_AT_MESSAGE);
	return r;
}
