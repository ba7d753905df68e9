/* What the parts of `send` share: its neighbours, its settings, the messages in hand and those that wait. */
#pragma once

#include "base/id.h"
#include "control/control.h"
#include "control/users.h"
#include "net/users_follow.h"
#include "send/privileges.h"
#include "store/store.h"
#include "sys/loop.h"
#include "wire/policy_queue.h"
#include "wire/port.h"
#include "wire/queue_send.h"
#include "wire/send_instruct.h"
#include "wire/send_local.h"
#include "wire/send_lspawn.h"
#include "wire/send_pipe.h"

#define IN_HAND_MAX 3000 /* messages in memory, each with a descriptor; the others wait in waiting.c or in a line */
#define OTHER_FDS 200    /* descriptors that are not messages' */
#define IN_HAND_CHAINS 1024
#define WEIGHT_MAX (64u << 20) /* octets of envelopes and tasks in hand, about */
#define RECIPIENTS_A_TURN 64   /* of one message, before others have their turn */
#define NEIGHBOUR_BUSY 20000   /* results that wait for queue: nothing more is begun */
#define NEIGHBOUR_LINE 400000  /* more than WEIGHT_MAX of messages can have as results */
#define LOCALS_MAX \
	1000 /* delivery processes at a time, whatever concurrencylocal says; as many again if some are slow */
#define SLOW_MS 5000
#define ENGINE_LINE 150 /* handshakes, and signers for them, that wait to be taken: five descriptors each */
#define REMOTE_SHARE 4  /* connections at a time, whatever concurrencyremote says: one for so many in hand */
#define REPORTS_MAX 64  /* reports on their way into the queue */
#define DELAY_NOTICE_S (120u * 120u) /* 4 hours: age at which a sender is told who asked for it (NOTIFY=DELAY) */

struct message;
struct line;
struct transaction;
struct instructions;

enum channel_kind { KIND_LOCAL, KIND_REMOTE };

/* One recipient of a message in hand, on its way. */
struct task {
	struct message *message;
	struct task *next;  /* in its line */
	uint32_t recipient; /* index in the envelope */
	bool make_maildir;  /* if it is missing */
	bool look_first;    /* at the home, for a .qmail: the default delivery is not certain yet */
	bool may_instruct;  /* .qmail files count for this user */
	uint8_t kind;       /* enum channel_kind */
	uint8_t outcome;    /* enum sd_outcome, once settled */
	uint16_t enhanced[3];
	uint64_t began_ms;
	uint8_t notify;
	bool refused;                        /* by the peer, for itself: outcome, enhanced and text say how */
	bool from_peer;                      /* the text is another host's reply */
	bool passed_on;                      /* that host makes the reports that were asked for */
	char *text;                          /* why it failed; null: nothing to say */
	char *host;                          /* that it went, or was to go to; null: none */
	struct bytes orcpt;                  /* in the message */
	struct bytes said;                   /* the recipient as the envelope has it; in the message */
	struct bytes address, maildir, user; /* in `room` */
	struct bytes dash, extension;        /* likewise */
	struct line *line;                   /* of its user; null: none */
	struct instructions *list;           /* of its .qmail file; null: none, or not known yet */
	uint8_t room[];
};

struct message {
	struct id id;
	int fd;
	struct store_message store;
	struct task **tasks; /* those begun in this attempt, in the envelope's order */
	uint32_t n_tasks, n_open;
	size_t weight;
	uint64_t now_s;              /* of this attempt */
	uint64_t not_before_s;       /* its next hops are left alone until then; 0: not all are; UINT64_MAX: none is */
	struct store_walk walk;      /* to the recipients not yet begun */
	struct transaction *filling; /* those that more of its recipients may join */
	unsigned n_filling;
	struct message *unbegun;         /* next in the list of those with such recipients */
	bool fetched;                    /* it waited here, and was asked for */
	bool last_try;                   /* older than queuelifetime */
	bool urgent;                     /* an administrator wants it tried now */
	bool give_up;                    /* an administrator wants it returned */
	bool held;                       /* held or deleted: nothing more is begun, no report made */
	bool again;                      /* released or asked for while in hand: to be taken once more */
	bool unfinished;                 /* a recipient could not be begun: it waits for the next attempt */
	bool put_off;                    /* a recipient's line was full; the line asks for the message again */
	bool reported;                   /* its report is in the queue */
	bool report_is_utf8;             /* the report under way shows octets beyond ASCII in addresses or header */
	bool report_failed;              /* none could be made now */
	bool in_doubt;                   /* a peer has it from this attempt, perhaps: see schedule_in_doubt */
	uint64_t report_ref;             /* of the report under way; 0: none; the low bits are the message's chain */
	struct message *unreported;      /* next in the list of those that wait to make theirs */
	struct message *next, *previous; /* all in hand with this hash */
};

