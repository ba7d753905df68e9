/* One connection of a program. */
#pragma once

#include "wire/sslserver_ucspitls.h"

/* In a child: waits for the program's command, then lets tls and keyload begin, answers the program, ends. */
__attribute__((noreturn)) void session_run(const struct wire_message *m);
