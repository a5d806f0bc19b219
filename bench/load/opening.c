/* opening.c -- see opening.h. */
#define _GNU_SOURCE
#include "opening.h"

#include "load.h"
#include "wire.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ROOM = 2 * TLS_ROOM
};

static uint8_t buffer[ROOM]; /* [begin, end) has come and is not looked at yet */
static size_t begin, end;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "%s: %.*s\n", what, (int)(end - begin),
            (const char *)buffer + begin);
    exit(1);
}

static void transmit(int fd, tls *t, const uint8_t *p, size_t n)
{
    if (t != NULL) {
        tls_seal(t, p, n);
        tls_send(fd);
    } else if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n) {
        wire_die("send of the opening handshake");
    }
}

static void receive(int fd, tls *t)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t n;

    if (end > ROOM - TLS_ROOM)
        fail("too much before the first message");
    if (t != NULL) {
        end += tls_receive(t, fd, buffer + end);
        return;
    }
    if (poll(&ready, 1, 10000) != 1)
        wire_die("no answer to the opening handshake");
    n = recv(fd, buffer + end, TLS_ROOM / 2, 0);
    if (n <= 0)
        wire_die("end of stream in the opening handshake");
    end += (size_t)n;
}

/* A whole frame: its payload, and how long it is. */
static const uint8_t *next_frame(int fd, tls *t, size_t *n)
{
    for (;;) {
        const uint8_t *p = buffer + begin;
        const size_t have = end - begin;
        const size_t header = have >= 2 && p[1] == 126 ? 4 : 2;

        if (have >= header) {
            *n = header == 4 ? (size_t)p[2] << 8 | p[3] : p[1];
            if (*n == 127)
                fail("a long frame before the first message");
            if (have >= header + *n) {
                begin += header + *n;
                return p + header;
            }
        }
        receive(fd, t);
    }
}

static void say(int fd, tls *t, const char *text)
{
    static const uint8_t key[4] = {0x9e, 0x37, 0x79, 0xb9};
    uint8_t frame[256 + WIRE_HEADER_MAX];
    const size_t n = strlen(text) < 256 ? strlen(text) : 256;
    const size_t header = wire_header(frame, 0x81, n, key);

    wire_mask(frame + header, (const uint8_t *)text, n, key, 0);
    transmit(fd, t, frame, header + n);
}

/* %u in the path is the connection's number. */
static void set_request(unsigned number)
{
    const char *at = strstr(opt.path, "%u");
    char path[512];

    if (at == NULL && number != 0)
        return; /* the same for all */
    if (at != NULL)
        snprintf(path, sizeof path, "%.*s%u%s", (int)(at - opt.path), opt.path, number,
                 at + 2);
    wire_set_request(at != NULL ? path : opt.path, opt.deflate);
}

void opening_begin(void)
{
    set_request(0);
    if (opt.tls)
        tls_begin(false);
}

int opening_request(unsigned number, tls **t)
{
    const int fd = wire_connect(opt.host, opt.port, number, false);
    const uint8_t *request;
    size_t n;

    *t = NULL;
    if (opt.tls) {
        *t = tls_new();
        tls_handshake(*t, fd);
    }
    set_request(number);
    request = wire_request_octets(&n);
    if (!opt.raw)
        transmit(fd, *t, request, n);
    return fd;
}

void opening_finish(int fd, tls *t)
{
    const uint8_t *p;
    size_t n;

    if (opt.raw)
        return;
    begin = end = 0;
    do
        receive(fd, t);
    while ((begin = wire_response_size(buffer, end)) == 0);
    if (opt.deflate != NULL &&
        memmem(buffer, begin, "permessage-deflate", 18) == NULL) {
        fprintf(stderr, "the server does not compress\n");
        exit(1);
    }
    for (unsigned i = 0; i < opt.steps_count; i++) {
        const char *text = opt.steps[i].text;

        if (opt.steps[i].say) {
            say(fd, t, text);
            continue;
        }
        p = next_frame(fd, t, &n);
        if (n < strlen(text) || memcmp(p, text, strlen(text)) != 0) {
            begin = (size_t)(p - buffer);
            fail("not the expected message");
        }
    }
    if (begin != end)
        fail("unasked");
}
