/* tls: the TLS engine, one process a connection. The zygote has contexts and certificates ready, and no connection.
 * Trusts policy for which connection gets which certificate and whose signer.
 * Never has a private key, opens nothing, decides nothing about mail. */
#include "crypt/arena.h"
#include "crypt/provider.h"
#include "sys/code.h"
#include "sys/log.h"
#include "sys/process.h"
#include "sys/zygote.h"
#include "tls/engines.h"
#include "tls/privileges.h"
#include "tls/session.h"
#include "wire/channel.h"
#include "wire/tls_facts.h"

#include <string.h>
#include <unistd.h>

#define ARENA_SIZE (64u << 20) /* of addresses; only what is used is memory */
#define FRESH (112u << 10)     /* a handshake takes that */
#define SESSIONS_MAX 100000    /* policy counts them */

__attribute__((noreturn)) static void
serve(const struct wire_message *m, const struct tls_engine *e, const struct wanted *w)
{
	struct pt_session p;
	int fds[5] = { m->fds[0], m->fds[1], m->fds[2], m->fds[3], m->n_fds > 4 ? m->fds[4] : -1 };

	(void)close(TLS_DOOR_FD);
	arena_fresh(FRESH);
	memcpy(&p, m->body, sizeof p);
	p.conn[ID_LEN] = '\0';
	session_serve(e, &p, w, fds);
}

/* Whoever waits for the handshake is told that there will be none, which is no fault of the peer. */
static void
tell_failure(int fd, const struct why *failure)
{
	struct channel c = channel_of(fd, &tls_facts_protocol, TF_TLS, false);
	struct tf_failed body = { .blame = TF_BLAME_US };
	struct why why = WHY_NONE;

	if (channel_send(&c, TF_FAILED, 0, &body, bytes_of_string(failure->text), NULL, &why) != OK)
		log_why("tls-facts", BROKEN, &why);
}

static void
begin(struct zygote *z, struct engines *all, const struct wire_message *m)
{
	const struct pt_session *p = m->body;
	struct why why = WHY_NONE;
	struct tls_engine *e;
	struct log_line l;
	struct wanted w;
	bool child = false;
	enum result r = engines_get(all, m, &e, &w, &why);

	if (r == OK && (r = zygote_fork(z, &child, &why)) == OK && child)
		serve(m, e, &w);
	if (r == OK)
		return;
	log_begin(&l, SEVERITY_ERROR, "tls-failed");
	log_bytes(&l, "conn", bytes_of(p->conn, ID_LEN));
	log_text(&l, "result", result_meaning(r)->name);
	log_text(&l, "fault", "this host");
	log_text(&l, "why", why.text);
	log_end(&l);
	tell_failure(m->fds[3], &why);
}

static enum result
serve_all(struct channel *door, struct engines *all, struct why *why)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	struct zygote z;
	enum result r = zygote_open(&z, door->fd, SESSIONS_MAX, why);

	while (r == OK) {
		if ((r = zygote_wait(&z, why)) != OK)
			break;
		r = channel_receive(door, &buffer, &m, why);
		if (r == AGAIN) {
			r = OK;
			continue;
		}
		if (r == ABSENT && channel_is_over(door))
			return OK;                   /* nobody is left who could ask */
		if (r == ABSENT || r == MALFORMED) { /* of one session of remote: the others go on */
			log_why("nonsense", r, why);
			*why = WHY_NONE;
			r = OK;
			continue;
		}
		if (r != OK)
			break;
		begin(&z, all, &m);
		wire_close_fds(&m);
	}
	return r;
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &tls_privileges);
	struct channel door = channel_of(TLS_DOOR_FD, &policy_tls_protocol, PT_TLS, false);
	static struct engines all;
	struct why why = WHY_NONE;
	enum result r;

	code_copy_at_fork();
	if ((r = process_inherit(&self, &why)) != OK || (r = arena_open(ARENA_SIZE, &why)) != OK ||
	    (r = process_confine(&self, &why)) != OK || (r = provider_open(&why)) != OK ||
	    (r = engine_warm(&why)) != OK || (r = rack_open(&all.rack, TLS_RACK_FD, &why)) != OK)
		return process_refuse(&self, r, &why);
	arena_trim();
	r = serve_all(&door, &all, &why);
	if (r != OK)
		log_why("ending", r, &why);
	return PROCESS_SPENT;
}
