/* Deliveries of a group of messages. */
#pragma once

#include "wire/channel.h"
#include "wire/send_local.h"

/* Takes messages from the channel until the other end closes: as many as wait, at most SD_IN_FLIGHT, are one group.
 * groups: see flush_may_trust_groups. away: why the home can't be used; then every delivery fails for that reason, and
 * nothing is touched; empty: it can. OK at the end; MALFORMED if send talks nonsense; BROKEN. */
enum result deliver_run(struct channel *send, bool groups, const struct why *away, struct why *why);
