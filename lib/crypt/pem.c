/* PEM, block by block.
 * Trusts nothing in the text.
 * Never takes a fault for the end: OpenSSL's own readers return nothing for both. */
#include "crypt/pem_reader.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).at

/* What is between "-----BEGIN " or "-----END " and the dashes at the end. */
static bool
is_border(struct bytes line, struct bytes word, struct bytes *label)
{
	struct bytes end = BYTES("-----");

	line = bytes_trim(line);
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	if (!bytes_starts(line, word) || line.len < word.len + end.len || !bytes_ends_nocase(line, end))
		return false;
	*label = bytes_first(bytes_skip(line, word.len), line.len - word.len - end.len);
	return true;
}

#define BEGIN BYTES("-----BEGIN ")
#define END BYTES("-----END ")

/* What is left of a border: one that was cut at the end of the file, or damaged. Lines of dashes alone part texts. */
static bool
is_half_a_border(struct bytes line, bool is_last)
{
	size_t n = 0;

	while (n < line.len && line.at[n] == '-')
		n++;
	return n == line.len ? n > 0 && is_last : n >= 5;
}

/* The rest of a block, to the line that ends it. */
static enum result
end_block(struct pem_reader *p, struct pem_block *b, struct why *why)
{
	struct bytes line, label;

	while (p->rest.len > 0 && bytes_split(&p->rest, '\n', &line)) {
		p->line++;
		if (is_border(line, BEGIN, &label))
			break;
		if (!is_border(line, END, &label))
			continue;
		if (!bytes_equal(label, b->label))
			break;
		b->text = bytes_of(b->text.at, (size_t)(line.at + line.len - b->text.at));
		return OK;
	}
	return why_set(why, MALFORMED, "line %u: this %.*s has no end: the file is cut or damaged", b->line,
	    SHOW(bytes_first(b->label, 40)));
}

enum result
pem_next(struct pem_reader *p, struct pem_block *b, struct why *why)
{
	struct bytes line, label;

	while (p->rest.len > 0 && bytes_split(&p->rest, '\n', &line)) {
		p->line++;
		if (is_border(line, END, &label))
			return why_set(why, MALFORMED,
			    "line %u: this %.*s has no beginning: the file is cut or damaged", p->line,
			    SHOW(bytes_first(label, 40)));
		if (is_border(line, BEGIN, &label)) {
			*b = (struct pem_block){ .label = label, .text = line, .line = p->line };
			return end_block(p, b, why);
		}
		if (is_half_a_border(line, p->rest.at == NULL))
			return why_set(why, MALFORMED,
			    "line %u: expected -----BEGIN CERTIFICATE----- or the like: the file is cut or damaged",
			    p->line);
	}
	return ABSENT;
}

static bool
is_of_kind(struct bytes label, enum pem_kind kind)
{
	if (kind == PEM_CRLS)
		return bytes_equal(label, BYTES(PEM_STRING_X509_CRL));
	return bytes_equal(label, BYTES(PEM_STRING_X509)) || bytes_equal(label, BYTES(PEM_STRING_X509_OLD)) ||
	    bytes_equal(label, BYTES(PEM_STRING_X509_TRUSTED));
}

/* The next block of that kind, as what `parse` makes of it. */
static enum result
next_of_kind(struct pem_reader *p, enum pem_kind kind, void *(*parse)(BIO *in), void **made, struct why *why)
{
	struct pem_block b;
	enum result r;
	BIO *in;

	do
		if ((r = pem_next(p, &b, why)) != OK)
			return r;
	while (!is_of_kind(b.label, kind));
	in = BIO_new_mem_buf(b.text.at, (int)b.text.len);
	*made = in == NULL ? NULL : parse(in);
	BIO_free(in);
	ERR_clear_error();
	if (in == NULL)
		return why_set(why, EXHAUSTED, "no memory to read a certificate");
	return *made != NULL
	    ? OK
	    : why_set(why, MALFORMED, "line %u: this %.*s is damaged", b.line, SHOW(bytes_first(b.label, 40)));
}

static void *
parse_certificate(BIO *in)
{
	return PEM_read_bio_X509(in, NULL, NULL, NULL);
}

static void *
parse_crl(BIO *in)
{
	return PEM_read_bio_X509_CRL(in, NULL, NULL, NULL);
}

enum result
pem_next_certificate(struct pem_reader *p, X509 **c, struct why *why)
{
	void *made = NULL;
	enum result r = next_of_kind(p, PEM_CERTIFICATES, parse_certificate, &made, why);

	*c = made;
	return r;
}

enum result
pem_next_crl(struct pem_reader *p, X509_CRL **c, struct why *why)
{
	void *made = NULL;
	enum result r = next_of_kind(p, PEM_CRLS, parse_crl, &made, why);

	*c = made;
	return r;
}

enum result
pem_check(struct bytes text, enum pem_kind kind, unsigned *n, struct why *why)
{
	struct pem_reader p = { .rest = text };
	X509_CRL *crl = NULL;
	X509 *c = NULL;
	enum result r;

	for (*n = 0;; (*n)++) {
		r = kind == PEM_CRLS ? pem_next_crl(&p, &crl, why) : pem_next_certificate(&p, &c, why);
		if (r != OK)
			return r == ABSENT ? OK : r;
		X509_free(c);
		X509_CRL_free(crl);
		c = NULL;
		crl = NULL;
	}
}
