/* lspawn: starts the delivery process of a user.
 * Trusts send for which user is meant, but never becomes root, a user below minuid, or one of the house's own.
 * Never reads anything but those requests, never opens a file; the child gives root up before it reads anything. */
#include "base/bytes.h"
#include "control/control.h"
#include "lspawn/privileges.h"
#include "sys/log.h"
#include "sys/process.h"
#include "sys/zygote.h"
#include "wire/channel.h"
#include "wire/send_lspawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOCALS_MAX 1000
#define LOCAL_CHANNEL_FD 3 /* where local expects its channel: its privileges say so */
#define HOME_MAX 4000

struct lspawn {
	const struct process *self;
	uint32_t min_uid;
	struct channel send;
	struct zygote zygote;
};

static bool
is_own(const struct process *self, uint32_t uid)
{
	struct bytes rest = bytes_of_string(self->own_ids), one;
	uint64_t n;

	while (self->own_ids != NULL && bytes_split(&rest, ',', &one))
		if (bytes_to_number(one, UINT32_MAX, &n) && n == uid)
			return true;
	return false;
}

static enum result
may_become(const struct lspawn *l, const struct sl_spawn *who, struct bytes home, struct why *why)
{
	if (who->uid == 0 || who->gid == 0)
		return why_set(why, REFUSED, "nothing is delivered as root");
	if (who->uid < l->min_uid)
		return why_set(why, REFUSED, "uid %u is below minuid %u", who->uid, l->min_uid);
	if (is_own(l->self, who->uid))
		return why_set(why, REFUSED, "uid %u is one of Postern's own", who->uid);
	if (home.len == 0 || home.len > HOME_MAX || home.at[0] != '/' || bytes_find(home, '\0') < home.len)
		return why_set(why, REFUSED, "the home of uid %u is no absolute path", who->uid);
	return OK;
}

__attribute__((noreturn)) static void
become(const struct lspawn *l, const struct sl_spawn *who, struct bytes home, int channel)
{
	char uid[16], gid[16], path[HOME_MAX + 1];
	char name[] = "local", n[] = "-n", u[] = "-u", g[] = "-g", r[] = "-r", service[64];
	char lenient[] = "--lenient";
	char *argv[] = { name, n, service, u, uid, g, gid, r, path, l->self->lenient ? lenient : NULL, NULL };
	char *environment[] = { NULL };
	int program = fcntl(LSPAWN_LOCAL_FD, F_DUPFD_CLOEXEC, 16);

	memcpy(path, home.at, home.len);
	path[home.len] = '\0';
	(void)snprintf(uid, sizeof uid, "%u", who->uid);
	(void)snprintf(gid, sizeof gid, "%u", who->gid);
	(void)snprintf(service, sizeof service, "%s", l->self->service);
	if (program >= 0 && dup2(channel, LOCAL_CHANNEL_FD) >= 0) {
		if (channel == LOCAL_CHANNEL_FD)
			(void)fcntl(channel, F_SETFD, 0);
		(void)execveat(program, "", argv, environment, AT_EMPTY_PATH);
	}
	log_simple(SEVERITY_ERROR, "local", "why", strerrordesc_np(errno));
	_exit(111);
}

static enum result
spawn(struct lspawn *l, const struct wire_message *m, struct why *why)
{
	const struct sl_spawn *who = m->body;
	struct bytes fields[2];
	bool child = false;
	enum result r;

	if (!wire_take_all(m->tail, fields, 2))
		return why_set(why, MALFORMED, "a spawn without name and home");
	if ((r = may_become(l, who, fields[1], why)) != OK)
		return r;
	if ((r = zygote_fork(&l->zygote, &child, why)) != OK)
		return r;
	if (child)
		become(l, who, fields[1], m->fds[0]);
	return OK;
}

static enum result
serve(struct lspawn *l, struct why *why)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	struct why refusal;
	enum result r;

	for (;;) {
		if ((r = zygote_wait(&l->zygote, why)) != OK)
			return r;
		r = channel_receive(&l->send, &buffer, &m, why);
		if (r == AGAIN)
			continue;
		if (r != OK)
			return r;
		refusal = WHY_NONE;
		r = spawn(l, &m, &refusal);
		if (r != OK) {
			log_why("spawn-refused", r, &refusal);
			r = channel_send(&l->send, SL_REFUSED, m.ref, NULL, bytes_of_string(refusal.text), NULL, why);
		}
		wire_close_fds(&m); /* after the refusal, so that send hears why its channel ends */
		if (r != OK && r != AGAIN)
			return r;
	}
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &lspawn_privileges);
	struct lspawn l = { .self = &self };
	struct control control = CONTROL_NONE;
	struct why why = WHY_NONE;
	enum result r;

	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK ||
	    (r = control_open(&control, CONTROL_FD, "lspawn", &why)) != OK ||
	    (r = zygote_open(&l.zygote, LSPAWN_SEND_FD, LOCALS_MAX, &why)) != OK)
		return process_refuse(&self, r, &why);
	l.zygote.lasts = true;
	l.min_uid = (uint32_t)control_number(&control, ITEM_MINUID);
	l.send = channel_of(LSPAWN_SEND_FD, &send_lspawn_protocol, SL_LSPAWN, false);
	r = serve(&l, &why);
	return process_refuse(&self, r, &why);
}
