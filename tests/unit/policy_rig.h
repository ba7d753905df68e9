/* For tests of `policy`: the process itself, unconfined, between a listen, front ends and a queue that are the test. */
#pragma once

#include "unit.h"

#include "control_dir.h"
#include "wire/client_resolve.h"
#include "wire/door.h"
#include "wire/listen_policy.h"
#include "wire/policy_auth.h"
#include "wire/policy_queue.h"
#include "wire/smtpd_policy.h"

#include <sys/types.h>

extern struct control_dir rig_dir;
extern pid_t rig_child;
extern struct channel listen_end, queue_end, resolve_end, auth_end;
extern bool rig_resolves; /* set before rig_start: there is a doorway to resolve, which is the test, too */
extern struct wire_buffer rig_buffer, queue_buffer;

/* Peers and what the rig's rules make of them. */
extern const uint8_t anybody[4], denied[4], relay[4], gate[4], small[4], clear[4];

void rig_start(void);
void rig_start_as(const char *service); /* with an auth at auth_end */
int rig_set_up(void **state);
int rig_tear_down(void **state);
struct channel connect_peer(const uint8_t *address, uint8_t family); /* of 4 or 16 octets, by the family */
extern int
    rig_peer; /* the far end of the last one's connection; policy and the front end, which is the test, have the other */
void rig_forget_peer(void);
void expect_ended(uint32_t slot);
void expect_welcome(struct channel *c, unsigned code, unsigned flags);
void expect_answer(struct channel *c, unsigned code, const char *enhanced);
void rig_say(struct channel *c, uint16_t type, const void *body, struct bytes tail);
void rig_mail(struct channel *c, const char *helo, const char *from, uint64_t octets); /* kept until the first rcpt */
void rig_mail_utf8(struct channel *c, const char *from);
void rcpt(struct channel *c, const char *to, unsigned code, const char *enhanced);
void rcpt_say(struct channel *c, const char *to); /* and what is answered: */
void rcpt_hear(struct channel *c, unsigned code, const char *enhanced);
uint64_t resolve_asked(uint16_t type, const char *name); /* the next question; its reference */
void resolve_says(uint64_t ref, enum rs_outcome outcome, struct bytes record);
struct channel rig_begin(const uint8_t address[4]);
struct channel begin_mail(const uint8_t address[4], const char *from);
void take_door(void);
struct wire_message queue_receives(uint16_t type);
uint64_t give_writer(uint64_t ref);
void say_committed(uint64_t ref);
void say_failed(uint64_t ref, enum result r);
void expect_content(struct channel *c, uint64_t max);
uint64_t to_writing(struct channel *c);
