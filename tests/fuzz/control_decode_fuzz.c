/* Fuzz target: the decoders of control items, text and compiled, and the sealing of what they made.
 * The first octet chooses the item, the second whether the rest is text or a cdb.
 * A finding is a crash, or a configuration that was made and can't be opened. */
#include "control/control.h"
#include "control/decode.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
seal_and_open(const struct control_source *s, const char *process)
{
	struct why why = WHY_NONE;
	struct control c;
	struct bytes at, line;
	int fd;

	if (control_seal(s, process, &fd, &why) != OK)
		abort();
	if (control_open(&c, fd, process, &why) != OK)
		abort();
	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++)
		for (at = control_lines(&c, (enum control_item)i); control_next_line(&at, &line);)
			if (line.len > 1u << 20)
				abort();
	control_close(&c);
	(void)close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_source s = {
		.from = { .etc = "/etc", .service = "smtpd", .readers = BY_POLICY }, .etc_fd = -1, .service_fd = -1
	};
	struct decoder d = { .source = &s, .file = "fuzz" };
	struct control_data *item;

	if (size < 2)
		return 0;
	for (unsigned i = 0; i < N_CONTROL_ITEMS; i++)
		s.items[i] = (struct control_data){ .value = buf_growing(1u << 22), .table = buf_growing(1u << 23) };
	d.item = (enum control_item)(data[0] % N_CONTROL_ITEMS);
	d.schema = &control_schema[d.item];
	item = &s.items[d.item];
	d.value = &item->value;
	d.table = &item->table;
	d.seen = &item->seen;
	d.rest = bytes_of(data + 2, size - 2);
	if (data[1] % 2 == 1 && control_compiled_file(d.item) != NULL)
		decode_compiled(&d, d.rest);
	else
		decode_text(&d);
	if (!d.failed && !d.value->failed && !d.table->failed)
		seal_and_open(&s, control_schema[d.item].readers & BY_POLICY ? "policy" : "send");
	control_forget(&s);
	return 0;
}
