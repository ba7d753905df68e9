/* One signature. */
#pragma once

#include "wire/policy_keyload.h"
#include "wire/tls_keyload.h"

/* In a child: waits on the channel for what is to be signed, reads the key for it, gives up everything but read, write and
 * exit, signs, answers, ends. What is refused is logged with the connection's id. bound: as the tail of PK_SIGNER or, by_key, of
 * PK_SIGNER_OF. */
__attribute__((noreturn)) void signing_run(
    int channel_fd, const struct pk_signer *who, struct bytes bound, bool by_key);
