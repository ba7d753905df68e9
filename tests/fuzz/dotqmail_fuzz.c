/* Fuzz target: a .qmail file, and the names that an extension is looked for by.
 * A finding is a crash, an instruction that is not of the file, too long or empty where it must not be, more of them than there are
 * lines, or a name with a slash, a capital letter or a dot where the extension's are.
 * Input: the first octet says how much of the rest is the extension, and whether the file has the x bit. */
#include "mail/dotqmail.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes file;
static size_t n_items;

static enum result
take(void *ctx, const struct dotqmail_item *item, struct why *why)
{
	(void)ctx;
	(void)why;
	n_items++;
	if (item->kind >= DOTQMAIL_N_KINDS || item->text.len > DOTQMAIL_LINE_MAX)
		abort();
	if (item->kind != DOTQMAIL_ERROR && item->text.len > 0 &&
	    (item->text.at < file.at || item->text.at + item->text.len > file.at + file.len))
		abort();
	if ((item->kind == DOTQMAIL_MAILDIR || item->kind == DOTQMAIL_MBOX) && item->text.len == 0)
		abort();
	return OK;
}

static void
look(struct bytes extension)
{
	struct dotqmail_search s = { .dash = BYTES("-"), .extension = extension };
	uint8_t room[DOTQMAIL_NAME_MAX + 1];
	struct buf name = BUF_OVER(room);
	struct bytes rest;
	size_t n = 0;

	while (dotqmail_next(&s, &name, &rest)) {
		if (++n > extension.len + 2 || rest.len > extension.len)
			abort();
		for (size_t i = 7; i < name.len; i++)
			if (name.at[i] == '.' || (name.at[i] >= 'A' && name.at[i] <= 'Z'))
				abort();
	}
	if (n < 2)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes rest = bytes_of(data, size);
	size_t lines = 1, len;

	if (size == 0)
		return 0;
	len = data[0] / 2;
	rest = bytes_skip(rest, 1);
	look(bytes_first(rest, len));
	file = bytes_skip(rest, len);
	for (size_t i = 0; i < file.len; i++)
		lines += file.at[i] == '\n';
	n_items = 0;
	(void)!dotqmail_parse(file, (data[0] & 1) != 0, take, NULL, NULL);
	if (n_items > lines)
		abort();
	return 0;
}
