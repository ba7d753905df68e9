/* predate, datemail: hands a message to a program (datemail: to sendmail) with a Date field in front.
 * Trusts its caller, who has the rights of his own.
 * Never looks at the message: one that has a Date field has two then. */
#include "base/buf.h"
#include "mail/date.h"
#include "sys/about.h"
#include "sys/clock.h"
#include "sys/feed.h"

#include <stdio.h>
#include <string.h>

static const char usage[] = "usage: predate PROGRAM [ARGUMENT…] <message\n"
			    "       datemail [ARGUMENT OF SENDMAIL…] <message\n";

int
main(int argc, char *argv[])
{
	char room[64], sendmail[] = "sendmail";
	struct buf date = BUF_OVER(room);
	const char *in_front[2] = { NULL }, *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "predate";

	about(argc, argv, "predate", usage);
	buf_add_string(&date, "Date: ");
	date_put(&date, clock_wall_s());
	buf_add_octet(&date, '\n');
	in_front[0] = buf_string(&date);
	if (strcmp(name, "datemail") == 0) {
		argv[0] = sendmail;
		return feed_program("datemail", in_front, argv);
	}
	if (argc < 2) {
		(void)fputs(usage, stderr);
		return 100;
	}
	return feed_program("predate", in_front, argv + 1);
}
