/* Tests of lib/wire/facts: what an engine says of a certificate that it was not asked for is not believed. */
#include "unit.h"

#include "wire/tls_facts.h"

static void
a_certificate_is_believed_only_where_it_was_asked_for(void **state)
{
	static const bool fits[][4] = { [PT_VERIFY_NONE] = { [TF_PEER_NONE] = true },
		[PT_VERIFY_OPTIONAL] = { [TF_PEER_NONE] = true,
		    [TF_PEER_UNVERIFIED] = true,
		    [TF_PEER_VERIFIED] = true },
		[PT_VERIFY_REQUIRED] = { [TF_PEER_VERIFIED] = true } };

	(void)state;
	for (unsigned asked = PT_VERIFY_NONE; asked <= PT_VERIFY_REQUIRED; asked++)
		for (unsigned peer = 0; peer < 4; peer++)
			assert_int_equal(tf_peer_fits(peer, (enum pt_verify)asked), fits[asked][peer]);
	assert_false(tf_peer_fits(TF_PEER_VERIFIED, (enum pt_verify)7));
}

static void
a_proof_is_the_one_that_was_demanded(void **state)
{
	static const char *const proofs[] = { "", "ca", "ca+name", "pin", "dane-ee", "dane-ta", "ca+name+", "CA" };
	static const char *const good[] = { [PT_ANY] = "|",
		[PT_SHOWN] = "|",
		[PT_CHAIN] = "ca|",
		[PT_WILDCARD] = "ca+name|",
		[PT_NAME] = "ca+name|",
		[PT_PIN] = "pin|",
		[PT_DANE] = "dane-ee|dane-ta|" };

	(void)state;
	for (unsigned demand = PT_ANY; demand <= PT_DANE; demand++)
		for (size_t i = 0; i < nitems(proofs); i++) {
			struct bytes rest = bytes_of_string(good[demand]), one;
			bool expected = false;

			while (rest.len > 0 && bytes_split(&rest, '|', &one))
				expected |= bytes_equal(one, bytes_of_string(proofs[i]));
			if (tf_proof_fits(bytes_of_string(proofs[i]), (enum pt_demand)demand) != expected)
				fail_msg("demand %u, proof \"%s\"", demand, proofs[i]);
		}
	assert_false(tf_proof_fits(BYTES(""), PT_BY_ENGINE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_is_believed_only_where_it_was_asked_for),
		cmocka_unit_test(a_proof_is_the_one_that_was_demanded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
