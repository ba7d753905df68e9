/* To which ports the tables of a client lead: smtproutes, authsenders, tlsdestinations. */
#pragma once

#include "base/buf.h"
#include "control/source.h"

/* Adds them to a text, with commas between, each once. The text fails if it has no room. */
void client_ports_name(struct buf *text, const struct control_source *s);
