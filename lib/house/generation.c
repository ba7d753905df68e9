/* Starting and ending of generations.
 * Trusts the plan's tables; its children are root until they have confined themselves, which is the first they do.
 * Never gives a process a descriptor that its table does not name. */
#include "house/generation.h"

#include "house/become.h"
#include "house/certificates.h"
#include "house/client_certificates.h"
#include "house/programs.h"
#include "house/users_feed.h"
#include "sys/clock.h"
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct start {
	const struct instance *in;
	const struct control_source *source;
	const struct sockets *sockets;
	struct generation *g;
	struct command_ends *ends; /* null: the members have no neighbour that is not one of them */
	struct parcel parcels[HOUSE_MEMBERS_MAX];
};

static enum result
give(struct start *s, size_t member, const char *slot_name, int source, int offset, bool ours, struct why *why)
{
	const struct fd_slot *slot = house_slot(s->g->members[member].process, slot_name);
	struct parcel *p = &s->parcels[member];

	if (slot == NULL || p->n == GIFTS_MAX || offset >= (slot->many > 0 ? slot->many : 1)) {
		if (ours)
			(void)close(source);
		return why_set(why, BROKEN, "%s has no place for %s", s->g->members[member].process, slot_name);
	}
	p->gifts[p->n++] = (struct gift){ source, slot->fd + offset, ours };
	return OK;
}

static bool
member_index(const struct generation *g, const char *process, size_t *i)
{
	for (*i = 0; *i < g->n; ++*i)
		if (strcmp(g->members[*i].process, process) == 0)
			return true;
	return false;
}

static enum result
keep_end(struct start *s, const char *slot, int fd, struct why *why)
{
	if (s->ends->n == nitems(s->ends->at)) {
		(void)close(fd);
		return why_set(why, BROKEN, "%s has too many edges", s->in->service);
	}
	s->ends->at[s->ends->n++] = (struct command_end){ slot, fd };
	return OK;
}

static enum result
wire_edge(struct start *s, const struct house_edge *e, struct why *why)
{
	bool from_command = s->ends != NULL && strcmp(e->from, s->in->service) == 0;
	size_t from = 0, to;
	int pair[2];
	enum result r;

	if (!member_index(s->g, e->to, &to) || (!from_command && !member_index(s->g, e->from, &from)))
		return OK;
	if ((r = channel_pair(pair, why)) != OK)
		return r;
	r = from_command ? keep_end(s, e->from_slot, pair[0], why) : give(s, from, e->from_slot, pair[0], 0, true, why);
	if (r == OK)
		return give(s, to, e->to_slot, pair[1], 0, true, why);
	(void)close(pair[1]);
	return r;
}

static enum result
wire_edges(struct start *s, struct why *why)
{
	enum result r = OK;

	for (size_t i = 0; i < house_n_edges && r == OK; i++)
		r = wire_edge(s, &house_edges[i], why);
	return r;
}

/* Tells a socket from the one that was there before: its number alone may be given out again at once. 0: there is none. */
static uint64_t
door_mark(const struct instance *in, const char *socket)
{
	char path[512];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/%s", in->run, socket);
	if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return 0;
	return (uint64_t)st.st_ino ^
	    ((uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)st.st_mtim.tv_nsec);
}

/* Whether there is a client for the doorway in this service, and which member that is. */
static bool
is_client(const struct generation *g, const struct instance *in, const struct house_doorway *d, size_t *m)
{
	return (d->service == NULL || strcmp(d->service, in->service) == 0) && member_index(g, d->client, m) &&
	    !house_goes_without(in->service, d->client, d->client_slot);
}

bool
generation_is_cut_off(const struct generation *g, const struct instance *in)
{
	size_t m;

	for (size_t i = 0; i < house_n_doorways; i++) {
		const struct house_doorway *d = &house_doorways[i];
		uint64_t now = is_client(g, in, d, &m) ? door_mark(in, d->socket) : 0;

		if (now != 0 && now != g->doors[i])
			return true;
	}
	return false;
}

