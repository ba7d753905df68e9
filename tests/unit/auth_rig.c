/* auth in a process of its own, and what policy may say to it.
 * Trusts the test. Hashes of crypt(5) are played: one fits the password that is behind its last $.
 * Never leaves its private directory. */
#include "auth_rig.h"

#include "unit.h"

#include "auth/auth.h"
#include "auth/privileges.h"
#include "base/base64.h"
#include "control_dir.h"
#include "crypt/digest.h"
#include "wire/channel.h"

#include <crypt.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SALT "W22ZaJ0SNY7soEsUEjb6gQ==" /* RFC 7677 3 */

static struct channel policy;
static pid_t child;
unsigned *auth_rig_hashes;
static uint8_t network;
uint64_t auth_rig_pace_ms;
uint64_t auth_rig_ref;
unsigned auth_rig_sent_away;
char auth_rig_got[1024];

char *
crypt_rn(const char *phrase, const char *setting, void *data, int size)
{
	const char *word = strrchr(setting, '$');

	(*auth_rig_hashes)++;
	(void)snprintf(data, (size_t)size, "%s", strcmp(word + 1, phrase) == 0 ? setting : "$y$another");
	return data;
}

/* ---- the rig ---- */

static void
put_table(void)
{
	static char text[4096], octets[256];
	struct buf salt = BUF_OVER(octets), keys;
	struct scram_keys k;
	struct why why = WHY_NONE;
	char room[256], sum[DIGEST_HEX_MAX + 1];

	keys = (struct buf)BUF_OVER(room);
	assert_int_equal(base64_decode(BYTES(SALT), &salt), OK);
	assert_int_equal(scram_derive(BYTES(PASSWORD), buf_bytes(&salt), 4096, &k, &why), OK);
	base64_encode(bytes_of(k.stored, sizeof k.stored), &keys);
	buf_add_octet(&keys, ':');
	base64_encode(bytes_of(k.server, sizeof k.server), &keys);
	buf_add_octet(&keys, '\0');
	(void)snprintf(text, sizeof text,
	    "hashed:" HASH "\nscram:SCRAM-SHA-256$4096:" SALT "$%s\nboth:" HASH " SCRAM-SHA-256$4096:" SALT "$%s\n"
	    "clear:clear=b3Blbi1zZXNhbWU=\ngone:" HASH
	    " clear=b3Blbi1zZXNhbWU= disabled\nalice@example.org:clear=b3Blbi1zZXNhbWU=\n",
	    (const char *)room, (const char *)room);
	dir_put(&dir, "passwords", text);
	assert_true(digest_hex(BYTES(PASSWORD), 16, sum));
	(void)snprintf(text, sizeof text, "md5:%%%s\nsha1:%%", sum);
	assert_true(digest_hex(BYTES(PASSWORD), 20, sum));
	(void)snprintf(text + strlen(text), sizeof text - strlen(text),
	    "%s\nplain:%s\nequals:=%s\n!left\nleft:%s\n"
	    "@wide.example:%%%s\n!@shut.example\nin@shut.example:%s\nelsewhere:+\n",
	    sum, PASSWORD, PASSWORD, PASSWORD, sum, PASSWORD);
	dir_put(&dir, "users/authuser", text);
}

int
auth_rig_start(void **state)
{
	struct why why = WHY_NONE;
	int line[2];

	(void)state;
	if (auth_rig_hashes == NULL)
		auth_rig_hashes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*auth_rig_hashes = 0;
	dir_make(&dir);
	assert_int_equal(sasl_open(&why), OK);
	put_table();
	if (dir_open(&dir, "auth", &control, &why) != OK)
		fail_msg("%s: %s", why.text, dir.said);
	assert_int_equal(channel_pair(line, &why), OK);
	child = fork();
	if (child == 0) {
		static struct auth auth;
		int null = open("/dev/null", O_RDWR), fd = fcntl(line[1], F_DUPFD, 100);

		auth.pace_ms = auth_rig_pace_ms;
		alarm(60);
		(void)dup2(null, 2);
		(void)dup2(null, AUTH_LSPAWN_FD);
		(void)dup2(null, AUTH_AUTHRUN_FD);
		(void)dup2(fd, AUTH_POLICY_FD);
		for (int i = 3; i < 1024; i++)
			if (i != AUTH_POLICY_FD && i != AUTH_LSPAWN_FD && i != AUTH_AUTHRUN_FD)
				(void)close(i);
		_exit(auth_run(&auth, &control, "submission", &why) == OK ? 0 : 1);
	}
	(void)close(line[1]);
	policy = channel_of(line[0], &policy_auth_protocol, PA_POLICY, true);
	return 0;
}

