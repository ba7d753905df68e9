/* What the parts of `send` share: its neighbours, its settings, the messages in hand and those that wait. */
#pragma once

#include "base/id.h"
#include "control/control.h"
#include "send/privileges.h"
#include "store/store.h"
#include "sys/loop.h"
#include "wire/policy_queue.h"
#include "wire/port.h"
#include "wire/queue_send.h"
#include "wire/send_local.h"
#include "wire/send_lspawn.h"

#define IN_HAND_MAX 2000 /* messages in memory, each with a descriptor; the others wait as waiting.h has them */
#define IN_HAND_CHAINS 1024
#define LOCALS_MAX 1000 /* delivery processes at a time, whatever concurrencylocal says */
#define TEXT_MAX 400

struct message;
struct line;

/* One recipient of a message in hand, on its way. */
struct task {
	struct message *message;
	struct task *next;  /* in its line */
	uint32_t recipient; /* index in the envelope */
	bool virtual_user;
	uint8_t outcome; /* enum sd_outcome, once settled */
	uint8_t enhanced[3];
	bool settled;
	uint64_t began_ms;
	char *text;                    /* why it failed; null: nothing to say */
	struct bytes address, maildir; /* in `room` */
	uint8_t room[];
};

struct message {
	struct id id;
	int fd;
	struct store_message store;
	struct task **tasks; /* those begun in this attempt */
	uint32_t n_tasks, n_open;
	uint64_t now_s; /* of this attempt */
	bool last_try;  /* older than queuelifetime */
	bool give_up;   /* an administrator wants it returned */
	/* its report, while one is being made */
	uint32_t report_ref; /* 0: none; the low bits are the message's chain */
	uint64_t report_octets;
	bool forgotten;                  /* held or deleted: nothing more is begun, nothing recorded */
	struct message *next, *previous; /* all in hand with this hash */
};

struct send {
	struct loop loop;
	const struct control *control;
	struct port queue, bounces, lspawn;
	struct message *in_hand[IN_HAND_CHAINS];
	uint32_t n_in_hand, credit_given;
	uint32_t last_ref; /* of reports */
	enum result end;
	/* settings */
	uint64_t lifetime_s, bounce_max;
	uint32_t max_lines;
	struct bytes me, bounce_from, bounce_host, double_to, double_host;
};

/* ---- message.c: a message's way ---- */

/* Takes a message into hand (fd becomes send's) and begins what is due; or puts it to wait. */
void message_take(struct send *s, const struct id *id, int fd, bool asked_for); /* that one is due whatever it says */

/* A task came to its end. Takes note; when all have, the message is concluded. `text` is copied. */
void message_settle(
    struct send *s, struct task *t, enum sd_outcome outcome, const uint8_t enhanced[3], struct bytes text);

/* The report of this message is in the queue (OK), or could not be made now. */
void message_reported(struct send *s, struct message *m, enum result r);

struct message *message_find(struct send *s, const struct id *id);
struct message *message_of_report(struct send *s, uint32_t ref);
void message_forget(struct send *s, const struct id *id);
void message_return(struct send *s, const struct id *id); /* give it up now */
void send_credit(struct send *s);

/* ---- waiting.c: messages that are not due yet, 16 octets each ---- */
bool waiting_add(struct send *s, const struct id *id, uint64_t due_s);
void waiting_retry(struct send *s, const struct id *id); /* null: all */
void waiting_remove(const struct id *id);
void waiting_open(struct send *s);
size_t waiting_count(void);

/* ---- lines.c: local deliveries, one line a user ---- */
bool lines_add(struct send *s, uint32_t uid, uint32_t gid, struct bytes name, struct bytes home, struct task *t);
void lines_refused(struct send *s, uint32_t ref, struct bytes text);

/* ---- bounce.c: reports ---- */

/* True if the message has something to report; then the report is on its way, and message_reported() will be called,
 * perhaps before this returns. */
bool bounce_begin(struct send *s, struct message *m);
void bounce_writer(struct send *s, struct message *m, int fd); /* PQ_WRITER came: fd is bounce's to close */

/* ---- schedule.c ---- */
enum channel_kind { KIND_LOCAL, KIND_REMOTE };

/* When to try next (seconds since 1970): qmail's birth + (sqrt(now - birth) + 10 or 20)^2, never before now + 1. */
uint64_t schedule_next(uint64_t birth_s, uint64_t now_s, enum channel_kind kind);
