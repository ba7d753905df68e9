/* postern explain: where mail for an address would go now, under which policies, and why. */
#pragma once

#include "net/peer_order.h"

/* argv[0] is "explain". Prints to standard output; returns the exit status: 0 there is somebody who would be given the
 * mail, 100 it would be returned, 111 it would wait, or that could not be found out. */
int explain_main(int argc, char *argv[]);

#define EXPLAIN_RETURNED 100
#define EXPLAIN_WAITS 111

/* ---- explain_checks.c ---- */

/* The checks of a service for a client, an address as text. given: the control items that say something. The same status; 100:
 * its rule refuses it, or it is no address. */
int explain_checks(const struct control *c, const bool given[], const char *client);

/* ---- explain_hosts.c ---- */

/* The hosts that would be tried, asked of the running resolve, and what each must prove. The same status. */
int explain_hosts(const char *run, const struct control *c, const struct peer_order *o);

/* "TLS with …", of a policy; names: those that the certificate may have. */
void explain_demand(const struct tls_policy *p, const char *names, struct buf *text);

/* One line: what it is about, padded; then the text. */
void explain_row(const char *about, const char *format, ...) __attribute__((format(printf, 2, 3)));