struct messages {
	struct message *first, *last;
};

/* What is known of a delivery to another host, for log and report. */
struct delivery_facts {
	const char *conn; /* null: there was none */
	struct bytes host, address, protocol, cipher, how, reply;
	bool from_peer;        /* the text is the peer's reply */
	bool duplicate;        /* it may come twice */
	bool dsn;              /* that host makes the reports that were asked for */
	uint64_t not_before_s; /* the host is left alone until then; 0: not */
	uint32_t dns_ms, connect_ms, tls_ms, transfer_ms;
};

struct send {
	struct loop loop;
	const struct control *control;
	struct port queue, bounces, lspawn, pspawn, remote;
	struct users_follower users;
	struct message *in_hand[IN_HAND_CHAINS];
	uint32_t n_in_hand, n_fetched; /* the latter of the former */
	uint32_t credit_given;         /* messages that queue may still send unasked */
	uint32_t n_fetching;           /* asked for, not yet answered */
	size_t weight;
	struct messages unbegun, unreported;
	uint32_t n_reports, last_ref;
	enum result end;
	/* settings */
	uint64_t lifetime_s, bounce_max;
	uint32_t slow_ms;   /* a local delivery that takes longer makes room for another user's */
	bool make_maildirs; /* of users of this host, if they are missing */
	bool dotqmail;      /* their .qmail files count */
	uint32_t program_limit_s;
	uint32_t in_hand_max, max_lines, max_remote, max_connections;
	struct bytes me, bounce_from, bounce_host, double_to, double_host;
};

/* Why a message is asked for: the ref of its QS_FETCH. From ASK_LINES on it is a line's own. */
enum asked { ASK_NOT, ASK_DUE, ASK_NOW, ASK_RETURN, ASK_LINES = 1024 };

/* ---- neighbours.c ---- */

/* How many messages may be in hand, by this process's limit of descriptors. To be asked before it is confined. */
uint32_t send_in_hand_max(void);

/* Runs, on the descriptors of its privileges, until a neighbour ends: OK, and s->end says how. s is all zero
 * before, but for in_hand_max and, perhaps, slow_ms. */
enum result send_run(struct send *s, const struct control *control, struct why *why);

/* To queue. If that fails the process ends: what is not recorded still waits on disk. */
void tell_queue(struct send *s, uint16_t type, const struct id *id, void *body, struct bytes tail);
void send_fetch(struct send *s, const struct id *id, uint64_t ref);
/* Whether this process ends, because it was told to or because spawner is gone: what its deliveries did not answer then is
 * no attempt, and is begun again by the next start. */
bool send_is_ending(struct send *s, const struct port *spawner);
void send_credit(struct send *s); /* as much as there is room for, if that is worth a message */

/* ---- message.c: a message's way ---- */

/* A message that queue announced or that was asked for (ref: enum asked); fd becomes send's. Begins what is due, or
 * puts it to wait. */
void message_take(struct send *s, const struct id *id, int fd, uint64_t ref);

/* Goes on with messages whose recipients are not all begun. */
void messages_go_on(struct send *s);

/* One of the message's open tasks has been settled; when all are, the attempt is concluded. */
void message_settled(struct send *s, struct message *m);

/* The report of this message is in the queue (OK), or could not be made now. */
void message_reported(struct send *s, struct message *m, enum result r);

