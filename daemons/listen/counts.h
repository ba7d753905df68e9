/* Sessions in progress: how many, from which address, from which network, of which local user. */
#pragma once

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counts_peer {
	uint8_t address
	    [16]; /* network order; the first 4 for IPv4, the rest zero; of a local program its uid, in 4 octets */
	uint8_t family; /* 4, 6; 1: a local program: its user may have half of all sessions, root all */
};

struct counts;

/* Room for max_all sessions at a time; all limits at least 1. Null if there is no memory. */
struct counts *counts_open(uint32_t max_all, uint32_t max_address, uint32_t max_network);
void counts_free(struct counts *c);

bool counts_is_full(const struct counts *c);
uint32_t counts_sessions(const struct counts *c);

/* Takes a slot. OK; EXHAUSTED, with *over "address", "network" or "user", if the peer has its share; AGAIN if all is full. */
enum result counts_begin(struct counts *c, const struct counts_peer *peer, uint32_t *slot, const char **over);

/* Gives the slot back. MALFORMED if no session has it: nothing changed. */
enum result counts_end(struct counts *c, uint32_t slot);
