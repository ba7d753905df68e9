/* To which ports root's control files lead: those of a mail client smtproutes, authsenders, tlsdestinations; those of resolve
 * forwarders. */
#pragma once

#include "base/buf.h"
#include "control/source.h"

/* Adds them to a text, with commas between, each once. The text fails if it has no room. */
void client_ports_name(struct buf *text, const struct control_source *s);
void resolver_ports_name(struct buf *text, const struct control_source *s);
