/* Addresses of hosts.
 * Trusts nothing: names lead to any address.
 * Never takes an address of this host, of none or of many for another host's. */
#include "net/host_address.h"

#include <arpa/inet.h>
#include <string.h>

void
host_address_print(const struct host_address *a, char text[HOST_ADDRESS_TEXT])
{
	if (inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->octets, text, HOST_ADDRESS_TEXT) == NULL)
		text[0] = '\0';
}

bool
host_address_parse(struct bytes text, struct host_address *a)
{
	char room[HOST_ADDRESS_TEXT];

	if (text.len == 0 || text.len >= sizeof room)
		return false;
	memcpy(room, text.at, text.len);
	room[text.len] = '\0';
	*a = (struct host_address){ .len = 4 };
	if (inet_pton(AF_INET, room, a->octets) == 1)
		return true;
	a->len = 16;
	return inet_pton(AF_INET6, room, a->octets) == 1;
}

static bool
is_foreign_v4(const uint8_t *o)
{
	return o[0] != 0 && o[0] != 127 && o[0] < 224 && !(o[0] == 169 && o[1] == 254);
}

bool
host_address_is_foreign(const struct host_address *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }, zeros[12];
	const uint8_t *o = a->octets;

	if (a->len == 4)
		return is_foreign_v4(o);
	if (memcmp(o, mapped, sizeof mapped) == 0 || memcmp(o, zeros, sizeof zeros) == 0)
		return is_foreign_v4(o + 12) && (o[10] == 0xff);
	return o[0] != 0xff && !(o[0] == 0xfe && (o[1] & 0xc0) == 0x80);
}
