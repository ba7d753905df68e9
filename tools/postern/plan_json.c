/* The plan as JSON, for tests and other programs.
 * Data from plan_data.c and the sets of system calls.
 * Never leaves out what is none: an empty list says so. */
#include "postern/plan.h"

#include "base/bytes.h"
#include "house/house.h"
#include "sys/syscalls.h"

#include <stdio.h>
#include <string.h>

void
plan_json_text(const char *text)
{
	(void)putchar('"');
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
		if (*c == '"' || *c == '\\')
			(void)printf("\\%c", *c);
		else if (*c < ' ')
			(void)printf("\\u%04x", *c);
		else
			(void)putchar(*c);
	(void)putchar('"');
}

static void
pair(const char *before, const char *key, const char *text)
{
	(void)printf("%s\"%s\":", before, key);
	plan_json_text(text);
}

static void
one_call(const char *call, const char *set, const char *reason, void *context)
{
	bool *first = context;

	pair(*first ? "{" : ",{", "call", call);
	pair(",", "set", set);
	pair(",", "reason", reason);
	(void)printf("}");
	*first = false;
}

static void
fds(const struct privileges *p)
{
	(void)printf(",\"descriptors\":[");
	for (const struct fd_slot *s = p->fds; s < p->fds + nitems(p->fds) && s->name != NULL; s++) {
		(void)printf("%s{\"fd\":%d,\"many\":%d,\"optional\":%s", s == p->fds ? "" : ",", s->fd, s->many,
		    s->optional ? "true" : "false");
		pair(",", "name", s->name);
		pair(",", "kind", fd_kind_name(s->kind));
		(void)printf("}");
	}
	(void)printf("]");
}

static void
holds(const struct privileges *p)
{
	static const char *const names[] = { "events", "channels", "connection", "messages", "writers", "files" };
	const char *before = "";

	(void)printf(",\"holds\":[");
	for (size_t i = 0; i < nitems(names); i++)
		if (p->holds & 1u << i) {
			(void)printf("%s\"%s\"", before, names[i]);
			before = ",";
		}
	(void)printf("]");
}

static void
paths_and_ports(const struct privileges *p)
{
	(void)printf(",\"landlock\":%s,\"paths\":[", p->no_landlock ? "false" : "true");
	for (const struct path_rule *r = p->paths; r < p->paths + nitems(p->paths) && r->path != NULL; r++) {
		pair(r == p->paths ? "{" : ",{", "path", r->path);
		(void)printf(",\"read\":%s,\"list\":%s,\"write\":%s}", r->rights & PATH_READ ? "true" : "false",
		    r->rights & PATH_LIST ? "true" : "false", r->rights & PATH_WRITE ? "true" : "false");
	}
	(void)printf("],\"ports\":[");
	for (const struct port_rule *r = p->ports; r < p->ports + nitems(p->ports) && r->port != 0; r++)
		(void)printf(
		    "%s{\"port\":%u,\"connect\":%s}", r == p->ports ? "" : ",", r->port, r->connect ? "true" : "false");
	(void)printf("],\"more_ports\":%s,\"any_source\":%s", p->more_ports ? "true" : "false",
	    p->any_source ? "true" : "false");
}

static void
limits(const struct privileges *p)
{
	(void)printf(",\"limits\":{\"core dumps\":0");
	for (const struct limit *l = p->limits;
	     l < p->limits + nitems(p->limits) && (l->resource != 0 || l->value != 0); l++)
		(void)printf(",\"%s\":%llu", plan_limit_name(l->resource), (unsigned long long)l->value);
	(void)printf(
	    "},\"descriptors_a_session\":%u,\"may_raise\":%s", p->fds_a_session, p->may_raise ? "true" : "false");
}

static void
process(const struct plan_process *one)
{
	const struct privileges *p = one->may;
	char user[64];
	bool first = true;

	plan_user(p, user, sizeof user);
	pair("{", "process", p->process);
	pair(",", "purpose", p->purpose);
	pair(",", "started_by", one->by);
	pair(",", "user", user);
	pair(",", "root", plan_root_name(p));
	pair(",", "network", plan_network_name(p));
	(void)printf(",\"capabilities\":%llu", (unsigned long long)p->capabilities);
	(void)printf(",\"dies_with_parent\":%s", p->outlives_parent ? "false" : "true");
	(void)printf(",\"may_gain\":%s", p->may_gain ? "true" : "false");
	(void)printf(",\"own_groups\":%s", p->own_groups ? "true" : "false");
	paths_and_ports(p);
	fds(p);
	holds(p);
	limits(p);
	(void)printf(",\"seccomp\":%s,\"system_calls\":[", p->no_seccomp ? "false" : "true");
	syscalls_list(p->syscalls, one_call, &first);
	(void)printf("]}");
}

static void
edge(const struct plan_edge *e)
{
	pair("{", "from", e->from);
	pair(",", "to", e->to);
	pair(",", "how", e->how);
	pair(",", "protocol", e->protocol->name);
	(void)printf(",\"messages\":[");
	for (size_t i = 0; i < e->protocol->n_rows; i++) {
		const struct wire_row *row = &e->protocol->rows[i];

		pair(i == 0 ? "{" : ",{", "message", row->name);
		(void)printf(",\"number\":%zu,\"body\":%u,\"tail\":%u,\"descriptors\":%u,\"once\":%s", i, row->body_len,
		    row->tail_max, row->n_fds, row->often == ONCE ? "true" : "false");
		pair(",", "sender", e->protocol->sides[row->sender]);
		(void)printf("}");
	}
	(void)printf("]}");
}

static void
users(void)
{
	static struct house_user all[HOUSE_USERS_MAX];
	size_t n = house_users(all);

	for (size_t i = 0; i < n; i++) {
		pair(i == 0 ? "{" : ",\n{", "name", all[i].name);
		pair(",", "role", all[i].role);
		pair(",", "service", all[i].service != NULL ? all[i].service : "");
		pair(",", "group", all[i].group != NULL ? all[i].group : "");
		(void)printf("}");
	}
}

void
plan_json(const struct privileges *one)
{
	const char *before = "";

	(void)printf("{\"processes\":[");
	for (size_t i = 0; i < plan_n_processes; i++)
		if (one == NULL || plan_processes[i].may == one) {
			(void)fputs(before, stdout);
			process(&plan_processes[i]);
			before = ",\n";
		}
	(void)printf("],\n\"members\":[");
	for (size_t i = 0; i < plan_n_members; i++) {
		pair(i == 0 ? "{" : ",{", "service", plan_members[i].service);
		pair(",", "process", plan_members[i].process);
		(void)printf("}");
	}
	(void)printf("],\n\"edges\":[");
	before = "";
	for (size_t i = 0; i < plan_n_edges; i++)
		if (one == NULL || strcmp(plan_edges[i].from, one->process) == 0 ||
		    strcmp(plan_edges[i].to, one->process) == 0) {
			(void)fputs(before, stdout);
			edge(&plan_edges[i]);
			before = ",\n";
		}
	(void)printf("],\n\"users\":[");
	users();
	(void)printf("]}\n");
}
