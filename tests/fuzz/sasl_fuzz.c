/* Fuzz target: what a peer says to authenticate. The input is a client's first message, a zero octet, its final one.
 * A finding is a crash, a view outside of the message, or a proof that was accepted. */
#include "crypt/sasl.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_be_within(struct bytes part, struct bytes whole)
{
	if (part.len > 0 && (part.at < whole.at || part.at + part.len > whole.at + whole.len))
		abort();
}

static void
plain(struct bytes all)
{
	struct bytes other, name, password, digest;

	if (sasl_plain_take(all, &other, &name, &password) == OK) {
		must_be_within(other, all);
		must_be_within(name, all);
		must_be_within(password, all);
	}
	if (sasl_cram_md5_take(all, &name, &digest) == OK && sasl_cram_md5_is(digest, BYTES("unknown"), BYTES("<1>")))
		abort();
}

static void
scram(struct bytes first, struct bytes final)
{
	static const struct scram_keys k = { .stored = { 1 }, .server = { 2 } };
	uint8_t server_room[1024], name_room[1024], answer_room[128];
	struct buf server_first = BUF_OVER(server_room), name = BUF_OVER(name_room), answer = BUF_OVER(answer_room);
	struct scram_first f;
	struct why why = WHY_NONE;

	if (scram_first_take(first, false, &f, &why) != OK)
		return;
	must_be_within(f.bare, first);
	must_be_within(f.name, first);
	must_be_within(f.nonce, first);
	if (scram_name(f.name, &name) == OK && name.len > f.name.len)
		abort();
	if (scram_server_begin(f.nonce, "SERVER", BYTES("salt"), SCRAM_ITERATIONS_MIN, &server_first) == OK &&
	    scram_server_end(&k, &f, buf_bytes(&server_first), final, &answer, &why) == OK)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes all = bytes_of(data, size);

	plain(all);
	scram(bytes_first(all, bytes_find(all, '\0')), bytes_skip(all, bytes_find(all, '\0') + 1));
	return 0;
}
