/* The conversation with Dovecot's auth, as one of its clients. */
#pragma once

#include "authrun/dovecot_line.h"
#include "sys/loop.h"

struct authrun;
struct errand;

struct dovecot {
	struct bytes path; /* of its socket; empty: none is asked */
	struct source source;
	bool greeted, has_plain;
	uint32_t last_id;
	struct errand *asked;
	size_t in_len;
	uint8_t in[DOVECOT_LINE_MAX];
};

void dovecot_open(struct authrun *a);

/* Asks, now or when it has greeted; errand_conclude comes of it in any case. e->input holds PLAIN's message. */
void dovecot_ask(struct errand *e);
void dovecot_close(struct authrun *a);
