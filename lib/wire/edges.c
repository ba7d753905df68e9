/* The protocols of all edges, made from the lists in their headers.
 * Data, and the words of what is said to people; side names are those of the census.
 * Trusts the headers alone; no protocol is put together at run time. */
#include "wire/auth_authrun.h"
#include "wire/auth_lspawn.h"
#include "wire/client_resolve.h"
#include "wire/door.h"
#include "wire/listen_policy.h"
#include "wire/listen_smtpd.h"
#include "wire/policy_auth.h"
#include "wire/policy_authrun.h"
#include "wire/policy_keyload.h"
#include "wire/policy_pop3box.h"
#include "wire/policy_queue.h"
#include "wire/policy_tls.h"
#include "wire/queue_control.h"
#include "wire/queue_send.h"
#include "wire/send_instruct.h"
#include "wire/send_local.h"
#include "wire/send_lspawn.h"
#include "wire/send_pipe.h"
#include "wire/send_remote.h"
#include "wire/send_remote_door.h"
#include "wire/smtpd_policy.h"
#include "wire/sslserver_ucspitls.h"
#include "wire/tls_facts.h"
#include "wire/tls_keyload.h"
#include "wire/warden_keyring.h"
#include "wire/warden_users.h"

WIRE_DEFINE(auth_authrun, AUTH_AUTHRUN, "auth", "authrun")
WIRE_DEFINE(auth_lspawn, AUTH_LSPAWN, "auth", "lspawn")
WIRE_DEFINE(client_resolve, CLIENT_RESOLVE, "client", "resolve")
WIRE_DEFINE(door, DOOR, "client", "owner")
WIRE_DEFINE(listen_policy, LISTEN_POLICY, "listen", "policy")
WIRE_DEFINE(listen_smtpd, LISTEN_SMTPD, "listen", "smtpd")
WIRE_DEFINE(policy_pop3box, POLICY_POP3BOX, "policy", "pop3box")
WIRE_DEFINE(policy_queue, POLICY_QUEUE, "client", "queue")
WIRE_DEFINE(queue_control, QUEUE_CONTROL, "postern", "queue")
WIRE_DEFINE(queue_send, QUEUE_SEND, "queue", "send")
WIRE_DEFINE(send_instruct, SEND_INSTRUCT, "send", "instruct")
WIRE_DEFINE(send_local, SEND_LOCAL, "send", "local")
WIRE_DEFINE(send_lspawn, SEND_LSPAWN, "send", "spawner")
WIRE_DEFINE(send_pipe, SEND_PIPE, "send", "pipe")
WIRE_DEFINE(send_remote, SEND_REMOTE, "send", "remote")
WIRE_DEFINE(send_remote_door, SEND_REMOTE_DOOR, "send", "remote")
WIRE_DEFINE(smtpd_policy, SMTPD_POLICY, "smtpd", "policy")
WIRE_DEFINE(sslserver_ucspitls, SSLSERVER_UCSPITLS, "sslserver", "ucspitls")
WIRE_DEFINE(policy_auth, POLICY_AUTH, "policy", "auth")
WIRE_DEFINE(policy_authrun, POLICY_AUTHRUN, "policy", "authrun")
WIRE_DEFINE(policy_keyload, POLICY_KEYLOAD, "policy", "keyload")
WIRE_DEFINE(policy_tls, POLICY_TLS, "policy", "tls")
WIRE_DEFINE(tls_facts, TLS_FACTS, "tls", "policy")
WIRE_DEFINE(tls_keyload, TLS_KEYLOAD, "tls", "keyload")
WIRE_DEFINE(warden_keyring, WARDEN_KEYRING, "warden", "keyring")
WIRE_DEFINE(warden_users, WARDEN_USERS, "warden", "reader")

/* ---- words of enumerations ---- */

const char *const qc_act_names[QC_N_ACTS] = {
	[QC_HOLD] = "hold",
	[QC_RELEASE] = "release",
	[QC_RETRY] = "retry",
	[QC_BOUNCE] = "bounce",
	[QC_DELETE] = "delete",
};

const char *const sp_mechanism_names[SP_N_MECHANISMS] = {
	[SP_PLAIN] = "PLAIN",
	[SP_LOGIN] = "LOGIN",
	[SP_CRAM_MD5] = "CRAM-MD5",
	[SP_SCRAM_SHA_256] = "SCRAM-SHA-256",
	[SP_SCRAM_SHA_256_PLUS] = "SCRAM-SHA-256-PLUS",
	[SP_EXTERNAL] = "EXTERNAL",
	[SP_APOP] = "APOP",
};

bool
sp_mechanism_of_word(struct bytes word, enum sp_mechanism *found)
{
	for (unsigned m = 0; m < SP_APOP; m++)
		if (bytes_equal_nocase(word, bytes_of_string(sp_mechanism_names[m]))) {
			*found = (enum sp_mechanism)m;
			return true;
		}
	return false;
}
