/* Starts processes of users, for lspawn and pspawn.
 * Trusts warden's table of users for uid, gid and home, and the asker only for which row of it is meant.
 * Never becomes root, a user below minuid, or one of the house's own, whatever the table says; never opens a file; the child
 * gives root up before it reads anything. */
#include "net/spawner.h"

#include "base/bytes.h"
#include "config.h"
#include "control/control.h"
#include "net/spawn_judge.h"
#include "net/users_follow.h"
#include "sys/log.h"
#include "sys/zygote.h"
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHILDREN_MAX 20000
#define CHANNEL_FD 3 /* where what it starts expects its channel: its privileges say so */

struct spawner {
	const struct process *self;
	const struct spawner_trade *trade;
	struct control control; /* with the table of users */
	struct users_follower users;
	struct user_bounds bounds;
	struct channel asker;
	struct zygote zygote;
};

enum { KEY, ROW, BELOW, N_FIELDS };

/* The uids of the house, which warden tells at the start. */
static bool
take_own_ids(struct spawner *l)
{
	struct bytes rest = bytes_of_string(l->self->own_ids), one;
	uint64_t n;

	while (bytes_split(&rest, ',', &one)) {
		if (!bytes_to_number(one, UINT32_MAX, &n) || l->bounds.n_own == USER_OWN_MAX)
			return false;
		l->bounds.own_ids[l->bounds.n_own++] = (uint32_t)n;
	}
	return true;
}

static enum result
judge(struct spawner *l, const struct bytes fields[N_FIELDS], struct user_row *row, struct why *why)
{
	struct users_table *t = &l->control.users;
	enum result r = judge_row(t, &l->bounds, fields[KEY], fields[ROW], row, NULL);

	if (r == ABSENT)
		users_follow_now(&l->users); /* the asker may have the next table already */
	if (r != OK)
		r = judge_row(t, &l->bounds, fields[KEY], fields[ROW], row, why);
	return r == OK && l->trade->n_fields > BELOW ? judge_maildir(fields[BELOW], why) : r;
}

static void
copy_path(char into[LSPAWN_PATH_MAX + 1], struct bytes path)
{
	if (path.len > 0)
		memcpy(into, path.at, path.len);
	into[path.len] = '\0';
}

__attribute__((noreturn)) static void
become(const struct spawner *l, const struct spawner_program *what, const struct user_row *who, struct bytes maildir,
    int channel)
{
	char uid[16], gid[16], home[LSPAWN_PATH_MAX + 1], below[LSPAWN_PATH_MAX + 1];
	char name[16], n[] = "-n", u[] = "-u", g[] = "-g", r[] = "-r", b[] = "-b", v[] = "-v", service[64];
	char version[] = POSTERN_VERSION;
	char lenient[] = "--lenient";
	char *argv[16] = { name, n, service, v, version, u, uid, g, gid, r, home };
	char *environment[] = { NULL };
	int program = fcntl(what->fd, F_DUPFD_CLOEXEC, 16);
	size_t n_arguments = 11;

	copy_path(home, who->home);
	copy_path(below, maildir);
	(void)snprintf(name, sizeof name, "%s", what->name);
	(void)snprintf(uid, sizeof uid, "%u", who->uid);
	(void)snprintf(gid, sizeof gid, "%u", who->gid);
	(void)snprintf(service, sizeof service, "%s", l->self->service);
	if (below[0] != '\0') {
		argv[n_arguments++] = b;
		argv[n_arguments++] = below;
	}
	if (l->self->lenient)
		argv[n_arguments++] = lenient;
	if (program >= 0 && dup2(channel, CHANNEL_FD) >= 0) {
		if (channel == CHANNEL_FD)
			(void)fcntl(channel, F_SETFD, 0);
		(void)execveat(program, "", argv, environment, AT_EMPTY_PATH);
	}
	log_simple(SEVERITY_ERROR, name, "why", strerrordesc_np(errno));
	_exit(111);
}

