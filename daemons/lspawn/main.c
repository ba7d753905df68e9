/* lspawn: starts the process of a user: for deliveries, if send asks, or for a POP3 session, if auth does.
 * Trusts them for which user is meant, but never becomes root, a user below minuid, or one of the house's own.
 * Never reads anything but those requests, never opens a file; the child gives root up before it reads anything. */
#include "base/bytes.h"
#include "config.h"
#include "control/control.h"
#include "lspawn/privileges.h"
#include "sys/log.h"
#include "sys/process.h"
#include "sys/zygote.h"
#include "wire/auth_lspawn.h"
#include "wire/channel.h"
#include "wire/send_lspawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHILDREN_MAX 20000
#define CHANNEL_FD 3 /* where what it starts expects its channel: its privileges say so */
#define PATH_LEN_MAX 4000

/* Who may ask here, and for what. */
struct trade {
	int channel_fd, program_fd;
	const char *program;
	const struct wire_protocol *protocol;
	size_t n_fields; /* name, home, and what is below it */
	uint16_t refused;
};

static const struct trade trades[] = {
	{ LSPAWN_SEND_FD, LSPAWN_LOCAL_FD, "local", &send_lspawn_protocol, 2, SL_REFUSED },
	{ LSPAWN_AUTH_FD, LSPAWN_POP3BOX_FD, "pop3box", &auth_lspawn_protocol, 3, AL_REFUSED },
};

struct lspawn {
	const struct process *self;
	const struct trade *trade;
	uint32_t min_uid;
	struct channel asker;
	struct zygote zygote;
};

enum { NAME, HOME, BELOW, N_FIELDS };

/* the two requests begin alike */
static_assert(sizeof(struct sl_spawn) == sizeof(struct al_spawn) &&
	offsetof(struct sl_spawn, uid) == offsetof(struct al_spawn, uid) &&
	offsetof(struct sl_spawn, gid) == offsetof(struct al_spawn, gid),
    "one struct serves both");

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

static bool
is_path(struct bytes path)
{
	return path.len > 0 && path.len <= PATH_LEN_MAX && bytes_find(path, '\0') == path.len;
}

static enum result
may_become(const struct lspawn *l, const struct sl_spawn *who, const struct bytes fields[N_FIELDS], struct why *why)
{
	struct bytes home = fields[HOME], below = fields[BELOW];

	if (who->uid == 0 || who->gid == 0)
		return why_set(why, REFUSED, "nothing is done as root");
	if (who->uid < l->min_uid)
		return why_set(why, REFUSED, "uid %u is below minuid %u", who->uid, l->min_uid);
	if (is_own(l->self, who->uid))
		return why_set(why, REFUSED, "uid %u is one of Postern's own", who->uid);
	if (!is_path(home) || home.at[0] != '/')
		return why_set(why, REFUSED, "the home of uid %u is no absolute path", who->uid);
	if (l->trade->n_fields > BELOW && (!is_path(below) || below.at[0] == '/'))
		return why_set(why, REFUSED, "the Maildir of uid %u is no relative path", who->uid);
	return OK;
}

static void
copy_path(char into[PATH_LEN_MAX + 1], struct bytes path)
{
	if (path.len > 0)
		memcpy(into, path.at, path.len);
	into[path.len] = '\0';
}

__attribute__((noreturn)) static void
become(const struct lspawn *l, const struct sl_spawn *who, const struct bytes fields[N_FIELDS], int channel)
{
	char uid[16], gid[16], home[PATH_LEN_MAX + 1], below[PATH_LEN_MAX + 1];
	char name[16], n[] = "-n", u[] = "-u", g[] = "-g", r[] = "-r", b[] = "-b", v[] = "-v", service[64];
	char version[] = POSTERN_VERSION;
	char lenient[] = "--lenient";
	char *argv[16] = { name, n, service, v, version, u, uid, g, gid, r, home };
	char *environment[] = { NULL };
	int program = fcntl(l->trade->program_fd, F_DUPFD_CLOEXEC, 16);
	size_t n_arguments = 11;

	copy_path(home, fields[HOME]);
	copy_path(below, fields[BELOW]);
	(void)snprintf(name, sizeof name, "%s", l->trade->program);
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

static enum result
spawn(struct lspawn *l, const struct wire_message *m, struct why *why)
{
	const struct sl_spawn *who = m->body;
	struct bytes fields[N_FIELDS] = { BYTES_NONE, BYTES_NONE, BYTES_NONE };
	bool child = false;
	enum result r;

	if (!wire_take_all(m->tail, fields, l->trade->n_fields))
		return why_set(why, MALFORMED, "a spawn without its fields");
	if ((r = may_become(l, who, fields, why)) != OK)
		return r;
	if ((r = zygote_fork(&l->zygote, &child, why)) != OK)
		return r;
	if (child)
		become(l, who, fields, m->fds[0]);
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

/* which of the two it is here: the other's channel is absent */
static enum result
find_trade(struct lspawn *l, struct why *why)
{
	for (size_t i = 0; i < nitems(trades); i++) {
		int type = 0;
		socklen_t len = sizeof type;

		if (getsockopt(trades[i].channel_fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
			continue;
		if (l->trade != NULL)
			return why_set(why, MALFORMED, "lspawn serves either send or auth");
		l->trade = &trades[i];
	}
	if (l->trade == NULL)
		return why_set(why, MALFORMED, "lspawn was started without somebody to serve");
	l->asker = channel_of(l->trade->channel_fd, l->trade->protocol, WIRE_SECOND, false);
	return OK;
}

int
main(int argc, char *argv[])
{
	struct process self = process_begin(argc, argv, &lspawn_privileges);
	struct lspawn l = { .self = &self };
	struct control control = CONTROL_NONE;
	struct why why = WHY_NONE;
	enum result r;

	if (self.own_ids == NULL)
		return process_refuse(
		    &self, why_set(&why, MALFORMED, "lspawn was not told whom it must not become"), &why);
	if ((r = process_inherit(&self, &why)) != OK || (r = process_confine(&self, &why)) != OK ||
	    (r = control_open(&control, CONTROL_FD, "lspawn", &why)) != OK || (r = find_trade(&l, &why)) != OK ||
	    (r = zygote_open(&l.zygote, l.trade->channel_fd, CHILDREN_MAX, &why)) != OK)
		return process_refuse(&self, r, &why);
	l.zygote.lasts = true;
	l.min_uid = (uint32_t)control_number(&control, ITEM_MINUID);
	r = serve(&l, &why);
	return process_refuse(&self, r, &why);
}
