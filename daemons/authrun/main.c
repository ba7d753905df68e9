/* authrun: runs other people's programs, so that neither auth nor policy ever does: those that know passwords (checkpassword)
 * and those that know recipients. Or asks Dovecot's auth.
 * Trusts its sealed configuration for which programs there are; those who ask for nothing but the matter of their question.
 * Never has a table, a key or a connection of a peer; a password leaves it as soon as the program has it. */
#include "authrun/authrun.h"
#include "authrun/privileges.h"
#include "sys/log.h"
#include "sys/process.h"

int
main(int argc, char *argv[])
{
	static struct authrun authrun;
	struct process self = process_begin(argc, argv, &authrun_privileges);
	struct control control = CONTROL_NONE;
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK ||
	    (r = control_open(&control, CONTROL_FD, "authrun", &why)) != OK)
		return process_refuse(&self, r, &why);
	r = authrun_run(&authrun, &control, self.service, &why);
	return r == OK ? 0 : process_refuse(&self, r, &why);
}
