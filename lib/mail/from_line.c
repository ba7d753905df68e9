/* The `From ` line.
 * Trusts nothing about the sender's octets.
 * Never makes more than one line. */
#include "mail/from_line.h"

#include <time.h>

void
from_line_put(struct buf *b, struct bytes sender, uint64_t now_s)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)now_s;
	struct tm t = { .tm_mday = 1 };

	(void)gmtime_r(&now, &t);
	buf_add_string(b, "From ");
	if (sender.len == 0)
		buf_add_string(b, "MAILER-DAEMON");
	for (size_t i = 0; i < sender.len; i++)
		buf_add_octet(
		    b, sender.at[i] == ' ' || sender.at[i] == '\t' || sender.at[i] == '\n' ? '-' : sender.at[i]);
	buf_format(b, " %.3s %.3s %02d %02d:%02d:%02d %d\n", days + 3 * t.tm_wday, months + 3 * t.tm_mon, t.tm_mday,
	    t.tm_hour, t.tm_min, t.tm_sec, t.tm_year + 1900);
}
