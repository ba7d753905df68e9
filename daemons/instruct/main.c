/* instruct: reads what a user wrote into .qmail files, as that user, and makes instructions of it.
 * Trusts nobody: the files are the user's, the address is a stranger's. What it says is the user's word and is taken for no more.
 * Never writes, never executes, never opens a connection; send carries out what it says, with that user's rights. */
#include "instruct/instruct.h"
#include "instruct/privileges.h"
#include "sys/process.h"

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &instruct_privileges);
	struct channel send = channel_of(INSTRUCT_SEND_FD, &send_instruct_protocol, SI_INSTRUCT, true);
	struct why why = WHY_NONE, away = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine_home(&self, &away, &why)) != OK)
		return process_refuse(&self, r, &why);
	r = instruct_run(&send, &away, &why);
	return r == OK ? 0 : process_refuse(&self, r, &why);
}
