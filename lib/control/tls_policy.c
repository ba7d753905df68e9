/* Look-ups in tlsdestinations.
 * Trusts the sealed table for its form no further than its lengths.
 * Never takes a table that can't be read for one without a line. */
#include "control/tls_policy.h"

#include "base/le.h"

#include <string.h>

#define POLICY_HEAD 5 /* as decode_tls.c writes it: mode, depth, 2 octets of port, length of the pin */

static struct bytes
take_text(struct bytes *rest)
{
	struct bytes text = bytes_first(*rest, bytes_find(*rest, '\0'));

	*rest = bytes_skip(*rest, text.len + 1);
	return text;
}

static enum result
take(struct bytes data, struct tls_policy *p)
{
	if (data.len < POLICY_HEAD || data.at[0] > TLS_MODE_PIN || data.at[4] > TLS_PIN_MAX ||
	    data.len < (size_t)POLICY_HEAD + data.at[4])
		return BROKEN;
	p->mode = (enum tls_mode)data.at[0];
	p->depth = data.at[1];
	p->port = le16_get(data.at + 2);
	p->pin_len = data.at[4];
	memcpy(p->pin, data.at + POLICY_HEAD, p->pin_len);
	data = bytes_skip(data, (size_t)POLICY_HEAD + p->pin_len);
	p->ca = take_text(&data);
	p->ciphers = take_text(&data);
	p->line = take_text(&data);
	p->by_line = true;
	return OK;
}

/* With the sender's domain behind the key, then without. */
static enum result
look(const struct control *c, char trigger, struct bytes host, struct bytes sender_domain, struct tls_policy *p)
{
	uint8_t room[CONTROL_KEY_MAX];
	struct buf key = BUF_OVER(room);
	enum result r = ABSENT;
	struct bytes data;
	size_t len;

	if (trigger != '\0')
		buf_add_octet(&key, (uint8_t)trigger);
	buf_add(&key, host);
	len = key.len;
	buf_add_octet(&key, '|');
	buf_add(&key, sender_domain);
	if (sender_domain.len > 0 && !key.failed)
		r = control_find(c, ITEM_TLSDESTINATIONS, buf_bytes(&key), &data);
	if (r == ABSENT && len <= sizeof room)
		r = control_find(c, ITEM_TLSDESTINATIONS, bytes_of(room, len), &data);
	return r == OK ? take(data, p) : r;
}

static enum result
look_by_suffix(
    const struct control *c, char trigger, struct bytes host, struct bytes sender_domain, struct tls_policy *p)
{
	enum result r = look(c, trigger, host, sender_domain, p);

	for (size_t i = 1; r == ABSENT && i < host.len; i++)
		if (host.at[i] == '.')
			r = look(c, trigger, bytes_skip(host, i), sender_domain, p);
	/* a trigger alone: `-` has a meaning of its own, at the end */
	return r == ABSENT && trigger != '-' ? look(c, trigger, BYTES_NONE, sender_domain, p) : r;
}

enum result
tls_policy_find(const struct control *c, struct bytes host, struct bytes sender_domain, struct tls_policy *p)
{
	static const struct {
		char trigger;
		bool by_suffix;
	} for_host[] = { { '!', true }, { '%', false }, { '=', false }, { '~', true }, { '\0', true }, { '-', true } };
	static const char for_all[][3] = { "=*", "~*", "+*", "-*", "*", "-" };
	enum result r = ABSENT;

	memset(p, 0, sizeof *p);
	if (control_text(c, ITEM_TLSDESTINATIONS).len == 0) {
		p->mode = TLS_MODE_OPPORTUNISTIC;
		return OK;
	}
	for (size_t i = 0; r == ABSENT && i < nitems(for_host); i++)
		r = for_host[i].by_suffix ? look_by_suffix(c, for_host[i].trigger, host, sender_domain, p)
					  : look(c, for_host[i].trigger, host, sender_domain, p);
	for (size_t i = 0; r == ABSENT && i < nitems(for_all); i++)
		r = look(c, '\0', bytes_of_string(for_all[i]), sender_domain, p);
	return r == ABSENT ? OK : r;
}

bool
tls_policy_next(struct bytes *table, struct tls_policy *p)
{
	size_t key_len, data_len;
	struct bytes data;

	if (table->len < 8)
		return false;
	key_len = le32_get(table->at);
	data_len = le32_get(table->at + 4);
	data = bytes_first(bytes_skip(*table, 8 + key_len), data_len);
	*table = bytes_skip(*table, 8 + key_len + data_len);
	memset(p, 0, sizeof *p);
	return take(data, p) == OK;
}
