/* listen: accepts connections and hands them out.
 * Trusts its control snapshot (sealed by warden) and the kernel.
 * Never reads or writes a connection, never opens a file. */
#include "listen/accept.h"
#include "sys/log.h"
#include "sys/process.h"

int
main(int argc, char *argv[])
{
	static struct acceptor acceptor;
	struct process self = process_begin(argc, argv, &listen_privileges);
	struct control control = CONTROL_NONE;
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK ||
	    (r = control_open(&control, CONTROL_FD, "listen", &why)) != OK)
		return process_refuse(&self, r, &why);
	r = acceptor_run(&acceptor, &control, (size_t)process_count_fds(&listen_privileges, "sockets"), &why);
	return process_refuse(&self, r, &why);
}
