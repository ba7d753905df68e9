/* pspawn: starts the process that runs a user's programs, if send asks.
 * Trusts warden's table of users for uid, gid and home, and send only for which row of it is meant.
 * Never becomes root, a user below minuid, or one of the house's own, whatever the table says; never opens a file; the child
 * gives root up before it reads anything. */
#include "base/bytes.h"
#include "net/spawner.h"
#include "pspawn/privileges.h"
#include "sys/process.h"
#include "wire/send_lspawn.h"

static const struct spawner_trade trades[] = {
	{ .channel_fd = PSPAWN_SEND_FD,
	    .protocol = &send_lspawn_protocol,
	    .programs = { { PSPAWN_PIPE_FD, "pipe" } },
	    .n_programs = 1,
	    .n_fields = 2,
	    .refused = SL_REFUSED },
};

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &pspawn_privileges);

	return spawner_run(&self, PSPAWN_USERS_FD, trades, nitems(trades));
}
