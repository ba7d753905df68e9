/* TLS for one connection. */
#pragma once

struct server;
struct session;

/* As root: hands the connection to ucspitls, on the terms of the environment. */
void secure_prepare(struct server *s, struct session *c);

/* As the program's user: tells the program how to begin TLS (-n), or begins it. */
void secure_begin(struct server *s, struct session *c);
