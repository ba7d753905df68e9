/* Fuzz target: one command line, as the session gives it to lib/net.
 * A finding is a crash, a view that shows anything but the line, or a refusal without a reply.
 * Input: the line. */
#include "net/smtp_command.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at_view(struct bytes line, struct bytes view)
{
	if (view.len > 0 && (view.at < line.at || view.at + view.len > line.at + line.len))
		abort();
}

static void
look_at_reply(bool right, const struct smtp_fault *f)
{
	if (!right && (f->code < 500 || f->code > 599 || f->enhanced[0] != 5 || f->text == NULL || f->text[0] == '\0'))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes line = { data, size };
	struct smtp_command c = smtp_command_parse(line);
	struct smtp_fault fault = { 0 };
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;
	struct smtp_bdat bdat;
	uint8_t helo[SMTP_HELO_MAX];
	bool right;
	int len;

	if (c.verb >= SMTP_N_VERBS)
		abort();
	look_at_view(line, c.argument);
	right = smtp_mail_parse(c.argument, size % 2 ? SMTP_EXTENDED : SMTP_LENIENT, &mail, &fault);
	look_at_reply(right, &fault);
	look_at_view(line, mail.path);
	look_at_view(line, mail.envid);
	right = smtp_rcpt_parse(c.argument, size % 2 ? SMTP_EXTENDED : SMTP_LENIENT, &rcpt, &fault);
	look_at_reply(right, &fault);
	look_at_view(line, rcpt.path);
	look_at_view(line, rcpt.orcpt);
	right = smtp_bdat_parse(c.argument, &bdat, &fault);
	look_at_reply(right, &fault);
	len = smtp_helo_take(c.argument, helo);
	for (int i = 0; i < len; i++)
		if (helo[i] <= ' ' || helo[i] >= 0x7f || helo[i] == '(')
			abort();
	return 0;
}
