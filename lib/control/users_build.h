/* Making the table of users: users/assign (or users/cdb), the owner of virtualusers, the accounts of this host, aliasuser. */
#pragma once

#include "control/control.h"
#include "control/source.h"
#include "control/user_rule.h"

/* Makes the table (control/users_table.h) out of what control_read found and of the accounts as they are now, into fd, an
 * empty memory file of the caller's, and seals it. Asks the host for its accounts and looks at homes, so it may wait for
 * whatever these wait for. EXHAUSTED, BROKEN. */
enum result users_build(const struct control_source *s, const struct user_bounds *bounds, int fd, struct why *why);

/* The bounds of the items minuid and mingid; the house's own ids are the caller's to add. */
struct user_bounds users_bounds_of(const struct control_source *s);

/* Makes the table in this process and attaches it to the configuration, for programs that have no warden. */
enum result users_build_for(
    const struct control_source *s, const struct user_bounds *bounds, struct control *c, struct why *why);
