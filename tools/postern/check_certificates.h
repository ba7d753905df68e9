/* postern check: certificates and keys, CAs and CRLs. provider_open (crypt/provider.h) comes before. */
#pragma once

#include "postern/check_findings.h"

/* A row of the table of checks: those that a service's variables and rules name. */
void check_certificates(struct look *l);

/* One pair that an item names; passphrase: the text itself, or empty. */
void check_pair(
    const struct look *l, enum control_item item, struct bytes certificate, struct bytes key, struct bytes passphrase);

/* A file of CAs, or a directory of such files if it ends in a slash. */
void check_cas(const struct look *l, enum control_item item, struct bytes name);
