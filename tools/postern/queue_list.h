/* postern queue list: which messages, in which order, with what. */
#pragma once

#include "postern/queue_ask.h"

enum list_order { ORDER_TIME, ORDER_DUE, ORDER_OCTETS, ORDER_ATTEMPTS, ORDER_SENDER, ORDER_NONE, N_ORDERS };

enum list_state { STATE_ANY, STATE_WAITING, STATE_DEFERRED, STATE_HELD, N_STATES };

struct list_wanted {
	bool json, reasons;
	enum list_order order; /* ORDER_NONE: as they come, without keeping them in memory */
	enum list_state state;
	const char *sender, *recipient; /* part of the address, in any case; null: all */
	uint64_t older_us;              /* come at least so long ago */
};

extern const char *const list_order_names[N_ORDERS];
extern const char *const list_state_names[N_STATES];

/* Seconds, or a number with s, m, h or d behind it. False if it is none. */
bool list_duration(const char *text, uint64_t *us);

enum result queue_list(const struct list_wanted *w, struct channel *c, struct why *why);
