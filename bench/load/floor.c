/* floor.c -- a plain WebSocket echo server in C: what the operating system alone costs.
 *
 * One thread, one epoll. A ready connection is read once into a buffer shared by all;
 * every complete frame in it is unmasked straight into an output buffer, also shared;
 * the output leaves in one send(). A long message is received into a buffer of its own,
 * unmasked piece by piece while it is in cache, and sent from there. No UTF-8
 * validation, no limits, no fragments: nothing that a real server has to have, so that
 * nothing can be below it.
 *
 *   floor [--port P] [--core N] [--raw] [--tls] [--spin] [--broadcast]
 *         [--greeting TEXT] [--answer TEXT]
 *
 * --raw echoes octets without WebSocket; --broadcast sends what comes to all, and
 * nothing to a connection that has no room for it; --tls does all of it over TLS, with
 * a certificate of its own; --spin polls without sleeping, for measuring clients.
 * For protocols above WebSocket, --greeting is the first message of each connection,
 * and --answer the reply to the first one that comes, which is not echoed.
 * Prints "port P pid N" when it listens; ends at end of file on standard input. */
#define _GNU_SOURCE
#include "tls.h"
#include "wire.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_SIZE = 1 << 18,
    EVENTS = 512
};

/* A connection owns memory only while a frame or a reply of it is incomplete. */
typedef struct conn {
    int fd;
    bool open;      /* the opening handshake is done */
    bool answered;  /* its first message has come, if that has an answer */
    bool closing;   /* the closing handshake is done: close once all is sent */
    bool wants_out; /* EPOLLOUT is on */
    uint8_t *in;    /* an incomplete head or frame */
    size_t in_len, in_cap;
    uint8_t *out; /* what send() did not take */
    size_t out_pos, out_len, out_cap;
    /* a long message: its frame header, then its payload, of which body_len have come
     */
    uint8_t *body, body_key[4], body_first;
    size_t body_cap;
    uint64_t body_len, body_size;
    bool in_body;
    tls *tls; /* NULL for plain TCP; with it, `out` is ciphertext */
    struct conn *previous, *next;
} conn;

static int epfd;
static bool raw, secure, broadcasting;
static conn *conns;                   /* all of them, if broadcasting */
static const char *greeting, *answer; /* NULL for none */
static uint8_t read_buf[READ_SIZE];
static uint8_t plain_buf[READ_SIZE + TLS_ROOM];
static uint8_t out_buf[READ_SIZE + 65536];
static size_t out_len;

static void conn_close(conn *c)
{
    if (c->next != NULL)
        c->next->previous = c->previous;
    if (c->previous != NULL)
        c->previous->next = c->next;
    else if (conns == c)
        conns = c->next;
    close(c->fd); /* leaves the epoll set with it */
    free(c->in);
    free(c->out);
    free(c->body);
    if (c->tls != NULL)
        tls_free(c->tls);
    free(c);
}

static void conn_watch(conn *c, bool out)
{
    struct epoll_event e = {.events = out ? EPOLLOUT : EPOLLIN, .data.ptr = c};

    if (c->wants_out == out)
        return;
    c->wants_out = out; /* reading stops while the peer does not read */
    if (epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e) != 0)
        wire_die("epoll_ctl");
}

static void *grow(void *p, size_t *cap, size_t need)
{
    if (need <= *cap)
        return p;
    *cap = need < 4096 ? 4096 : need;
    p = realloc(p, *cap);
    if (p == NULL)
        wire_die("realloc");
    return p;
}

/* Put octets on the wire; keep what the socket does not take. False: the peer is gone.
 */
static bool conn_write(conn *c, const uint8_t *p, size_t n)
{
    ssize_t sent = 0;

    if (n == 0)
        return true;
    if (c->out_len == c->out_pos) {
        sent = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno != EAGAIN)
                return false;
            sent = 0;
        }
        c->out_pos = c->out_len = 0;
    }
    if ((size_t)sent < n) {
        c->out = grow(c->out, &c->out_cap, c->out_len + n - (size_t)sent);
        memcpy(c->out + c->out_len, p + sent, n - (size_t)sent);
        c->out_len += n - (size_t)sent;
        conn_watch(c, true);
    }
    return true;
}

/* Send what lies at p, encrypted if need be; false if the peer is gone. */
static bool conn_send(conn *c, const uint8_t *p, size_t n)
{
    if (c->tls != NULL) {
        tls_seal(c->tls, p, n);
        p = tls_take(&n);
    }
    return conn_write(c, p, n);
}

/* Send a text message; false if the peer is gone. */
static bool conn_say(conn *c, const char *text)
{
    uint8_t frame[256 + WIRE_HEADER_MAX];
    const size_t length = strnlen(text, 256);
    const size_t header = wire_header(frame, 0x81, length, NULL);

    memcpy(frame + header, text, length);
    return conn_send(c, frame, header + length);
}

