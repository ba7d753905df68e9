/* pipe: runs the programs that a user's .qmail lines name, as that user.
 * Trusts nobody: the command is the user's own, the message and the addresses are a stranger's and go into variables and a file, never
 * into a command. What it says is the user's word and is taken for no more.
 * Never parses a .qmail file, never lets a program or what it started outlive its time. */
#include "pipe/pipe.h"
#include "pipe/privileges.h"
#include "sys/home.h"
#include "sys/process.h"

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &pipe_privileges);
	static struct pipe pipe;
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK)
		return process_refuse(&self, r, &why);
	(void)!home_go(&self, &pipe.away); /* why not is the answer to each question */
	pipe.home = self.root;
	r = pipe_run(&pipe, PIPE_SEND_FD, &why);
	return r == OK ? 0 : process_refuse(&self, r, &why);
}
