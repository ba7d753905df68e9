/* Fuzz target: the file of sizes of a Maildir.
 * A finding is a crash, or a size out of bounds.
 * Input: the file's content. */
#include "mail/maildir_view.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "word", "7.b", "1000.a", "1000.aa", "1000.b", "20000.x y",
	"18446744073709551615.z" };

static void
fill(struct maildir_view *v, struct maildir_message messages[nitems(names)])
{
	static const uint64_t at[] = { 0, 7, 1000, 1000, 1000, 20000, UINT64_MAX };

	v->messages = messages;
	v->n = nitems(names);
	v->names = buf_growing(1000);
	for (uint32_t i = 0; i < v->n; i++) {
		messages[i] = (struct maildir_message){ .at = at[i],
			.octets = MAILDIR_UNMEASURED,
			.name_at = v->names.len,
			.name_len = (uint8_t)strlen(names[i]),
			.unique_len = (uint8_t)strlen(names[i]) };
		buf_add(&v->names, bytes_of(names[i], strlen(names[i]) + 1));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maildir_message messages[nitems(names)];
	struct maildir_view v = { .top_fd = -1 };

	fill(&v, messages);
	maildir_sizes_apply(&v, bytes_of(data, size));
	for (uint32_t i = 0; i < v.n; i++)
		if (messages[i].octets != MAILDIR_UNMEASURED && messages[i].octets > UINT64_C(1) << 50)
			abort();
	buf_free(&v.names);
	return 0;
}