static struct gift *
kept_gift(struct member *m, const char *slot_name)
{
	const struct fd_slot *slot = house_slot(m->process, slot_name);

	for (size_t i = 0; slot != NULL && i < m->n_kept; i++)
		if (m->kept[i].target == slot->fd)
			return &m->kept[i];
	return NULL;
}

static bool
reconnect(struct member *m, const struct instance *in, const struct house_doorway *d)
{
	struct gift *g = kept_gift(m, d->client_slot);
	struct why ignored = WHY_NONE;
	int fd;

	if (g == NULL || !g->ours || sockets_connect_door(in, d->socket, &fd, &ignored) != OK)
		return false;
	(void)close(g->source);
	g->source = fd;
	if (m->pid > 0)
		(void)kill(m->pid, SIGTERM); /* the zygote; its sessions go on */
	return true;
}

bool
generation_reconnect(struct generation *g, const struct instance *in)
{
	size_t m;

	for (size_t i = 0; i < house_n_doorways; i++) {
		const struct house_doorway *d = &house_doorways[i];
		uint64_t now = is_client(g, in, d, &m) ? door_mark(in, d->socket) : 0;

		if (now == 0 || now == g->doors[i])
			continue;
		if (!reconnect(&g->members[m], in, d))
			return false;
		g->doors[i] = now;
	}
	return true;
}

void
generation_note_doors(struct generation *g, const struct instance *in)
{
	size_t m;

	for (size_t i = 0; i < house_n_doorways; i++)
		if (is_client(g, in, &house_doorways[i], &m)) {
			g->has_doorways = true;
			g->doors[i] = door_mark(in, house_doorways[i].socket);
		}
}

static enum result
wire_doors(struct start *s, struct why *why)
{
	enum result r;
	size_t m;
	int fd;

	for (size_t i = 0; i < house_n_doorways; i++) {
		const struct house_doorway *d = &house_doorways[i];

		if (member_index(s->g, d->owner, &m) &&
		    (r = give(s, m, d->owner_slot, s->sockets->doors[i].fd, 0, false, why)) != OK)
			return r;
		if (!is_client(s->g, s->in, d, &m))
			continue;
		s->g->has_doorways = true;
		s->g->doors[i] = door_mark(s->in, d->socket);
		r = sockets_connect_door(s->in, d->socket, &fd, why);
		if (r == ABSENT && house_can_do_without(d->client, d->client_slot)) {
			*why = WHY_NONE; /* it can do without */
			continue;
		}
		if (r != OK || (r = give(s, m, d->client_slot, fd, 0, true, why)) != OK)
			return r;
	}
	return OK;
}

static enum result
give_opened(struct start *s, size_t m, const char *slot, const char *path, int flags, struct why *why)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return why_errno(why, BROKEN, "opening %s", path);
	return give(s, m, slot, fd, 0, true, why);
}

/* The table of users, and a channel for those to come. */
static enum result
give_users(struct start *s, size_t m, struct why *why)
{
	const char *process = s->g->members[m].process;
	bool starts = strcmp(process, "lspawn") == 0 || strcmp(process, "pspawn") == 0;
	int fd;
	enum result r = users_feed_join(s->in->users, starts, &fd, why);

	return r == OK ? give(s, m, "users", fd, 0, true, why) : r;
}

