/* forward: sends the message of a delivery on to other addresses. For lines of .qmail files.
 * Trusts the delivery for its variables; not setuid.
 * Never says 0 before the mail system has the message on disk. */
#include "mail/forward.h"
#include "mail/local_mail.h"
#include "sys/about.h"

#include <stdio.h>

static const char usage[] = "usage: forward ADDRESS… <message\n";

int
main(int argc, char *argv[])
{
	struct why why = WHY_NONE;
	const char *sender;
	enum result r;

	about(argc, argv, "forward", usage);
	if (argc < 2) {
		(void)fputs(usage, stderr);
		return 100;
	}
	r = forward_variable("NEWSENDER", &sender, &why);
	if (r == OK)
		r = forward_message(sender, argv + 1, &why);
	return local_mail_exit("forward", r, &why);
}
