/* Fuzz target: everything that reads a sealed configuration, over one that was damaged, and with any address.
 * Input: pairs of 2 octets of place and 1 octet of value up to 0xffff, then an address.
 * A finding is a crash or a hang; wrong answers out of a damaged table are not. */
#include "control/decode.h"
#include "control/patterns.h"
#include "control/rules.h"
#include "control/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	enum control_item item;
	const char *text;
} texts[] = {
	{ ITEM_ME, "mx.example.org" },
	{ ITEM_LOCALS, "local.example\n" },
	{ ITEM_RCPTHOSTS, "local.example\n.example\n" },
	{ ITEM_VIRTUALDOMAINS, "virt.example:joe\n:joe\n" },
	{ ITEM_PERCENTHACK, "local.example\n" },
	{ ITEM_ENVNOATHOST, "local.example" },
	{ ITEM_USERS_ASSIGN, "=joe:joe:1001:1001:/home/joe:::\n+joe-:joe:1001:1001:/home/joe:-:x:\n.\n" },
	{ ITEM_VIRTUALUSER, "5000:5000:/var/vmail" },
	{ ITEM_VIRTUALUSERS, "mary@box.example:mary\n@box.example:rest\n" },
	{ ITEM_POSTMASTER, "joe" },
	{ ITEM_RULES, "192.0.2.:allow,A=\"b\"\n2001:db8::/32:deny\n=.example:allow\n" },
	{ ITEM_BADHELO, "localhost\n*x*\n" },
	{ ITEM_BADMAILFROM, "a@b.example\n@c.example\n*[a-z]?x\n!q*\n~dial.example\n@d.example=\n" },
	{ ITEM_BADRCPTTO, "*a*b*c*\n" },
	{ ITEM_BARELFNETWORKS, "192.0.2.0/24\n" },
	{ ITEM_DEFAULTDELIVERY, "./Maildir/" },
};

static uint8_t image[65536];
static size_t image_len;

static void
make_image(void)
{
	struct control_source s = {
		.from = { .etc = "/etc", .service = "smtpd", .readers = BY_POLICY }, .etc_fd = -1, .service_fd = -1
	};
	struct why why = WHY_NONE;
	int fd;
	ssize_t n;

	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++)
		s.items[i] = (struct control_data){ .value = buf_growing(1u << 16), .table = buf_growing(1u << 16) };
	for (size_t i = 0; i < nitems(texts); i++) {
		struct control_data *item = &s.items[texts[i].item];
		struct decoder d = { .source = &s,
			.item = texts[i].item,
			.schema = &control_schema[texts[i].item],
			.file = "fuzz",
			.rest = bytes_of_string(texts[i].text),
			.value = &item->value,
			.table = &item->table,
			.seen = &item->seen };

		decode_text(&d);
		if (d.failed) {
			(void)fprintf(stderr, "%s\n", s.first.text);
			abort();
		}
	}
	if (control_seal(&s, "policy", &fd, &why) != OK || (n = pread(fd, image, sizeof image, 0)) <= 0)
		abort();
	image_len = (size_t)n;
	(void)close(fd);
	control_forget(&s);
}

static void
ask(const struct control *c, struct bytes address)
{
	struct peer_name peer = { address, address.len % 2 == 0 };
	struct rules_query q = { .address = address.at,
		.address_len = address.len >= 16 ? 16
		    : address.len >= 4           ? 4
						 : 0,
		.host = address };
	struct destination d;
	struct verdict v;
	struct bytes found, name, value;

	(void)!(users_route(c, address, &d) == OK);
	(void)!(pattern_check_helo(c, address, &v) == OK);
	(void)!(pattern_check_sender(c, address, &peer, &v) == OK);
	(void)!(pattern_check_recipient(c, address, &v) == OK);
	(void)!(control_find_domain(c, ITEM_RCPTHOSTS, address) == OK);
	(void)control_in_networks(c, ITEM_BARELFNETWORKS, address.at, q.address_len);
	if (rules_find_in(c, &q, &found) == OK)
		while (rules_next_variable(&found, &name, &value))
			;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t copy[sizeof image];
	struct why why = WHY_NONE;
	struct control c;
	size_t at = 0;
	int fd;

	if (image_len == 0)
		make_image();
	memcpy(copy, image, image_len);
	for (; at + 3 <= size && (data[at] != 0xff || data[at + 1] != 0xff); at += 3)
		copy[(size_t)(data[at] << 8 | data[at + 1]) % image_len] = data[at + 2];
	at = at + 2 <= size ? at + 2 : size;
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, copy, image_len) != (ssize_t)image_len)
		abort();
	if (control_open(&c, fd, "policy", &why) == OK) {
		ask(&c, bytes_of(data + at, size - at));
		control_close(&c);
	}
	(void)close(fd);
	return 0;
}
