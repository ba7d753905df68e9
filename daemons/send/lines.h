/* A line, and what its process does for a task: one row for each kind of line. */
#pragma once

#include "send/parking.h"
#include "send/send.h"
#include "send/slots.h"

#define LINE_IN_FLIGHT_MAX 32u

struct line {
	struct line *chain; /* same hash */
	enum line_kind kind;
	bool instructed;  /* LINE_LOCAL: the home has a .qmail, as far as is known */
	struct slot slot; /* for its process */
	uint32_t uid, number;
	struct port port;
	struct timer timer; /* idle, or stalled */
	struct task *first, *last;
	struct task *given[LINE_IN_FLIGHT_MAX];
	unsigned n_given, n_done;
	uint32_t n_tasks; /* LINE_LOCAL: of messages in hand, given or not, whatever kind of work they have come to */
	struct parking parked; /* messages for which it was too long */
	uint64_t ref, n_asked; /* messages asked for again under that ref */
	struct bytes home;     /* in `row` */
	struct bytes key, row; /* by which lspawn finds the user; in `room` */
	uint8_t *room;
	struct send *send;
};

/* ---- line_table.c ---- */

struct line *line_find(uint32_t uid, struct bytes home, enum line_kind kind);
struct line *line_new(
    struct send *s, uint32_t uid, enum line_kind kind, void (*due)(struct loop *loop, struct timer *t));
void line_forget(struct line *l); /* unless it is needed */
/* A row as the table of users has it now: the one of an earlier table would not be found by lspawn any more. */
bool line_remember(struct line *l, struct bytes key, struct bytes row, size_t home_at, size_t home_len);
struct line *line_of_ref(uint64_t ref);       /* that asks for messages under it; null: none */
struct line *line_of_number(uint64_t number); /* whose process is that one; null: none */

/* ---- works.c ---- */

struct line_work {
	const char *process;
	const struct wire_protocol *protocol; /* WIRE_FIRST is send's side */
	uint32_t what;                        /* enum sl_what */
	unsigned in_flight;                   /* tasks that it may have at a time */
	/* The task to the process; EXHAUSTED: it does not fit; ABSENT: the process is gone. */
	enum result (*give)(struct task *t, struct port *port, uint32_t slot, struct why *why);
	/* Whether this answer can be: OK, it is the last one; AGAIN, more follow; MALFORMED. */
	enum result (*check)(struct task *t, const struct wire_message *m, struct why *why);
	/* What becomes of the task now. */
	void (*conclude)(struct send *s, struct task *t, const struct wire_message *m);
};
extern const struct line_work line_works[];

static_assert(
    SD_IN_FLIGHT <= LINE_IN_FLIGHT_MAX && SI_IN_FLIGHT <= LINE_IN_FLIGHT_MAX && PI_IN_FLIGHT <= LINE_IN_FLIGHT_MAX,
    "a line has room for what its process may have");

/* Whether local answered that the home has a .qmail. */
bool line_is_instructed(const struct wire_message *m);

/* The home of the task's user has no .qmail any more. */
void lines_uninstructed(const struct task *t);