/* The 101 response for the request head at c->in; false if it is none. */
static bool conn_handshake(conn *c, const char *head)
{
    const char *key = strcasestr(head, "\r\nsec-websocket-key:");
    char accept[WIRE_ACCEPT_SIZE], response[256];
    size_t n;

    if (key == NULL)
        return false;
    key += sizeof "\r\nsec-websocket-key:" - 1;
    key += strspn(key, " \t");
    n = strcspn(key, " \t\r");
    if (n > 64)
        return false;
    wire_accept(accept, key, n);
    n = (size_t)snprintf(response, sizeof response,
                         "HTTP/1.1 101 Switching Protocols\r\n"
                         "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: %s\r\n\r\n",
                         accept);
    c->open = true;
    c->answered = answer == NULL;
    return conn_send(c, (const uint8_t *)response, n) &&
           (greeting == NULL || conn_say(c, greeting));
}

/* Echo every complete frame in p[0, n) to the shared output; returns the octets used.
 */
static size_t parse(conn *c, const uint8_t *p, size_t n)
{
    size_t used = 0;

    while (n - used >= 6 && !c->closing && !c->in_body) {
        const uint8_t *q = p + used;
        uint64_t length = q[1] & 127;
        size_t header = 6;

        if (length == 126) {
            header = 8;
            if (n - used < header)
                break;
            length = (uint64_t)q[2] << 8 | q[3];
        } else if (length == 127) {
            header = 14;
            if (n - used < header)
                break;
            length = 0;
            for (int i = 0; i < 8; i++)
                length = length << 8 | q[2 + i];
        }
        if (length >= 65536 && n - used - header < length) {
            c->in_body = true; /* receive the rest of it straight into place */
            c->body_size = length;
            c->body_first = q[0];
            memcpy(c->body_key, q + header - 4, 4);
            c->body = grow(c->body, &c->body_cap, (size_t)length + WIRE_HEADER_MAX);
            c->body_len = n - used - header;
            wire_mask(c->body + 10, q + header, (size_t)c->body_len, c->body_key, 0);
            return n;
        }
        if (n - used - header < length)
            break;
        if (!c->answered) {
            c->answered = true;
            c->closing = !conn_say(c, answer);
            used += header + (size_t)length;
            continue;
        }
        if (out_len + length + WIRE_HEADER_MAX > sizeof out_buf) {
            if (!conn_send(c, out_buf, out_len))
                c->closing = true;
            out_len = 0;
        }
        out_len += wire_header(out_buf + out_len, q[0], length, NULL);
        wire_mask(out_buf + out_len, q + header, (size_t)length, q + header - 4, 0);
        out_len += (size_t)length;
        if ((q[0] & 15) == 8)
            c->closing = true; /* the Close frame was echoed like any other */
        used += header + (size_t)length;
    }
    return used;
}

