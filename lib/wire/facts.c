/* What an engine may say of the peer's certificate.
 * Trusts nobody: an engine that was taken over would say that whatever it speaks with was verified.
 * Never takes for proven what the engine was not asked to prove. */
#include "wire/tls_facts.h"

bool
tf_peer_fits(unsigned peer, enum pt_verify asked)
{
	switch (asked) {
	case PT_VERIFY_NONE:
		return peer == TF_PEER_NONE;
	case PT_VERIFY_OPTIONAL:
		return peer <= TF_PEER_VERIFIED;
	case PT_VERIFY_REQUIRED:
		return peer == TF_PEER_VERIFIED;
	}
	return false;
}

bool
tf_proof_fits(struct bytes proof, enum pt_demand demand)
{
	static const struct {
		enum pt_demand demand;
		const char *proof;
	} proofs[] = { { PT_ANY, "" }, { PT_SHOWN, "" }, { PT_CHAIN, "ca" }, { PT_WILDCARD, "ca+name" },
		{ PT_NAME, "ca+name" }, { PT_PIN, "pin" }, { PT_DANE, "dane-ee" }, { PT_DANE, "dane-ta" } };

	for (size_t i = 0; i < nitems(proofs); i++)
		if (proofs[i].demand == demand && bytes_equal(proof, bytes_of_string(proofs[i].proof)))
			return true;
	return false;
}
