/* For tests: auth as policy has it, in a process of its own, with a table of each form of entry. */
#pragma once

#include "wire/policy_auth.h"

#define PASSWORD "open-sesame"               /* of all */
#define HASH "$y$j9T$abcdefghijkl$" PASSWORD /* as the rig's crypt_rn takes it */

extern unsigned *auth_rig_hashes;   /* how many it has computed; counted over there */
extern unsigned auth_rig_sent_away; /* exchanges before the last one that got 454 */
extern uint64_t auth_rig_pace_ms;   /* failures are told at multiples of it; to be set before auth_rig_start */
extern uint64_t auth_rig_ref;       /* of the last exchange */
extern char auth_rig_got[1024];     /* the last challenge, or the name of who has authenticated */

int auth_rig_start(void **state);
int auth_rig_stop(void **state);

struct auth_rig_peer {
	bool same; /* as the last one's network */
	struct bytes timestamp, emails, binding;
};

/* Each returns 334, with the challenge, or the code that ends the exchange; 0: the conversation with auth is over. What is said is in
 * no base64 yet; null: no initial response. */
int auth_rig_begin(enum sp_mechanism mechanism, const struct bytes *said);
int auth_rig_begin_of(const struct auth_rig_peer *peer, enum sp_mechanism mechanism, const struct bytes *said);
int auth_rig_respond(struct bytes said);
int auth_rig_plain(const char *name, const char *password);
int auth_rig_plain_of(const struct auth_rig_peer *peer, const char *name, const char *password);

/* A message as it is, and the answer to the last exchange. */
void auth_rig_ask(uint16_t type, const void *body, struct bytes tail);
int auth_rig_answer(void);
