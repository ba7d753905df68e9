/* The passphrase of a key, for -3. */
#pragma once

/* Reads it from descriptor 3, up to a zero octet, into a memory file that ends with a line end, as keyring takes it; ends the
 * program if it can't be. The descriptor is the caller's. */
int passphrase_take(void);