static enum result
give_own(struct start *s, size_t m, const struct fd_slot *slot, struct why *why)
{
	char path[512];
	enum result r = OK;
	int fd;

	switch (slot->kind) {
	case FD_CONTROL:
		if ((r = control_seal(s->source, s->g->members[m].process, &fd, why)) == OK)
			r = give(s, m, slot->name, fd, 0, true, why);
		break;
	case FD_LISTENING:
		for (size_t i = 0; i < s->sockets->n_listening && r == OK; i++)
			r = give(s, m, slot->name, s->sockets->listening[i].fd, (int)i, false, why);
		break;
	case FD_PROGRAM:
		fd = s->in->programs != NULL ? programs_find(s->in->programs, slot->name) : -1;
		if (fd >= 0)
			return give(s, m, slot->name, fd, 0, false, why);
		(void)snprintf(path, sizeof path, "%s/%s", s->in->libexec, slot->name);
		r = give_opened(s, m, slot->name, path, O_RDONLY, why);
		break;
	case FD_DIRECTORY:
		r = give_opened(s, m, slot->name, s->in->queue, O_RDONLY | O_DIRECTORY, why);
		break;
	case FD_PROC_FDS:
		r = give(s, m, slot->name, -1, 0, false, why);
		break;
	case FD_CHANNEL:
		if (strcmp(slot->name, "users") == 0 && s->in->users != NULL)
			r = give_users(s, m, why);
		break;
	case FD_TABLE:
	case FD_DOOR:
	case FD_DOORWAY:
		break; /* from the graph */
	}
	return r;
}

static enum result
fill_parcels(struct start *s, struct why *why)
{
	enum result r;

	if ((r = wire_edges(s, why)) != OK || (s->sockets != NULL && (r = wire_doors(s, why)) != OK))
		return r;
	for (size_t m = 0; m < s->g->n; m++) {
		const struct privileges *p = house_privileges(s->g->members[m].process);

		for (const struct fd_slot *slot = p->fds; slot < p->fds + nitems(p->fds) && slot->name != NULL; slot++)
			if (!house_goes_without(s->in->service, p->process, slot->name) &&
			    (r = give_own(s, m, slot, why)) != OK)
				return r;
	}
	return OK;
}

/* For its successors; a service only, since a command's helpers end with it. */
static bool
keep_parcel(const struct start *s, struct member *m, const struct parcel *p)
{
	if (s->sockets == NULL || !house_is_replaced_alone(m->process) || p->n > nitems(m->kept))
		return false;
	memcpy(m->kept, p->gifts, p->n * sizeof p->gifts[0]);
	m->n_kept = p->n;
	return true;
}

static void
drop_parcels(struct start *s)
{
	for (size_t m = 0; m < s->g->n; m++) {
		const struct parcel *p = &s->parcels[m];

		if (keep_parcel(s, &s->g->members[m], p))
			continue;
		for (size_t i = 0; i < p->n; i++)
			if (p->gifts[i].ours)
				(void)close(p->gifts[i].source);
	}
}

void
generation_release(struct generation *g)
{
	for (size_t m = 0; m < g->n; m++) {
		for (size_t i = 0; i < g->members[m].n_kept; i++)
			if (g->members[m].kept[i].ours)
				(void)close(g->members[m].kept[i].source);
		g->members[m].n_kept = 0;
	}
}

/* In the parent. Whoever of us comes first puts the child into its group. */
static void
note_started(struct member *m, pid_t pid)
{
	if (m->group <= 0 || setpgid(pid, m->group) != 0)
		(void)setpgid(pid, pid);
	m->group = getpgid(pid);
	if (m->group <= 0)
		m->group = pid;
	m->pid = pid;
	m->began_ms = clock_ms();
}

static enum result
start_member(struct start *s, size_t m, struct why *why)
{
	pid_t pid = fork();

	if (pid < 0)
		return why_errno(why, EXHAUSTED, "starting %s", s->g->members[m].process);
	if (pid == 0 && s->g->held_back && generation_front(s->g) == &s->g->members[m])
		(void)raise(SIGSTOP);
	if (pid == 0)
		become_member(s->in, s->source, &s->g->members[m], &s->parcels[m]);
	note_started(&s->g->members[m], pid);
	return OK;
}

enum result
generation_replace_member(struct generation *g, const struct instance *in, const struct control_source *source,
    struct member *m, struct why *why)
{
	static struct parcel p;
	pid_t pid;

	if (m->n_kept == 0 || g->ends)
		return why_set(why, REFUSED, "%s is not replaced alone", m->process);
	p.n = m->n_kept;
	memcpy(p.gifts, m->kept, m->n_kept * sizeof p.gifts[0]);
	if ((pid = fork()) < 0)
		return why_errno(why, EXHAUSTED, "starting %s", m->process);
	if (pid == 0)
		become_member(in, source, m, &p);
	note_started(m, pid);
	return OK;
}