struct message *message_find(struct send *s, const struct id *id);
struct message *message_of_report(struct send *s, uint64_t ref);
void message_forget(struct send *s, const struct id *id); /* held or deleted */
void message_return(struct send *s, const struct id *id); /* give it up now */
bool message_is_report(const struct message *m);

/* How many recipients the attempt left waiting; *kind: of the one to be tried first. */
uint32_t message_deferred(const struct message *m, enum channel_kind *kind);

/* ---- route.c: where a recipient's mail goes ---- */

/* Makes the task of recipient i and hands it to who delivers it, or settles it. */
void route_begin(struct send *s, struct message *m, uint32_t i, const struct store_recipient *r);

/* ---- outcome.c: what became of a recipient ---- */

/* A task came to its end: logged, recorded; the message concluded if it was the last. `text` is copied. */
void task_settle(
    struct send *s, struct task *t, enum sd_outcome outcome, const uint16_t enhanced[3], struct bytes text);
#define NOTE_PEER "smtp;" /* in a note behind the status: the host's name, a blank and its reply follow */
void task_settle_remote(struct send *s, struct task *t, enum sd_outcome outcome, const uint16_t enhanced[3],
    struct bytes text, const struct delivery_facts *facts);
void task_defer(struct send *s, struct task *t, const char *text); /* for a reason of this host: 4.3.0 */
/* Adds the reverse-path under which the recipient gets the message; as a field of a message to a process. */
void task_put_sender(const struct task *t, struct buf *b);
void task_put_reverse(const struct task *t, struct buf *tail);
void tasks_free(struct message *m);

/* ---- waiting.c: messages that are not due yet, each once, some 24 octets ---- */

/* Waits until then, whatever was said of it before. False: no memory; that is logged, and only the next start finds the
 * message again. */
bool waiting_add(struct send *s, const struct id *id, uint64_t due_s);
void waiting_go_on(struct send *s);                                      /* asks for what is due, as room allows */
void waiting_ask(struct send *s, const struct id *id, enum asked asked); /* for this one as soon as there is room */
void waiting_ask_all(struct send *s);
void waiting_remove(const struct id *id);
void waiting_open(struct send *s);
size_t waiting_count(void);

/* ---- lines.c: local deliveries, one line a user, and one more for each kind of work that its .qmail files need ---- */

enum line_kind { LINE_LOCAL, LINE_INSTRUCT, LINE_PIPE };

enum lines_answer { LINES_TAKEN, LINES_FULL, LINES_NO_MEMORY, LINES_UNKNOWN, LINES_NOWHERE };

/* Whether this user's line takes another task of m. Full: the line will ask for the message when it has room. */
enum lines_answer lines_find(struct send *s, const struct user *u, const struct message *m, struct line **found);
void lines_add(struct line *l, struct task *t); /* to a line just found */
void lines_refused(struct send *s, uint64_t ref, struct bytes text);

/* On to another kind of work for the same user. */
void lines_pass(struct send *s, struct task *t, enum line_kind kind);
/* Settles a task that a line has had: its user's line has room for another one. */
void lines_settle(
    struct send *s, struct task *t, enum sd_outcome outcome, const uint16_t enhanced[3], struct bytes text);
void lines_defer(struct send *s, struct task *t, const char *text); /* for a reason of this host: 4.3.0 */
struct bytes lines_home(const struct task *t);                      /* the user's */
void lines_answered(uint64_t ref);                                  /* queue answered a QS_FETCH of a line */

/* ---- instructions.c: what a .qmail file says of a recipient, carried out in order ---- */

/* What the next work is: for LINE_LOCAL the Maildir or mbox, and enum sd_flag; for LINE_PIPE the command. */
struct bytes instructions_path(const struct task *t, uint32_t *flags);
void instructions_put_senders(const struct task *t, struct buf *tail); /* SENDER and NEWSENDER, as fields */
bool instructions_default(const struct task *t, struct bytes *value);  /* what DEFAULT is set to; false: it is not */
uint32_t instructions_limit_s(const struct task *t);                   /* how long its program may run */

