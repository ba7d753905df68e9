/* Addresses of the two ends of a connection. */
#pragma once

#include "base/result.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#define ADDRESS_TEXT 64 /* octets of an address as text, with an interface */

struct address {
	uint8_t octets[16];
	uint8_t len; /* 4 or 16 */
	uint16_t port;
	uint32_t scope; /* interface of a link-local address; 0: none */
};

/* From what the kernel says; an IPv4 address in IPv6's form becomes IPv4, unless it is to stay as it is. */
bool address_from(const struct sockaddr_storage *from, bool stay, struct address *a);
/* For connect and bind; returns the length. */
socklen_t address_to(const struct address *a, struct sockaddr_storage *to);
/* As text, without the port. */
void address_text(const struct address *a, char text[ADDRESS_TEXT]);
/* An IPv4 or IPv6 address as text, with an interface behind % or not. */
bool address_parse(const char *text, struct address *a);
bool address_equal(const struct address *a, const struct address *b); /* without the port */
