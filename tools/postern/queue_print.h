/* How postern queue shows messages. */
#pragma once

#include "store/store.h"
#include "wire/queue_control.h"

struct row_text {
	struct bytes sender, service, recipient;
	struct bytes reason; /* the newest text about the recipient; at null: none, or not asked for */
};

void print_row(const struct qc_row *row, const struct row_text *text);
void print_row_json(const struct qc_row *row, const struct row_text *text);

/* The newest text about the first recipient that waits (else the first); until the next call. */
struct bytes message_reason(int fd, const struct store_message *m);

/* The whole of a message: fd is its queue file. */
enum result print_message(int fd, const struct store_message *m, struct why *why);
enum result print_message_json(int fd, const struct store_message *m, struct why *why);

/* Trace text and content as they will be delivered, lines ended by LF. */
enum result print_content(int fd, const struct store_message *m, struct why *why);
