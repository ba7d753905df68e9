/* local: delivers a run of messages to one user, as that user.
 * Trusts send for what is to be delivered; has no more rights than the user, and of these only the home directory.
 * Never executes anything, never opens a connection. */
#include "local/deliver.h"
#include "local/privileges.h"
#include "sys/flush.h"
#include "sys/log.h"
#include "sys/process.h"

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &local_privileges);
	struct channel send = channel_of(LOCAL_SEND_FD, &send_local_protocol, SD_LOCAL, true);
	struct why why = WHY_NONE, away = WHY_NONE;
	bool groups = flush_may_trust_groups();
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine_home(&self, &away, &why)) != OK)
		return process_refuse(&self, r, &why);
	r = deliver_run(&send, groups, &away, &why);
	if (r == OK)
		return 0;
	return process_refuse(&self, r, &why);
}
