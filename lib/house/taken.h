/* Listening sockets that somebody of root's holds for a service while its warden is replaced by another process: `postern reload`, for
 * a warden that can't execute its next version. They are handed over through RUN/SERVICE.sockets. */
#pragma once

#include "house/sockets.h"

/* Takes what is held for in->service, if anything is; else does nothing. */
void taken_collect(struct sockets *s, const struct instance *in);

/* Makes RUN/SERVICE.sockets, mode 0600: *offer is the caller's, who closes it and removes the path afterwards. */
enum result taken_prepare(const char *run, const char *service, int *offer, struct why *why);

/* Hands n of fds (the caller's; at most SOCKETS_MAX) to the first warden that collects. AGAIN: none did within ms. */
enum result taken_offer(int offer, const int *fds, size_t n, unsigned ms, struct why *why);
