/* postern-inject: completes a message and submits it. The options and variables of qmail-inject.
 * Trusts who calls it with no more than their own rights.
 * Never runs with other rights than the caller's: it is not setuid. */
#include "mail/local_mail.h"
#include "sys/about.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] = "usage: postern-inject [-aAhHnN] [-f SENDER] [-F NAME] [RECIPIENT…] <message\n";

int
main(int argc, char *argv[])
{
	struct local_mail m = { .sender = NULL };
	struct why why = WHY_NONE;
	char how = 'A';
	int c;

	about(argc, argv, "postern-inject", usage);
	while ((c = getopt(argc, argv, "aAhHnNf:F:")) != -1)
		switch (c) {
		case 'a': /* recipients from the command line only */
		case 'A': /* from there, or if there are none from the header */
		case 'h': /* from the header only */
		case 'H': /* from both */
			how = (char)c;
			break;
		case 'n':
			m.print = true;
			break;
		case 'N':
			m.print = false;
			break;
		case 'f':
			m.sender = optarg;
			break;
		case 'F':
			m.full_name = optarg;
			break;
		default:
			(void)fputs(usage, stderr);
			return 100;
		}
	m.recipients = how == 'h' ? argv + argc : argv + optind;
	m.from_header = how == 'h' || how == 'H' || (how == 'A' && optind == argc);
	return local_mail_exit("postern-inject", local_mail_submit(&m, &why), &why);
}
