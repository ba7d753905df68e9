/* postern check: the certificates and keys that a service's variables and rules name. */
#pragma once

#include "control/source.h"

/* Says each fault as a whole text, without place or line end. */
typedef void certificates_warn(void *ctx, const char *text);

/* Reads the files with the caller's rights; `me` is the host's name, which the certificates should have. */
void check_certificates(const struct control_source *s, struct bytes me, certificates_warn *say, void *ctx);

/* One pair; passphrase: the text itself, or empty. provider_open (crypt/provider.h) comes before. */
void check_pair(struct bytes certificate, struct bytes key, struct bytes passphrase, certificates_warn *say, void *ctx);

/* A file of CAs, or a directory of such files if it ends in a slash. */
void check_cas(struct bytes name, certificates_warn *say, void *ctx);
