/* The protocols of all edges, made from the lists in their headers.
 * Data only; side names are those of the census.
 * Trusts the headers alone; no protocol is put together at run time. */
#include "wire/door.h"
#include "wire/listen_policy.h"
#include "wire/listen_smtpd.h"
#include "wire/policy_queue.h"
#include "wire/queue_control.h"
#include "wire/queue_send.h"
#include "wire/send_local.h"
#include "wire/send_lspawn.h"
#include "wire/smtpd_policy.h"

WIRE_DEFINE(door, DOOR, "client", "owner")
WIRE_DEFINE(listen_policy, LISTEN_POLICY, "listen", "policy")
WIRE_DEFINE(listen_smtpd, LISTEN_SMTPD, "listen", "smtpd")
WIRE_DEFINE(policy_queue, POLICY_QUEUE, "client", "queue")
WIRE_DEFINE(queue_control, QUEUE_CONTROL, "postern", "queue")
WIRE_DEFINE(queue_send, QUEUE_SEND, "queue", "send")
WIRE_DEFINE(send_local, SEND_LOCAL, "send", "local")
WIRE_DEFINE(send_lspawn, SEND_LSPAWN, "send", "lspawn")
WIRE_DEFINE(smtpd_policy, SMTPD_POLICY, "smtpd", "policy")
