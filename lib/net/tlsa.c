/* Which TLSA records count.
 * Trusts nothing in them: who owns a zone writes what he likes into it.
 * Never looks into a certificate: a whole one must only be a DER sequence that fills its record. */
#include "net/tlsa.h"

#include "wire/wire.h"

#define USAGE_TA 2
#define USAGE_EE 3
#define MATCH_WHOLE 0
#define MATCH_SHA256 1
#define MATCH_SHA512 2

static bool
is_sequence(struct bytes der)
{
	size_t n = 0, n_octets = der.len > 1 && der.at[1] > 0x80 ? der.at[1] & 0x7fu : 0;

	if (der.len < 2 || der.at[0] != 0x30 || n_octets > 3 || der.len < 2 + n_octets || der.at[1] == 0x80)
		return false;
	if (n_octets == 0)
		n = der.at[1];
	for (size_t i = 0; i < n_octets; i++)
		n = n << 8 | der.at[2 + i];
	return n > 0 && der.len == 2 + n_octets + n;
}

static bool
is_usable(struct bytes r)
{
	struct bytes data = bytes_skip(r, 3);

	if (r.len < 4 || (r.at[0] != USAGE_TA && r.at[0] != USAGE_EE) || r.at[1] > 1)
		return false;
	switch (r.at[2]) {
	case MATCH_WHOLE:
		return is_sequence(data);
	case MATCH_SHA256:
		return data.len == 32;
	case MATCH_SHA512:
		return data.len == 64;
	default:
		return false;
	}
}

bool
tlsa_has_usable(struct bytes records)
{
	for (struct bytes r; wire_take(&records, &r);)
		if (is_usable(r))
			return true;
	return false;
}
