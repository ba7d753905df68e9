/* For tests of `send`: the process itself, unconfined, between a queue, an lspawn and locals that are the test. */
#pragma once

#include "unit.h"

#include "control_dir.h"
#include "store/store.h"
#include "wire/channel.h"
#include "wire/policy_queue.h"
#include "wire/queue_send.h"
#include "wire/send_local.h"
#include "wire/send_lspawn.h"
#include "wire/send_remote.h"
#include "wire/send_remote_door.h"

#include <sys/types.h>

extern struct control_dir srig_dir;
extern pid_t srig_child;
extern struct channel srig_queue, srig_bounces, srig_lspawn, srig_pspawn, srig_remote;
extern uint32_t srig_slow_ms; /* as of struct send; 0: the usual */
extern unsigned srig_fail_at; /* the n-th allocation of the process fails; 0: none */

int srig_set_up(void **state);
int srig_tear_down(void **state);
void srig_start(void);

/* A queue file in memory, as queue would have made it. */
struct srig_message {
	struct id id;
	int fd;
};
struct srig_recipient {
	const char *address;
	uint8_t notify;
};
struct srig_message srig_message(
    uint64_t age_s, uint32_t flags, const char *sender, const struct srig_recipient *recipients, unsigned n);
struct srig_message srig_simple(const char *recipient); /* from sender@far.example */
struct srig_message srig_from(const char *sender);      /* to a@far.example */
void announce(const struct srig_message *m);
/* The same under n ids that follow its own, as credit allows; *credit is 0 at first. */
void srig_announce_many(struct srig_message *m, unsigned n, uint32_t *credit);
unsigned srig_resident_kib(void);
#if defined(__SANITIZE_ADDRESS__)
#define SRIG_SHADOW_KIB (1u << 20)
#else
#define SRIG_SHADOW_KIB 0u
#endif
void answer_fetch(const struct srig_message *m, uint64_t ref);
void srig_say(uint16_t type, const struct srig_message *m); /* as queue, a message whose body is a name */

void srig_be_patient(int fd);
struct wire_message srig_receive(struct channel *c, uint16_t type); /* the next message, which must be of that type */
extern struct channel srig_deferring;                               /* the session of srig_defer */

/* Each takes the next message of its channel, which must be of that kind and about m; credits are passed over. */
void expect_status(const struct srig_message *m, uint32_t recipient, enum store_status status, const char *note_begins);
uint64_t expect_later(const struct srig_message *m); /* the due time */
void expect_done(const struct srig_message *m);
uint64_t expect_fetch(const struct srig_message *m); /* the ref */
void expect_silence(struct channel *c, unsigned ms);

struct channel expect_spawn(uint32_t uid); /* local's end of its channel */
uint64_t expect_delivery(struct channel *local, const struct srig_message *m, const char *recipient);
void deliver_answer(struct channel *local, uint64_t ref, enum sd_outcome outcome, const char *text);

/* Deliveries to other hosts. A session's end, after its RM_PEER, which must be for that domain (null: any; srig_domain has it). */
extern char srig_domain[256];
struct channel expect_session(const char *domain);
/* The next transaction: of m, with n recipients of whom that is the first; its ref. Null m: of any message, any recipients. */
uint64_t expect_transaction(struct channel *session, const struct srig_message *m, unsigned n, const char *first);
/* RM_DONE; the text is the peer's own if it begins with a code. */
void remote_answer(struct channel *session, uint64_t ref, enum rm_outcome outcome, enum rm_scope scope, bool closing,
    const char *text);
void remote_result(
    struct channel *session, uint64_t ref, uint32_t recipient, enum rm_outcome outcome, const char *text);
void expect_delivered(struct channel *session, const struct srig_message *m); /* of srig_from */
struct channel expect_all_read(void);          /* until send has read what was announced; to be closed at the end */
void srig_defer(const struct srig_message *m); /* its only recipient, at far.example: 4.4.4 not now */

/* A report, from PQ_OPEN to PQ_COMMIT; its text until the next call. */
const char *expect_report(const char *to, uint32_t flags, uint64_t *ref);
void report_committed(uint64_t ref);
void report_failed(uint64_t ref);
