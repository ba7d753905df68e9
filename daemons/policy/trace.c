/* The trace field of a message that was received.
 * Trusts listen for the peer's address; the HELO name and the recipient come from the network.
 * Never lets an octet of them through that could end the line, open a comment or forge a field. */
#include "policy/trace.h"

#include "mail/date.h"
#include "policy/starttls.h"

#include <string.h>

static void
put_safe(struct buf *text, struct bytes what)
{
	for (size_t i = 0; i < what.len; i++)
		buf_add_octet(
		    text, ascii_is_alnum(what.at[i]) || memchr(".-_:[]", what.at[i], 6) != NULL ? what.at[i] : '?');
}

static void
put_user(struct buf *text, struct bytes user)
{
	for (size_t i = 0; i < user.len; i++)
		if (user.at[i] == '@')
			buf_add_octet(text, '@');
		else
			put_safe(text, bytes_of(user.at + i, 1));
}

static void
put_peer(struct buf *text, const struct client *c, const struct envelope *e)
{
	buf_add_string(text, "Received: from ");
	if (e->helo.len > 0)
		put_safe(text, e->helo);
	else
		buf_add_string(text, "unknown");
	if (c->is_local_program) {
		buf_add_string(text, " (local program, uid ");
		buf_add_number(text, c->peer.uid);
	} else {
		buf_add_string(text, " (");
		put_safe(text, c->host.at == NULL ? BYTES("unknown") : c->host);
		buf_add_string(text, c->peer.family == LP_IPV6 ? " [IPv6:" : " [");
		buf_add_string(text, c->name);
		buf_add_octet(text, ']');
	}
	buf_add_string(text, ")\r\n");
	if (c->user.len > 0 && c->settings->received_user) {
		buf_add_string(text, "\t(authenticated as ");
		put_user(text, c->user);
		buf_add_string(text, ")\r\n");
	}
}

/* RFC 3848, RFC 6531 4.3. */
static const char *
protocol_of(const struct envelope *e, bool secure, bool authenticated)
{
	if (e->smtputf8)
		return secure ? authenticated ? "UTF8SMTPSA" : "UTF8SMTPS" : authenticated ? "UTF8SMTPA" : "UTF8SMTP";
	if (secure)
		return authenticated ? "ESMTPSA" : "ESMTPS"; /* with HELO too: RFC 3848 has no SMTPS */
	return authenticated ? "ESMTPA" : e->helo_kind == SP_EHLO ? "ESMTP" : "SMTP";
}

static void
put_tls(struct buf *text, const struct session_tls *t)
{
	buf_add_string(text, " (");
	put_safe(text, bytes_of_string(t->protocol));
	buf_add_string(text, " ");
	put_safe(text, bytes_of_string(t->cipher));
	if (t->peer == TF_PEER_VERIFIED) {
		buf_add_string(text, " verified ");
		put_safe(text, bytes_of_string(t->common_name));
	}
	buf_add_string(text, ")\r\n\t");
}

static bool
may_be_shown(struct bytes address)
{
	for (size_t i = 0; i < address.len; i++)
		if (address.at[i] <= 0x20 || address.at[i] > 0x7e || memchr("<>()\\\"", address.at[i], 6) != NULL)
			return false;
	return address.len > 0 && address.len <= 320;
}

void
trace_put(struct buf *text, const struct client *c, const struct envelope *e, uint64_t now_s, size_t *id_at)
{
	struct bytes only = envelope_only_recipient(e);

	put_peer(text, c, e);
	buf_add_string(text, "\tby ");
	put_safe(text, c->settings->me);
	buf_add_string(text, " with ");
	buf_add_string(text, protocol_of(e, c->tls != NULL, c->user.len > 0));
	if (c->tls != NULL)
		put_tls(text, c->tls);
	buf_add_string(text, c->tls != NULL ? "id " : " id ");
	*id_at = text->len;
	if (may_be_shown(only)) {
		buf_add_string(text, "\r\n\tfor <");
		buf_add(text, only);
		buf_add_octet(text, '>');
	}
	buf_add_string(text, ";\r\n\t");
	date_put(text, now_s);
	buf_add_string(text, "\r\n");
}
