/* For tests of what a session of remote gets: send's end of the session, keyload and the engine, as these see it. */
#pragma once

#include "unit.h"

#include "send/credentials.h"

struct crig {
	struct loop loop;
	struct port port;         /* send's end of the session */
	int remote, keyload, tls; /* the other ends */
	int line[2];              /* the connection to the relay */
	struct wire_buffer buffer;
};

extern struct crig rig;

int crig_set_up(void **state);
int crig_tear_down(void **state);

/* Of a connection that goes on in TLS: what is written to fd the engine reads. */
struct credentials crig_made(int fd);
struct access crig_access(void);
enum result crig_ask(
    struct credentials *k, const struct access *a, const struct rm_auth *auth, struct bytes tail, int fd);

/* The answer to the session; its text in *tail. */
bool crig_said(struct bytes *tail);
