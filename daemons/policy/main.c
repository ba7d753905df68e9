/* policy: decides. Front ends ask, it answers; queue keeps what it lets through.
 * Trusts its sealed configuration, listen and queue; of a front end only the form of its requests.
 * Never sees an octet of the network that a front end has not made into a request. */
#include "policy/policy.h"
#include "policy/privileges.h"
#include "sys/log.h"
#include "sys/process.h"

int
main(int argc, char *argv[])
{
	static struct policy policy;
	struct process self = process_begin(argc, argv, &policy_privileges);
	struct control control = CONTROL_NONE;
	struct settings settings;
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK ||
	    (r = control_open(&control, CONTROL_FD, "policy", &why)) != OK ||
	    (r = users_follow(&policy.users, POLICY_USERS_FD, &control, &why)) != OK)
		return process_refuse(&self, r, &why);
	settings = settings_of(&control, self.service);
	r = policy_run(&policy, &settings, &why);
	return r == OK ? 0 : process_refuse(&self, r, &why);
}
