/* Deliveries of a group of messages. */
#pragma once

#include "wire/channel.h"
#include "wire/send_local.h"

/* Takes messages from the channel until the other end closes: as many as wait, at most SD_IN_FLIGHT, are one group.
 * groups: see flush_may_trust_groups. OK at the end; MALFORMED if send talks nonsense; BROKEN. */
enum result deliver_run(struct channel *send, bool groups, struct why *why);
