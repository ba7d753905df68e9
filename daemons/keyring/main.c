/* keyring: runs before a service starts (again). Checks the administrator's certificates and keys as pairs, writes the keys
 * into the key directory, in the form that keyload reads, and puts the certificates on a sealed rack for tls.
 * Trusts warden for which files are meant. Never outlives that work, never talks to anybody else. */
#include "crypt/provider.h"
#include "keyring/keep.h"
#include "keyring/privileges.h"
#include "keyring/take.h"
#include "sys/log.h"
#include "sys/process.h"
#include "wire/warden_keyring.h"

#include <unistd.h>

#define KEEP_SECONDS 14400 /* sessions of an older generation may still need the key of their certificate */

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &keyring_privileges);
	struct channel warden = channel_of(KEYRING_WARDEN_FD, &warden_keyring_protocol, WK_KEYRING, true);
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK ||
	    (r = provider_open(&why)) != OK)
		return process_refuse(&self, r, &why);
	keep_tidy(KEEP_SECONDS);
	if ((r = take_all(&warden, &why)) != OK)
		return process_refuse(&self, r, &why);
	keep_tidy_chosen(KEEP_SECONDS);
	_exit(0); /* nothing is left to be tidied, and a sanitizer's look at leaks needs rights that are gone */
}
