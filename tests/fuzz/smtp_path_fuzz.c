/* Fuzz target: a path, its printed form, and the form in which its domain is looked up.
 * A finding is a crash, a form that is not its own form, or an octet that could end a line or a path elsewhere.
 * Input: the path, without brackets. */
#include "net/domain.h"
#include "net/mailbox.h"
#include "base/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at_domain(const struct mailbox *m)
{
	uint8_t room[DOMAIN_MAX], again_room[DOMAIN_MAX];
	struct buf normal = BUF_OVER(room), again = BUF_OVER(again_room);

	if (m->domain_len == 0 || domain_normalise(mailbox_domain(m), &normal) != OK)
		return;
	if (!m->literal && !domain_is_valid(buf_bytes(&normal), false))
		abort();
	if (domain_normalise(buf_bytes(&normal), &again) != OK || !bytes_equal(buf_bytes(&normal), buf_bytes(&again)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t room[MAILBOX_MAX];
	struct buf printed = BUF_OVER(room);
	struct mailbox m, again;
	struct why why = WHY_NONE;

	if (mailbox_parse(bytes_of(data, size), true, &m, &why) != OK) {
		if (why.text[0] == '\0')
			abort();
		return 0;
	}
	mailbox_print(&m, &printed);
	for (size_t i = 0; i < printed.len; i++)
		if (room[i] < ' ' || room[i] == 0x7f)
			abort();
	if (buf_result(&printed) != OK || !utf8_is_valid(buf_bytes(&printed)) ||
	    mailbox_parse(buf_bytes(&printed), true, &again, &why) != OK ||
	    !bytes_equal(mailbox_local(&m), mailbox_local(&again)) ||
	    !bytes_equal(mailbox_domain(&m), mailbox_domain(&again)))
		abort();
	look_at_domain(&m);
	return 0;
}
