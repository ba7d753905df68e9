/* Whom resolve asks and what it trusts: items that may name a file of the system instead.
 * Trusts root, whose files they are, to mean well; not to write well.
 * Never takes from another file what would not be taken from the item's own. */
#include "control/decode.h"

#include <stdio.h>
#include <string.h>

#define OTHER_FILE_MAX ((size_t)1 << 20)
#define ANCHOR_MAX 1000

typedef void take_line(struct decoder *d, struct bytes line);

/* Each line of another file, as if it stood in the item's; complaints name that file. */
static void
take_file(struct decoder *d, struct bytes path, take_line *take)
{
	struct buf content = buf_growing(OTHER_FILE_MAX);
	struct bytes rest = d->rest, line;
	unsigned at = d->line;
	struct why why = WHY_NONE;
	char item[sizeof d->file], name[300];
	enum result r;

	(void)snprintf(item, sizeof item, "%s", d->file);
	(void)snprintf(name, sizeof name, "%.*s", (int)path.len, (const char *)path.at);
	r = decoder_open(d, name, OTHER_FILE_MAX, &content, &why);
	d->rest = r == OK && content.len > 0 ? buf_bytes(&content) : BYTES("");
	while (decoder_line(d, &line))
		take(d, line);
	buf_free(&content);
	(void)snprintf(d->file, sizeof d->file, "%s", item);
	d->rest = rest;
	d->line = at;
	if (r == ABSENT)
		decoder_expected(d, "a file that is there, not %s", name);
	else if (r != OK)
		decoder_expected(d, "a file that can be read: %s: %s", name, why.text);
}

static bool
next_word(struct bytes *rest, struct bytes *word)
{
	size_t n = 0;

	while (rest->len > 0 && (rest->at[0] == ' ' || rest->at[0] == '\t'))
		*rest = bytes_skip(*rest, 1);
	while (n < rest->len && rest->at[n] != ' ' && rest->at[n] != '\t')
		n++;
	*word = bytes_first(*rest, n);
	*rest = bytes_skip(*rest, n);
	return n > 0;
}

/* resolv.conf(5): what is no nameserver line is for others */
static void
take_resolv_line(struct decoder *d, struct bytes line)
{
	struct bytes word, server;
	uint8_t address[16];

	if (!next_word(&line, &word) || !bytes_equal(word, BYTES("nameserver")))
		return;
	if (!next_word(&line, &server))
		decoder_expected(d, "an address behind nameserver");
	else if (bytes_find(server, '%') < server.len)
		decoder_warn(d, "a name server with an interface in its address is not asked");
	else if (decoder_parse_address(server, address) == 0)
		decoder_expected(d, "an address behind nameserver, such as 192.0.2.1 or 2001:db8::1");
	else
		decoder_put_line(d, server);
}

void
decode_forwarder(struct decoder *d, struct bytes line)
{
	size_t at = bytes_find(line, '@'), before = d->value->len;
	uint8_t address[16];
	uint64_t port;

	if (line.at[0] == '/' && line.len < 256) {
		take_file(d, line, take_resolv_line);
		if (!d->failed && d->value->len == before)
			decoder_expected(d, "a file with a line: nameserver ADDRESS");
	} else if (decoder_parse_address(bytes_first(line, at), address) == 0 ||
	    (at < line.len && (!bytes_to_number(bytes_skip(line, at + 1), 65535, &port) || port == 0)))
		decoder_expected(d, "192.0.2.1, 2001:db8::1, 192.0.2.1@5353 or /etc/resolv.conf");
	else
		decoder_put_line(d, line);
}

/* NAME [TTL] [IN] DS or DNSKEY … ; comment */
static void
take_anchor(struct decoder *d, struct bytes line)
{
	struct bytes record = bytes_first(line, bytes_find(line, ';')), rest = record, word;
	unsigned n = 0;
	bool found = false;

	if (record.len == 0)
		return;
	for (; n < 4 && !found && next_word(&rest, &word); n++)
		found = n > 0 && (bytes_equal(word, BYTES("DS")) || bytes_equal(word, BYTES("DNSKEY")));
	if (!found || !next_word(&rest, &word) || record.len > ANCHOR_MAX)
		decoder_expected(d, "a record such as: . IN DS 20326 8 2 E06D44…");
	else
		decoder_put_line(d, record);
}

void
decode_anchor(struct decoder *d, struct bytes line)
{
	size_t before = d->value->len;

	if (line.at[0] != '/' || line.len >= 256) {
		take_anchor(d, line);
		return;
	}
	take_file(d, line, take_anchor);
	if (!d->failed && d->value->len == before)
		decoder_expected(d, "a file with DS or DNSKEY records");
}
