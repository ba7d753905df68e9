/* One TLS session. */
#pragma once

#include "tls/engines.h"

/* In a child: the handshake, the facts to policy, then the pump, then the end. fds as in PT_SESSION_TO_ITS_END; the fifth may be -1. */
__attribute__((noreturn)) void session_serve(
    const struct tls_engine *e, const struct pt_session *p, const struct wanted *w, const int fds[5]);
