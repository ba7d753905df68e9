/* condredirect: sends the message of a delivery on to another address if a program says so. For lines of .qmail files.
 * Trusts the delivery for its variables, the author of the line for the program.
 * Never sends on what the program did not agree to with status 0. */
#include "mail/forward.h"
#include "mail/local_mail.h"
#include "sys/about.h"
#include "sys/run.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define STOP 99 /* success, and no further line of the file */
#define LATER 111

static const char usage[] = "usage: condredirect ADDRESS PROGRAM [ARGUMENT…] <message\n";

int
main(int argc, char *argv[])
{
	char *recipients[] = { argc > 1 ? argv[1] : NULL, NULL };
	struct why why = WHY_NONE;
	const char *sender;
	enum result r;
	int status;

	about(argc, argv, "condredirect", usage);
	if (argc < 3) {
		(void)fputs(usage, stderr);
		return 100;
	}
	r = forward_variable("SENDER", &sender, &why);
	if (r != OK)
		return local_mail_exit("condredirect", r, &why);
	status = run_program("condredirect", argv + 2);
	if (status != 0)
		return status == LATER ? LATER : 0;
	if (lseek(STDIN_FILENO, 0, SEEK_SET) != 0) /* the program has read it */
		r = why_errno(&why, BROKEN, "going back to the beginning of the message");
	else
		r = forward_message(sender, recipients, &why);
	status = local_mail_exit("condredirect", r, &why);
	return status == 0 ? STOP : status;
}
