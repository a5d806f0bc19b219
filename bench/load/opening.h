/* opening.h -- a connection of the load client is opened: TLS, the opening handshake,
 * and what the protocol above has to say before the first message. */
#ifndef BENCH_OPENING_H
#define BENCH_OPENING_H

#include "tls.h"

/* To be called once, before the connections. */
void opening_begin(void);

/* Connect number `number`; with TLS, its handshake is done and *t set. Sends the
 * request unless the server is raw. */
int opening_request(unsigned number, tls **t);

/* Wait for the 101 response and go through opt.steps. */
void opening_finish(int fd, tls *t);

#endif
