/* send: schedules deliveries, records results, writes reports.
 * Trusts its control snapshot and queue; lspawn and local only for the deliveries that it gave them.
 * Never opens a file or a connection; what it knows of a waiting message is on disk too, so it may end at any time. */
#include "send/send.h"

#include "sys/process.h"

int
main(int argc, char *argv[])
{
	static struct send send;
	struct process self = process_begin(argc, argv, &send_privileges);
	struct control control = CONTROL_NONE;
	struct why why = WHY_NONE;
	enum result r;

	send.in_hand_max = send_in_hand_max();
	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK ||
	    (r = control_open(&control, CONTROL_FD, "send", &why)) != OK ||
	    (r = users_follow(&send.users, SEND_USERS_FD, &control, &why)) != OK)
		return process_refuse(&self, r, &why);
	if ((r = send_run(&send, &control, &why)) != OK)
		return process_refuse(&self, r, &why);
	return result_meaning(send.end)->exit_status;
}
