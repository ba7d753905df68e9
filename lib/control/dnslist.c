/* Lines that name DNS lists.
 * Trusts nothing in a line.
 * Never takes an answer outside 127.0.0.0/8 for one of a list. */
#include "control/dnslist.h"

#include "base/buf.h"
#include "control/decode.h"

#include <arpa/inet.h>
#include <string.h>

static bool
is_zone(struct bytes zone)
{
	struct bytes rest = zone, label;

	if (zone.len == 0 || zone.len > DNSLIST_ZONE_MAX || bytes_find(zone, '.') == zone.len)
		return false;
	while (bytes_split(&rest, '.', &label)) {
		if (label.len == 0 || label.len > 63)
			return false;
		for (size_t i = 0; i < label.len; i++)
			if (!ascii_is_alnum(label.at[i]) && memchr("-_", label.at[i], 2) == NULL)
				return false;
	}
	return true;
}

static bool
add_answer(struct dnslist *list, struct bytes text)
{
	size_t slash = bytes_find(text, '/');
	char address[INET_ADDRSTRLEN];
	uint64_t n_bits = 32;

	if (list->n_answers == DNSLIST_ANSWERS_MAX || slash >= sizeof address)
		return false;
	memcpy(address, text.at, slash);
	address[slash] = '\0';
	if (inet_pton(AF_INET, address, list->answers[list->n_answers].network) != 1 ||
	    list->answers[list->n_answers].network[0] != 127 ||
	    (slash < text.len && (!bytes_to_number(bytes_skip(text, slash + 1), 32, &n_bits) || n_bits < 8)))
		return false;
	list->answers[list->n_answers++].n_bits = (uint8_t)n_bits;
	return true;
}

enum result
dnslist_parse(struct bytes line, struct dnslist *list, struct why *why)
{
	size_t colon = bytes_find(line, ':'), equals;
	struct bytes head = bytes_first(line, colon), answers, answer;

	*list = (struct dnslist){ .text = bytes_trim(bytes_skip(line, colon + 1)) };
	equals = bytes_find(head, '=');
	list->zone = bytes_trim(bytes_first(head, equals));
	if (!is_zone(list->zone))
		return why_set(why, MALFORMED, "expected the zone of a list, such as bl.example.org");
	answers = bytes_skip(head, equals + 1);
	while (equals < head.len && bytes_split(&answers, ',', &answer))
		if (!add_answer(list, bytes_trim(answer)))
			return why_set(why, MALFORMED, "expected at most %d answers such as 127.0.0.2 or 127.0.0.4/30",
			    DNSLIST_ANSWERS_MAX);
	if (list->text.len > 200)
		return why_set(why, MALFORMED, "expected a text of at most 200 octets");
	return OK;
}

bool
dnslist_counts(const struct dnslist *list, const uint8_t answer[4])
{
	uint32_t a = (uint32_t)answer[0] << 24 | (uint32_t)answer[1] << 16 | (uint32_t)answer[2] << 8 | answer[3];

	if (answer[0] != 127)
		return false;
	for (unsigned i = 0; i < list->n_answers; i++) {
		const uint8_t *n = list->answers[i].network;
		uint32_t network = (uint32_t)n[0] << 24 | (uint32_t)n[1] << 16 | (uint32_t)n[2] << 8 | n[3];

		if ((a ^ network) >> (32 - list->answers[i].n_bits) == 0)
			return true;
	}
	return list->n_answers == 0;
}

size_t
dnslist_name(const struct dnslist *list, const uint8_t *address, size_t len, char name[DNSLIST_NAME_MAX])
{
	static const char hex[] = "0123456789abcdef";
	struct buf text = buf_over(name, DNSLIST_NAME_MAX);

	for (size_t i = len; i > 0; i--)
		if (len == 4)
			buf_format(&text, "%u.", address[i - 1]);
		else
			buf_format(&text, "%c.%c.", hex[address[i - 1] & 15], hex[address[i - 1] >> 4]);
	buf_add(&text, list->zone);
	return text.failed ? 0 : text.len;
}

void
decode_dnslist(struct decoder *d, struct bytes line)
{
	struct dnslist list;
	struct why why = WHY_NONE;

	for (size_t i = 0; i < line.len; i++)
		if (line.at[i] < 0x20 || line.at[i] > 0x7e) {
			decoder_expected(d, "a line of printable text");
			return;
		}
	if (dnslist_parse(line, &list, &why) != OK)
		decoder_expected(d, "%s", why.text + strlen("expected "));
	else
		decoder_put_line(d, line);
}
