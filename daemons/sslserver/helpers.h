/* The processes that do TLS for sslserver's programs. */
#pragma once

#include "base/result.h"

#include <stdbool.h>
#include <sys/types.h>

struct server;
struct helpers;

/* Finds the house (POSTERN_CONTROLDIR, POSTERN_RUNDIR, POSTERN_LIBEXECDIR or what was configured), checks the
 * certificates of environment and rules, starts ucspitls, tls and keyload. passphrase_fd: a memory file with the passphrase
 * of the keys; -1: none. */
enum result helpers_open(struct helpers **h, const struct server *s, int passphrase_fd, struct why *why);

/* New certificates, new processes; connections that began keep theirs. If it can't be, what runs goes on. */
enum result helpers_renew(struct helpers *h, struct why *why);

/* Removes the file that tells who runs. */
void helpers_close(struct helpers *h);

/* A child ended: if it was needed, others take over. False: it was none of ours. */
bool helpers_ended(struct helpers *h, pid_t pid, int status);

/* The channel to ucspitls. */
int helpers_door(const struct helpers *h);
