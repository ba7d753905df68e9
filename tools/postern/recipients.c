/* postern recipients: makes a table of recipients from addresses on standard input.
 * Trusts whoever runs it, with whose rights it writes; no line of its input.
 * Never touches the old table until the new one is whole and on disk. */
#include "postern/recipients.h"

#include "control/cdb_replace.h"
#include "control/recipients.h"
#include "sys/about.h"

#include <string.h>

#define EXIT_USAGE 100
#define EXIT_SYNTAX 101
#define EXIT_TROUBLE 111

static enum result
add_address(struct cdb_make *made, struct bytes line, struct why *why)
{
	uint8_t room[1100];
	struct buf key = BUF_OVER(room);

	if (!recipients_key(line, &key))
		return why_set(why, MALFORMED, "expected local@domain");
	if (cdb_make_put(made, room, (unsigned)key.len, room, 0, CDB_PUT_REPLACE) < 0)
		return why_errno(why, BROKEN, "writing the table");
	return OK;
}

static const char usage_text[] = "usage: postern recipients TABLE.cdb < addresses\n";

int
recipients_main(int argc, char *argv[])
{
	char temporary[4096];
	struct why why = WHY_NONE;
	enum result r;

	about(argc, argv, "postern recipients", usage_text);
	if (argc != 2 || argv[1][0] == '-' || strlen(argv[1]) + 5 > sizeof temporary) {
		(void)fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	(void)snprintf(temporary, sizeof temporary, "%s.tmp", argv[1]);
	if ((r = cdb_replace(argv[1], temporary, stdin, add_address, &why)) == OK)
		return 0;
	(void)fprintf(stderr, "postern recipients: %s\n", why.text);
	return r == MALFORMED ? EXIT_SYNTAX : EXIT_TROUBLE;
}
