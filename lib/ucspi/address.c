/* Addresses as octets, as text, and as the kernel has them.
 * Trusts the kernel's; text is parsed by inet_pton alone.
 * Never allocates. */
#include "ucspi/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

bool
address_from(const struct sockaddr_storage *from, bool stay, struct address *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;

	*a = (struct address){ 0 };
	if (from->ss_family == AF_INET) {
		a->len = stay ? 16 : 4;
		memcpy(a->octets, mapped, sizeof mapped);
		memcpy(a->octets + (stay ? 12 : 0), &in->sin_addr, 4);
		a->port = ntohs(in->sin_port);
		return true;
	}
	if (from->ss_family != AF_INET6)
		return false;
	a->port = ntohs(in6->sin6_port);
	a->len = !stay && memcmp(&in6->sin6_addr, mapped, sizeof mapped) == 0 ? 4 : 16;
	memcpy(a->octets, in6->sin6_addr.s6_addr + (16 - a->len), a->len);
	if (a->len == 16 && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		a->scope = in6->sin6_scope_id;
	return true;
}

socklen_t
address_to(const struct address *a, struct sockaddr_storage *to)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)to;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)to;

	memset(to, 0, sizeof *to);
	if (a->len == 4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->octets, 4);
		return sizeof *in;
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(a->port);
	in6->sin6_scope_id = a->scope;
	memcpy(&in6->sin6_addr, a->octets, 16);
	return sizeof *in6;
}

void
address_text(const struct address *a, char text[ADDRESS_TEXT])
{
	if (inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->octets, text, ADDRESS_TEXT) == NULL)
		(void)snprintf(text, ADDRESS_TEXT, "unknown");
}

bool
address_parse(const char *text, struct address *a)
{
	size_t len = strcspn(text, "%");
	char plain[ADDRESS_TEXT];

	*a = (struct address){ .len = 4 };
	if (inet_pton(AF_INET, text, a->octets) == 1)
		return true;
	if (len >= sizeof plain)
		return false;
	memcpy(plain, text, len);
	plain[len] = '\0';
	a->len = 16;
	if (inet_pton(AF_INET6, plain, a->octets) != 1)
		return false;
	return text[len] == '\0' || (a->scope = if_nametoindex(text + len + 1)) != 0;
}

bool
address_equal(const struct address *a, const struct address *b)
{
	return a->len == b->len && a->scope == b->scope && memcmp(a->octets, b->octets, a->len) == 0;
}