int
auth_rig_stop(void **state)
{
	int status = 0;

	(void)state;
	channel_close(&policy);
	(void)waitpid(child, &status, 0);
	dir_close(&control);
	dir_remove(&dir);
	return WIFEXITED(status) ? 0 : -1;
}

void
auth_rig_ask(uint16_t type, const void *body, struct bytes tail)
{
	struct why why = WHY_NONE;

	if (channel_send(&policy, type, auth_rig_ref, body, tail, NULL, &why) != OK)
		fail_msg("%s", why.text);
}

/* 334: a challenge, decoded in `auth_rig_got`; else the result's code; 0: the conversation is over. */
int
auth_rig_answer(void)
{
	static struct wire_buffer buffer;
	struct buf text = BUF_OVER(auth_rig_got);
	struct bytes fields[2];
	struct wire_message m;
	struct why why = WHY_NONE;

	memset(auth_rig_got, 0, sizeof auth_rig_got);
	do {
		if (channel_receive(&policy, &buffer, &m, &why) != OK)
			return 0;
		auth_rig_sent_away += m.ref != auth_rig_ref && m.type == PA_RESULT &&
		    ((const struct pa_result *)m.body)->code == 454;
	} while (m.ref != auth_rig_ref);
	if (m.type == PA_CHALLENGE) {
		assert_int_equal(base64_decode(m.tail, &text), OK);
		return 334;
	}
	assert_true(wire_take_all(m.tail, fields, 2));
	buf_add(&text, fields[0]);
	return ((const struct pa_result *)m.body)->code;
}

/* Begins an exchange; `said` is what is said at once, in no base64 yet; null: nothing. */
int
auth_rig_begin_of(const struct auth_rig_peer *peer, enum sp_mechanism mechanism, const struct bytes *said)
{
	struct pa_begin begin = { .mechanism = (uint8_t)mechanism, .initial = said != NULL, .family = LP_IPV4 };
	uint8_t room[5000], encoded_room[4000];
	struct buf tail = BUF_OVER(room), encoded = BUF_OVER(encoded_room);

	network = (uint8_t)(network + (peer->same ? 0 : 1));
	memcpy(begin.conn, "1abcdefghij", ID_LEN);
	memcpy(begin.remote, (uint8_t[]){ 192, 0, network, 1 }, 4);
	if (said != NULL)
		base64_encode(*said, &encoded);
	if (said != NULL && said->len == 0)
		buf_add_octet(&encoded, '=');
	wire_put(&tail, buf_bytes(&encoded));
	wire_put(&tail, peer->timestamp);
	wire_put(&tail, peer->emails);
	wire_put(&tail, peer->binding);
	auth_rig_ref++;
	auth_rig_ask(PA_BEGIN, &begin, buf_bytes(&tail));
	return auth_rig_answer();
}

int
auth_rig_begin(enum sp_mechanism mechanism, const struct bytes *said)
{
	return auth_rig_begin_of(&(struct auth_rig_peer){ .same = false }, mechanism, said);
}

int
auth_rig_respond(struct bytes said)
{
	uint8_t room[4000];
	struct buf encoded = BUF_OVER(room);

	base64_encode(said, &encoded);
	auth_rig_ask(PA_RESPONSE, NULL, buf_bytes(&encoded));
	return auth_rig_answer();
}

int
auth_rig_plain_of(const struct auth_rig_peer *peer, const char *name, const char *password)
{
	char room[1024] = "";
	int n = snprintf(room, sizeof room, "%c%s%c%s", 0, name, 0, password);

	return auth_rig_begin_of(peer, SP_PLAIN, &(struct bytes){ (const uint8_t *)room, (size_t)n });
}

int
auth_rig_plain(const char *name, const char *password)
{
	return auth_rig_plain_of(&(struct auth_rig_peer){ .same = false }, name, password);
}
