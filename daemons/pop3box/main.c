/* pop3box: a POP3 session after the login, as the user who logged in.
 * Trusts policy for which connection it serves, lspawn for who it is; the peer for no more than that user's rights.
 * Never sees a password, never leaves the Maildir in which it stands. */
#include "pop3box/privileges.h"
#include "pop3box/session.h"
#include "sys/process.h"
#include "wire/channel.h"
#include "wire/policy_pop3box.h"

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &pop3box_privileges);
	struct channel policy = channel_of(POP3BOX_POLICY_FD, &policy_pop3box_protocol, PB_POP3BOX, true);
	static struct wire_buffer buffer;
	static struct box box;
	struct wire_message m;
	struct why why = WHY_NONE, away = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine_home(&self, &away, &why)) != OK ||
	    (r = channel_receive(&policy, &buffer, &m, &why)) != OK || (r = session_run(&box, &m, &away, &why)) != OK)
		return process_refuse(&self, r, &why);
	return 0;
}
