/* What zygotes have in common: each message at the door begins a session in a process of its own. */
#pragma once

#include "sys/zygote.h"
#include "wire/channel.h"

/* The session, in its process: the door is closed, the message's descriptors are its own. The process ends when it returns. */
typedef void session_begin(const struct wire_message *m, void *ctx);

/* Serves the door, which does not wait, with at most max sessions at a time; more wait in it. One for which the kernel has no
 * process is logged and dropped: its descriptors are closed, as its sender sees. OK: the sender is gone, and nobody is left
 * who could ask. Else why the zygote must be replaced: ABSENT: a session died of a signal; MALFORMED or BROKEN: the door. */
enum result sessions_serve(struct channel *door, unsigned max, session_begin *begin, void *ctx, struct why *why);
