/* auth: knows who somebody is. policy carries what clients say to it; it answers with a name, or not.
 * Trusts its sealed configuration, and policy for where a session comes from; of what clients say nothing.
 * Never sees a message or a mailbox; no password leaves it. */
#include "auth/auth.h"
#include "auth/privileges.h"
#include "sys/log.h"
#include "sys/process.h"

#define PACE_MS 250 /* more than any hash costs that is in use */

int
main(int argc, char *argv[])
{
	static struct auth auth;
	struct process self = process_begin(argc, argv, &auth_privileges);
	struct control control = CONTROL_NONE;
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = sasl_open(&why)) != OK ||
	    (r = process_confine(&self, &why)) != OK || (r = control_open(&control, CONTROL_FD, "auth", &why)) != OK ||
	    (r = users_follow(&auth.users, AUTH_USERS_FD, &control, &why)) != OK)
		return process_refuse(&self, r, &why);
	auth.pace_ms = PACE_MS;
	r = auth_run(&auth, &control, self.service, &why);
	return r == OK ? 0 : process_refuse(&self, r, &why);
}