/* Takes SI_ITEMS (AGAIN: more follows) and SI_ANSWER (OK). MALFORMED: they can't be. */
enum result instructions_take(struct task *t, const struct wire_message *m, struct why *why);
/* After SI_ANSWER: carries out the list, from where an earlier attempt stopped. */
void instructions_begin(struct send *s, struct task *t, const struct wire_message *m);

/* The instruction came to its end; `stop`: those behind it are not carried out. */
void instructions_went(
    struct send *s, struct task *t, enum sd_outcome outcome, bool stop, const uint16_t enhanced[3], struct bytes text);
/* The next of the addresses to forward to, of the instructions carried out; begin with *at 0. */
bool instructions_next_address(const struct task *t, size_t *at, struct bytes *address);
/* The sender of what is forwarded; it may end in VERP_MARK. */
void instructions_put_newsender(const struct task *t, struct buf *b);
bool instructions_keep_sender(const struct task *t); /* NEWSENDER is SENDER */
void instructions_free(struct task *t);
#define NOTE_STATE ":qmail " /* begins a note that is none: how far a list has come */

/* ---- forwards.c: one new message for all addresses of a list ---- */

void forward_begin(struct send *s, struct task *t); /* instructions_forwarded() follows, perhaps before this returns */
void instructions_forwarded(
    struct send *s, struct task *t, enum sd_outcome outcome, const uint16_t enhanced[3], struct bytes text);
bool forwards_answered(struct send *s, struct wire_message *m); /* false: the answer is not about a forward */
void forwards_go_on(struct send *s);                            /* with contents that are being copied */

/* ---- hops.c, transactions.c: deliveries to other hosts ---- */

struct next_hop;

/* The next hop for mail of m to this domain, and whether its line takes another task; as lines_find. LINES_UNKNOWN: a
 * table of ours does not say where the mail goes, LINES_NOWHERE: there is no such domain; *why says what is wrong. */
enum lines_answer hop_find(
    struct send *s, const struct message *m, struct bytes domain, struct next_hop **found, struct why *why);
void hops_go_on(struct send *s);  /* with what was added or answered in this turn */
bool hops_asked(uint64_t ref);    /* whether that ref of a QS_FETCH is a next hop's */
void hops_answered(uint64_t ref); /* queue answered that QS_FETCH */
void hops_retry(void);            /* none is left alone any longer */

/* The task joins those of its message that go there, in one transaction. */
void transaction_add(struct next_hop *h, struct task *t);
void transactions_release(struct message *m); /* no more recipients will join */

/* ---- findings.c: who is to be named in a report ---- */

struct report_recipient;

/* Calls `each` (null: nothing) for every recipient to be named, in the envelope's order; returns how many. With texts: from memory or
 * the file's notes. */
uint32_t findings_walk(const struct message *m, bool with_texts,
    void (*each)(void *context, uint32_t recipient, const struct report_recipient *who), void *context);

/* ---- bounce.c: reports ---- */

/* True if the message has something to report; then the report is on its way, and message_reported() will be called,
 * perhaps before this returns. */
bool bounce_begin(struct send *s, struct message *m);
void bounce_writer(struct send *s, struct message *m, int fd); /* PQ_WRITER came: fd is bounce's to close */
void bounce_ended(struct send *s, struct message *m, enum result r);

/* ---- schedule.c ---- */

/* When to try next (seconds since 1970): qmail's birth + (sqrt(now - birth) + 10 or 20)^2, never before now + 1. */
uint64_t schedule_next(uint64_t birth_s, uint64_t now_s, enum channel_kind kind);

/* When to try a message again that a peer may have taken without saying so, perhaps each time: never before this. The time in the
 * queue is multiplied by four, so that in a week it comes some seven times; the last try is at the end of lifetime_s. */
uint64_t schedule_in_doubt(uint64_t birth_s, uint64_t now_s, uint64_t lifetime_s);

/* Whether an attempt at now_s is the first one at an age of age_s (a square) or more: due_s, for which the attempt before
 * set it (0: there was none), tells when that was. */
bool schedule_passes(uint64_t birth_s, uint64_t due_s, uint64_t now_s, uint64_t age_s, enum channel_kind kind);