enum result
generation_start_helper(
    const struct instance *in, const char *process, const char *slot, int fd, pid_t *pid, struct why *why)
{
	static struct start s;
	static struct generation g;
	enum result r;

	g = (struct generation){ .n = 1, .members = { { .process = process } } };
	s = (struct start){ .in = in, .g = &g };
	if ((r = instance_owner(in, house_privileges(process)->user, &g.members[0].owner, why)) != OK ||
	    (r = give(&s, 0, slot, fd, 0, false, why)) != OK || (r = start_member(&s, 0, why)) != OK)
		return r;
	*pid = g.members[0].pid;
	return OK;
}

/* Public certificates, for a service that speaks TLS. */
static enum result
give_certificates(struct start *s, struct why *why)
{
	struct certificates_named named = { .variables = buf_bytes(&s->source->items[ITEM_VARIABLES].value),
		.rules = buf_bytes(&s->source->items[ITEM_RULES].table) };
	struct client_certificates client = { .cas.failed = true };
	enum result r = OK;
	size_t m;
	int fd = -1;

	if (member_index(s->g, "remote", &m))
		r = client_certificates_name(&client, s->source, &named, why);
	if (r == OK && member_index(s->g, "tls", &m) && (r = certificates_gather(s->in, &named, &fd, why)) == OK)
		r = give(s, m, "certificates", fd, 0, true, why);
	if (r == OK && fd >= 0 && member_index(s->g, "policy", &m))
		r = give(s, m, "certificates", fd, 0, false, why);
	client_certificates_forget(&client);
	return r;
}

static enum result
start_members(struct start *s, struct why *why)
{
	enum result r = OK;

	for (size_t i = 0; i < s->g->n && r == OK; i++)
		r = start_member(s, i, why);
	return r;
}

static unsigned
sessions_of(const struct start *s, const struct privileges *p)
{
	if (p->fds_a_session == 0)
		return 0;
	return s->source != NULL ? house_sessions(s->in->service, s->source) : s->in->sessions;
}

static enum result
find_members(struct start *s, struct why *why)
{
	const char *names[HOUSE_MEMBERS_MAX];
	size_t n = house_members(s->in->service, names);
	enum result r = OK;

	s->g->n = 0;
	for (size_t i = 0; i < n && r == OK; i++) {
		struct member *m = &s->g->members[s->g->n];

		if (!house_is_wanted(names[i], s->source))
			continue;
		*m = (struct member){ .process = names[i], .sessions = sessions_of(s, house_privileges(names[i])) };
		r = instance_owner(s->in, house_privileges(names[i])->user, &m->owner, why);
		s->g->n++;
	}
	return r;
}

static enum result
finish(struct start *s, enum result r, struct why *why)
{
	if (r == OK)
		r = start_members(s, why);
	drop_parcels(s);
	if (r != OK)
		generation_signal(s->g, SIGKILL);
	return r;
}

enum result
generation_start(struct generation *g, const struct instance *in, const struct control_source *source,
    const struct sockets *sockets, struct why *why)
{
	static struct start s;
	enum result r;

	s = (struct start){ .in = in, .source = source, .sockets = sockets, .g = g };
	if ((r = find_members(&s, why)) == OK && (r = fill_parcels(&s, why)) == OK)
		r = give_certificates(&s, why);
	return finish(&s, r, why);
}

enum result
generation_start_for_command(
    struct generation *g, const struct instance *in, int rack_fd, struct command_ends *ends, struct why *why)
{
	static struct start s;
	enum result r;
	size_t m;

	s = (struct start){ .in = in, .g = g, .ends = ends };
	ends->n = 0;
	if ((r = find_members(&s, why)) == OK && (r = fill_parcels(&s, why)) == OK && member_index(g, "tls", &m))
		r = give(&s, m, "certificates", rack_fd, 0, false, why);
	if ((r = finish(&s, r, why)) != OK)
		command_ends_close(ends);
	return r;
}
