/* What the service's control items say, read once. */
#pragma once

#include "control/control.h"

struct settings {
	const struct control *control;
	struct bytes me, greeting, localiphost, envnoathost;
	struct bytes variables; /* as a rule's data */
	uint64_t databytes;     /* 0: no limit */
	uint32_t max_recipients, max_hops, max_errors;
	uint32_t idle_seconds, session_seconds;
	uint32_t max_sessions;
	bool is_pop3, is_submission;
	bool received_user;                      /* the trace field names who authenticated */
	bool tls_at_once;                        /* smtps and pop3s, whatever the port */
	uint16_t mechanisms;                     /* of AUTH, that may be offered: 1 << enum sp_mechanism, or-ed */
	uint32_t login_seconds;                  /* POP3: until the login */
	uint32_t user_messages, user_recipients; /* of a user in an hour; 0: no limit */
	const char *service;                     /* for the queue file */
};

struct settings settings_of(const struct control *c, const char *service);
