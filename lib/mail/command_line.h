/* Addresses as they stand on a command line: each word is an address list, as in a header field (RFC 5322 3.4). cron, for
 * one, hands on the whole of its MAILTO as one word. */
#pragma once

#include "mail/address.h"

/* Calls take for each address of word, of which there must be one at least. what: what the word is, for an error:
 * "recipient". MALFORMED: it is no list, holds no address, or has a control character in it; or what take returned, if that
 * was not OK. why quotes the word. */
enum result command_line_list(const char *word, const char *what, address_take *take, void *ctx, struct why *why);

/* The same for a word that is one address: *address is a view of room. */
enum result command_line_address(
    const char *word, const char *what, uint8_t room[ADDRESS_MAX], struct bytes *address, struct why *why);
