/* What the program learns of its connection: sections 1.3 and 1.4 of ucspi-ssl's practice. */
#pragma once

#include "ucspi/session.h"

/* PROTO, TCP…, TCP6…, SSL… for the ends of the connection; those that have no value are removed. */
void environment_set(const struct server *s, const struct session *c, bool tls);
void environment_put(const char *name, const char *value); /* null removes it */
void environment_number(const char *name, unsigned n);
