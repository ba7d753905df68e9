/* keyload: a signer for each connection that asks for one. The zygote holds no key and never opens one.
 * Trusts policy for who may have a signer.
 * Never decrypts anything, never makes a second signature in one process. */
#include "crypt/arena.h"
#include "crypt/signer.h"
#include "keyload/privileges.h"
#include "keyload/signing.h"
#include "sys/code.h"
#include "sys/log.h"
#include "sys/process.h"
#include "wire/sessions.h"

#include <signal.h>
#include <string.h>

#define SIGNERS_MAX 4096
#define ARENA_SIZE (4u << 20)

static void
serve(const struct wire_message *m, void *ctx)
{
	struct pk_signer who;

	(void)ctx;
	memcpy(&who, m->body, sizeof who);
	who.conn[ID_LEN] = '\0';
	signing_run(m->fds[0], &who, m->tail, m->type == PK_SIGNER_OF);
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &keyload_privileges);
	struct channel door = channel_of(KEYLOAD_DOOR_FD, &policy_keyload_protocol, PK_KEYLOAD, false);
	struct why why = WHY_NONE;
	enum result r;

	code_copy_at_fork();
	if ((r = process_inherit(&self, &why)) != OK || (r = arena_open(ARENA_SIZE, &why)) != OK ||
	    (r = process_confine(&self, &why)) != OK || (r = signer_warm(&why)) != OK)
		return process_refuse(&self, r, &why);
	arena_trim();
	r = sessions_serve(&door, SIGNERS_MAX, serve, NULL, &why);
	if (r != OK)
		log_why("ending", r, &why);
	return PROCESS_SPENT;
}
