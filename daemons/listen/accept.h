/* The work of `listen`: accept, decide whether the peer may have a session, hand the session out. */
#pragma once

#include "control/control.h"
#include "listen/counts.h"
#include "listen/privileges.h"
#include "sys/loop.h"
#include "wire/port.h"

struct acceptor {
	struct loop loop;
	const struct control *control;
	struct counts *counts;
	struct port smtpd, policy;
	struct source sockets[LISTEN_SOCKETS_MAX];
	size_t n_sockets;
	bool watching;
	struct timer pause; /* after a failure that more trying would only repeat */
	uint64_t last_id;
	uint64_t refused, last_refusal_logged; /* refusals since, and when (clock_ms), the last one was logged */
	enum result end;                       /* why the loop stopped */
	struct why why;
};

/* Runs until a neighbour is gone. Returns why. */
enum result acceptor_run(struct acceptor *a, const struct control *control, size_t n_sockets, struct why *why);
