/* One TLS session. */
#pragma once

#include "crypt/session.h"
#include "wire/policy_tls.h"

/* In a child: the handshake, the facts to policy, then the pump, then the end. name: the server's, or "". fds as in
 * PT_SESSION. */
__attribute__((noreturn)) void session_serve(
    const struct tls_engine *e, const struct pt_session *p, const char *name, const int fds[4]);
