/* lspawn: starts the process of a user: for deliveries, if send asks, or for a POP3 session, if auth does.
 * Trusts warden's table of users for uid, gid and home, and the asker only for which row of it is meant.
 * Never becomes root, a user below minuid, or one of the house's own, whatever the table says; never opens a file; the child
 * gives root up before it reads anything. */
#include "base/bytes.h"
#include "lspawn/privileges.h"
#include "net/spawner.h"
#include "sys/process.h"
#include "wire/auth_lspawn.h"
#include "wire/send_lspawn.h"

static const struct spawner_trade trades[] = {
	{ .channel_fd = LSPAWN_SEND_FD,
	    .protocol = &send_lspawn_protocol,
	    .programs = { [SL_LOCAL] = { LSPAWN_LOCAL_FD, "local" },
		[SL_INSTRUCT] = { LSPAWN_INSTRUCT_FD, "instruct" } },
	    .n_programs = SL_N_WHAT,
	    .n_fields = 2,
	    .refused = SL_REFUSED },
	{ .channel_fd = LSPAWN_AUTH_FD,
	    .protocol = &auth_lspawn_protocol,
	    .programs = { { LSPAWN_POP3BOX_FD, "pop3box" } },
	    .n_programs = 1,
	    .n_fields = 3,
	    .refused = AL_REFUSED },
};

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &lspawn_privileges);

	return spawner_run(&self, LSPAWN_USERS_FD, trades, nitems(trades));
}
