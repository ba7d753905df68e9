/* postern plan: the plan of processes, and the running ones against it. */
#pragma once

#include "sys/privileges.h"
#include "wire/wire.h"

/* argv[0] is "plan"; then --json, --live, --users, -R or --run RUNDIR, or a process's name. Returns the exit status: 0; 1 if a
 * running process deviates or one is missing; 100 wrong use; 111 it could not be found out. */
int plan_main(int argc, char *argv[]);

/* ---- the plan's data, from census.def, graph.def and the privileges tables ---- */

struct plan_process {
	const struct privileges *may;
	const char *by; /* who starts it */
};
struct plan_member {
	const char *service, *process; /* members of a service stand together */
};
struct plan_edge {
	const char *from, *to, *how;
	const struct wire_protocol *protocol;
};
extern const struct plan_process plan_processes[];
extern const size_t plan_n_processes;
extern const struct plan_member plan_members[];
extern const size_t plan_n_members;
extern const struct plan_edge plan_edges[];
extern const size_t plan_n_edges;

/* The privileges of a process by name; null if there is none. */
const struct privileges *plan_privileges(const char *process);
const char *plan_root_name(const struct privileges *p);
const char *plan_network_name(const struct privileges *p);
/* The system user, with the prefix of configure where it has one; "pn-tls-SERVICE" where each service has its own. */
void plan_user(const struct privileges *p, char *into, size_t size);
/* A short name of an RLIMIT_… that the tables use; "?" if it is none. */
const char *plan_limit_name(int resource);

/* ---- what is printed ---- */

/* Compares the instance whose wardens write below run_dir with the plan and prints a line a process and one for each
 * deviation; or JSON, one object a line. Exit status as above. */
int plan_live(const char *run_dir, bool json);

/* The plan as one JSON object; of one process, if it is not null. */
void plan_json(const struct privileges *one);
/* A JSON string, with its quotes. */
void plan_json_text(const char *text);