/* Send the shared output to all. */
static bool broadcast(void)
{
    if (out_len != 0)
        for (const conn *c = conns; c != NULL; c = c->next)
            if (c->open)
                (void)send(c->fd, out_buf, out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return true;
}

/* What has come for a connection that is not inside a long message. */
static bool conn_feed(conn *c, uint8_t *p, size_t n)
{
    size_t used;

    if (raw)
        return conn_send(c, p, n);
    if (c->in_len != 0 || !c->open) { /* join it to what is incomplete */
        c->in = grow(c->in, &c->in_cap, c->in_len + n + 1);
        memcpy(c->in + c->in_len, p, n);
        c->in_len += n;
        p = c->in;
        n = c->in_len;
        if (!c->open) {
            const char *end;

            c->in[n] = '\0';
            end = strstr((const char *)c->in, "\r\n\r\n");
            if (end == NULL)
                return n < 65536;
            if (!conn_handshake(c, (const char *)c->in))
                return false;
            used = (size_t)(end - (const char *)c->in) + 4;
            p += used;
            n -= used;
        }
    }
    out_len = 0;
    used = parse(c, p, n);
    if (used < n) {
        c->in = grow(c->in, &c->in_cap, n - used);
        memmove(c->in, p + used, n - used);
    }
    c->in_len = n - used;
    if (c->in_len == 0 && c->in != NULL) {
        free(c->in);
        c->in = NULL;
        c->in_cap = 0;
    }
    return broadcasting ? broadcast() : conn_send(c, out_buf, out_len);
}

/* Echo a long message that is complete. */
static bool conn_body_done(conn *c)
{
    uint8_t header[WIRE_HEADER_MAX];
    const size_t n = wire_header(header, c->body_first, c->body_size, NULL);

    c->in_body = false;
    memcpy(c->body + 10 - n, header, n);
    if (c->tls == NULL && c->out_len == c->out_pos) {
        uint8_t *spare = c->out; /* hand the buffer over instead of copying it */
        const size_t cap = c->out_cap;

        c->out = c->body;
        c->out_cap = c->body_cap;
        c->out_pos = 10 - n;
        c->out_len = (size_t)c->body_size + 10;
        c->body = spare;
        c->body_cap = cap;
        conn_watch(c, true); /* the next turn sends it: the socket has room */
        return true;
    }
    return conn_send(c, c->body + 10 - n, (size_t)c->body_size + n);
}

/* A piece of a long message, received into its place. */
static bool conn_body(conn *c)
{
    uint64_t want = c->body_size - c->body_len;
    uint8_t *at = c->body + 10 + c->body_len;
    ssize_t n;

    n = recv(c->fd, at, (size_t)(want < READ_SIZE ? want : READ_SIZE), MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    wire_mask(at, at, (size_t)n, c->body_key, c->body_len);
    c->body_len += (uint64_t)n;
    return c->body_len < c->body_size || conn_body_done(c);
}

/* What has come over TLS: decrypted, a piece of a long message or anything else. */
static bool conn_open(conn *c, const uint8_t *p, size_t n)
{
    const ssize_t opened = tls_open(c->tls, plain_buf, p, n);
    uint8_t *q = plain_buf;
    bool alive = true;

    if (opened < 0) {
        (void)tls_take(&n); /* an alert, for a peer that has gone */
        return false;
    }
    n = (size_t)opened;
    if (c->in_body) {
        const uint64_t want = c->body_size - c->body_len;
        const size_t k = n < want ? n : (size_t)want;

        wire_mask(c->body + 10 + c->body_len, q, k, c->body_key, c->body_len);
        c->body_len += k;
        q += k;
        n -= k;
        if (c->body_len == c->body_size)
            alive = conn_body_done(c);
    }
    if (alive && n > 0)
        alive = conn_feed(c, q, n);
    if (alive) { /* what TLS itself has to say, if there was no echo to say it with */
        p = tls_take(&n);
        alive = conn_write(c, p, n);
    }
    return alive;
}

static bool conn_flush(conn *c)
{
    const ssize_t n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos,
                           MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN;
    c->out_pos += (size_t)n;
    if (c->out_pos == c->out_len) {
        c->out_pos = c->out_len = 0;
        conn_watch(c, false);
    }
    return true;
}

static void conn_ready(conn *c, uint32_t events)
{
    bool alive = true;

    if (events & EPOLLOUT) {
        alive = conn_flush(c);
    } else if (c->in_body && c->tls == NULL) {
        alive = conn_body(c);
        if (alive && c->wants_out)
            alive = conn_flush(c);
    } else {
        const ssize_t n = recv(c->fd, read_buf, READ_SIZE, MSG_DONTWAIT);

        if (n <= 0)
            alive = n < 0 && errno == EAGAIN;
        else if (c->tls != NULL)
            alive = conn_open(c, read_buf, (size_t)n);
        else
            alive = conn_feed(c, read_buf, (size_t)n);
    }
    if (!alive || (c->closing && c->out_pos == c->out_len))
        conn_close(c);
}

static void accept_all(int listener)
{
    for (;;) {
        struct epoll_event e = {.events = EPOLLIN};
        conn *c;
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
                return;
            wire_die("accept4");
        }
        c = calloc(1, sizeof *c);
        if (c == NULL)
            wire_die("calloc");
        c->fd = fd;
        if (broadcasting) {
            c->next = conns;
            if (conns != NULL)
                conns->previous = c;
            conns = c;
        }
        if (secure)
            c->tls = tls_new();
        e.data.ptr = c;
        if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e) != 0)
            wire_die("epoll_ctl");
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", 1, NULL, 'p'},     {"core", 1, NULL, 'c'},
        {"raw", 0, NULL, 'r'},      {"tls", 0, NULL, 't'},
        {"spin", 0, NULL, 's'},     {"broadcast", 0, NULL, 'b'},
        {"greeting", 1, NULL, 'g'}, {"answer", 1, NULL, 'a'},
        {NULL, 0, NULL, 0}};
    static int listener, input; /* their addresses tell them from connections */
    struct epoll_event events[EVENTS];
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &listener};
    int port = 0, core = -1, wait_ms = -1, o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'p':
            port = atoi(optarg);
            break;
        case 'c':
            core = atoi(optarg);
            break;
        case 'r':
            raw = true;
            break;
        case 't':
            secure = true;
            break;
        case 'b':
            broadcasting = true;
            break;
        case 's':
            wait_ms = 0;
            break;
        case 'g':
            greeting = optarg;
            break;
        case 'a':
            answer = optarg;
            break;
        default:
            return 2;
        }
    }
    wire_pin(core);
    if (secure)
        tls_begin(true);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    listener = wire_listen("127.0.0.1", port);
    if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &e) != 0)
        wire_die("epoll");
    e.data.ptr = &input;
    (void)epoll_ctl(epfd, EPOLL_CTL_ADD, STDIN_FILENO, &e); /* a file or tty: no end */
    printf("port %d pid %d\n", wire_port(listener), (int)getpid());
    fflush(stdout);

    for (;;) {
        const int n = epoll_wait(epfd, events, EVENTS, wait_ms);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &listener)
                accept_all(listener);
            else if (events[i].data.ptr == &input)
                return 0;
            else
                conn_ready(events[i].data.ptr, events[i].events);
        }
    }
}