/* The body says which, where there is more than one. */
static const struct spawner_program *
program_of(const struct spawner_trade *t, const struct wire_message *m)
{
	const uint32_t *which = m->body;

	if (t->n_programs == 1)
		return &t->programs[0];
	return *which < t->n_programs ? &t->programs[*which] : NULL;
}

static enum result
spawn(struct spawner *l, const struct wire_message *m, struct why *why)
{
	struct bytes fields[N_FIELDS] = { BYTES_NONE, BYTES_NONE, BYTES_NONE };
	const struct spawner_program *what = program_of(l->trade, m);
	struct user_row who;
	bool child = false;
	enum result r;

	if (what == NULL || !wire_take_all(m->tail, fields, l->trade->n_fields))
		return why_set(why, MALFORMED, "a spawn without its fields");
	if ((r = judge(l, fields, &who, why)) != OK)
		return r;
	if ((r = zygote_fork(&l->zygote, &child, why)) != OK)
		return r;
	if (child)
		become(l, what, &who, fields[BELOW], m->fds[0]);
	return OK;
}

static enum result
serve(struct spawner *l, struct why *why)
{
	static struct wire_buffer buffer;
	struct wire_message m;
	struct why refusal;
	enum result r;

	for (;;) {
		if ((r = zygote_wait(&l->zygote, why)) != OK)
			return r;
		users_follow_now(&l->users);
		l->zygote.also_fd = l->users.channel.fd;
		r = channel_receive(&l->asker, &buffer, &m, why);
		if (r == AGAIN)
			continue;
		if (r != OK)
			return r;
		refusal = WHY_NONE;
		r = spawn(l, &m, &refusal);
		if (r != OK) {
			log_why("spawn-refused", r, &refusal);
			r = channel_send(
			    &l->asker, l->trade->refused, m.ref, NULL, bytes_of_string(refusal.text), NULL, why);
		}
		wire_close_fds(&m); /* after the refusal, so that send hears why its channel ends */
		if (r != OK && r != AGAIN)
			return r;
	}
}

/* which of them it is here: the others' channels are absent */
static enum result
find_trade(struct spawner *l, const struct spawner_trade *trades, size_t n, struct why *why)
{
	for (size_t i = 0; i < n; i++) {
		int type = 0;
		socklen_t len = sizeof type;

		if (getsockopt(trades[i].channel_fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
			continue;
		if (l->trade != NULL)
			return why_set(why, MALFORMED, "%s serves one process only", l->self->may->process);
		l->trade = &trades[i];
	}
	if (l->trade == NULL)
		return why_set(why, MALFORMED, "%s was started without somebody to serve", l->self->may->process);
	l->asker = channel_of(l->trade->channel_fd, l->trade->protocol, WIRE_SECOND, false);
	return OK;
}

int
spawner_run(const struct process *self, int users_fd, const struct spawner_trade *trades, size_t n_trades)
{
	static struct spawner l;
	struct why why = WHY_NONE;
	enum result r;

	l.self = self;
	l.control = CONTROL_NONE;
	if (self->own_ids == NULL || !take_own_ids(&l))
		return process_refuse(self,
		    why_set(&why, MALFORMED, "%s was not told whom it must not become", self->may->process), &why);
	if ((r = process_inherit(self, &why)) != OK || (r = process_confine(self, &why)) != OK ||
	    (r = control_open(&l.control, CONTROL_FD, self->may->process, &why)) != OK ||
	    (r = users_follow(&l.users, users_fd, &l.control, &why)) != OK ||
	    (r = find_trade(&l, trades, n_trades, &why)) != OK ||
	    (r = zygote_open(&l.zygote, l.trade->channel_fd, CHILDREN_MAX, &why)) != OK)
		return process_refuse(self, r, &why);
	l.zygote.lasts = true;
	l.zygote.also_fd = l.users.channel.fd;
	l.bounds.min_uid = (uint32_t)control_number(&l.control, ITEM_MINUID);
	l.bounds.min_gid = (uint32_t)control_number(&l.control, ITEM_MINGID);
	r = serve(&l, &why);
	return process_refuse(self, r, &why);
}
