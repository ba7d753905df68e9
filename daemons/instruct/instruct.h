/* Answers about one user's addresses. */
#pragma once

#include "wire/channel.h"
#include "wire/send_instruct.h"

/* Takes questions from the channel until the other end closes. away: why the home can't be used; then each answer is SI_LATER
 * for that reason, and nothing is opened; empty: it can. OK at the end; MALFORMED if send talks nonsense; BROKEN. */
enum result instruct_run(struct channel *send, const struct why *away, struct why *why);
