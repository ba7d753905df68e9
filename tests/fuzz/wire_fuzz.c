/* Fuzz target: every protocol's decoder, from both sides, and the fields of its tails.
 * The first octet chooses protocol and sender, the second the number of descriptors.
 * A finding is a crash; what is refused is fine. */
#include "wire/auth_authrun.h"
#include "wire/auth_lspawn.h"
#include "wire/client_resolve.h"
#include "wire/door.h"
#include "wire/listen_policy.h"
#include "wire/listen_smtpd.h"
#include "wire/policy_auth.h"
#include "wire/policy_authrun.h"
#include "wire/policy_keyload.h"
#include "wire/policy_pop3box.h"
#include "wire/policy_queue.h"
#include "wire/queue_send.h"
#include "wire/send_local.h"
#include "wire/send_lspawn.h"
#include "wire/smtpd_policy.h"
#include "wire/sslserver_ucspitls.h"
#include "wire/tls_facts.h"
#include "wire/tls_keyload.h"
#include "wire/warden_keyring.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wire_protocol *const all[] = { &door_protocol, &listen_policy_protocol,
		&listen_smtpd_protocol, &policy_queue_protocol, &queue_send_protocol, &send_local_protocol,
		&send_lspawn_protocol, &smtpd_policy_protocol, &client_resolve_protocol, &policy_keyload_protocol,
		&policy_tls_protocol, &sslserver_ucspitls_protocol, &tls_facts_protocol, &tls_keyload_protocol,
		&warden_keyring_protocol, &auth_authrun_protocol, &policy_authrun_protocol, &policy_auth_protocol,
		&auth_lspawn_protocol, &policy_pop3box_protocol };
	struct wire_message m = { 0 };
	struct why why = WHY_NONE;
	struct bytes field, tail;
	uint8_t *copy;

	if (size < 2)
		return 0;
	/* its own block, so that reading past the end is seen */
	copy = malloc(size - 2 + 1);
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 2, size - 2);
	if (wire_decode(all[data[0] / 2 % nitems(all)], data[0] % 2 == 0 ? WIRE_FIRST : WIRE_SECOND,
		bytes_of(copy, size - 2), data[1] % 4, &m, &why) == OK) {
		tail = m.tail;
		while (wire_take(&tail, &field))
			if (field.len > 0 && field.at[field.len - 1] == 0xff && field.at[0] == 0xfe)
				why = WHY_NONE;
	}
	free(copy);
	return 0;
}
