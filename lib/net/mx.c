/* MX records put in order.
 * Trusts no record: there may be any number of them, with any name.
 * Never keeps more than MX_MAX, never forgets a host because its name is no domain: it is there, and can't be reached. */
#include "net/mx.h"

#include "net/domain.h"
#include "wire/wire.h"

#include <string.h>

static bool
is_before(const struct mx *a, const struct mx *b)
{
	return a->preference != b->preference ? a->preference < b->preference : a->turn < b->turn;
}

static void
insert(struct mx_list *list, const struct mx *one)
{
	unsigned at = list->n;

	while (at > 0 && is_before(one, &list->hosts[at - 1]))
		at--;
	if (at == MX_MAX)
		return;
	if (list->n < MX_MAX)
		list->n++;
	memmove(&list->hosts[at + 1], &list->hosts[at], (list->n - 1 - at) * sizeof list->hosts[0]);
	list->hosts[at] = *one;
}

/* Octets that no host's name has become `?`: the name is shown in logs. */
static void
set_name(struct mx *one, struct bytes name)
{
	one->len = (uint8_t)name.len;
	for (size_t i = 0; i < name.len; i++)
		one->name[i] = name.at[i] <= ' ' || name.at[i] >= 0x7f ? '?' : (char)name.at[i];
}

static bool
is_own(struct bytes own, struct bytes name)
{
	struct bytes one;

	while (wire_take(&own, &one))
		if (bytes_equal_nocase(one, name))
			return true;
	return false;
}

void
mx_order(struct mx_list *list, struct bytes records, struct bytes own, uint32_t (*draw)(void))
{
	uint32_t mine = UINT32_MAX;
	unsigned n_records = 0;
	struct bytes record, name;

	memset(list, 0, sizeof *list);
	for (; wire_take(&records, &record); n_records++) {
		struct mx one = { .turn = draw() };

		if (record.len < 2)
			continue;
		one.preference = (uint16_t)(record.at[0] << 8 | record.at[1]);
		name = bytes_skip(record, 2);
		if (name.len == 0)
			list->is_null = true;
		else if (is_own(own, name))
			mine = one.preference < mine ? one.preference : mine;
		else {
			one.is_unusable = name.len > MX_NAME_MAX || !domain_is_valid(name, false);
			set_name(&one, bytes_first(name, MX_NAME_MAX));
			insert(list, &one);
		}
	}
	list->is_null &= n_records == 1;
	list->is_me = mine != UINT32_MAX;
	while (list->n > 0 && list->hosts[list->n - 1].preference >= mine)
		list->n--;
}
