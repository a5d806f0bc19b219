/* wire.c -- see wire.h. */
#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Noreturn void wire_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) != 0)
        wire_die("clock_gettime");
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t wire_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t wire_cpu_ns(int pid)
{
    clockid_t clock;

    if (pid == 0)
        return 0;
    errno = clock_getcpuclockid(pid, &clock);
    if (errno != 0)
        wire_die("clock_getcpuclockid");
    return clock_ns(clock);
}

uint64_t wire_wait_ns(int pid)
{
    char path[64];
    unsigned long long ran = 0, waited = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/schedstat", pid != 0 ? pid : (int)getpid());
    f = fopen(path, "r");
    if (f == NULL)
        return 0; /* a kernel without scheduler statistics: noise goes unseen */
    if (fscanf(f, "%llu %llu", &ran, &waited) != 2)
        waited = 0;
    fclose(f);
    return waited;
}

void wire_pin(int core)
{
    cpu_set_t set;

    if (core < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        wire_die("sched_setaffinity");
}

void wire_tune(int fd)
{
    const int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4); /* where it exists */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        wire_die("TCP_NODELAY");
}

static struct sockaddr_in address(const char *host, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        errno = EINVAL;
        wire_die(host);
    }
    return a;
}

int wire_listen(const char *host, int port)
{
    const struct sockaddr_in a = address(host, port);
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        wire_die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    wire_tune(fd);
    if (bind(fd, (const struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 4096) != 0)
        wire_die("listen");
    return fd;
}

int wire_port(int fd)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;

    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        wire_die("getsockname");
    return ntohs(a.sin_port);
}

int wire_connect(const char *host, int port, unsigned source, bool nonblocking)
{
    const struct sockaddr_in to = address(host, port);
    const int on = 1;
    char text[16];
    struct sockaddr_in from;
    int fd;

    snprintf(text, sizeof text, "127.0.0.%u", 1 + source % 8);
    from = address(text, 0);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        wire_die("socket");
    wire_tune(fd);
    /* choose the port at connect(), when the whole 4-tuple is known */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&from, sizeof from) != 0)
        wire_die("bind");
    if (nonblocking && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        wire_die("fcntl");
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0 &&
        !(nonblocking && errno == EINPROGRESS))
        wire_die("connect");
    if (!nonblocking && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        wire_die("fcntl");
    return fd;
}

size_t wire_header(uint8_t out[WIRE_HEADER_MAX], uint8_t first, uint64_t length,
                   const uint8_t *key)
{
    const uint8_t bit = key != NULL ? 0x80 : 0;
    size_t n = 2;

    out[0] = first;
    if (length < 126) {
        out[1] = (uint8_t)(bit | length);
    } else {
        const int octets = length < 65536 ? 2 : 8;

        out[1] = (uint8_t)(bit | (octets == 2 ? 126 : 127));
        for (int i = octets - 1; i >= 0; i--)
            out[n++] = (uint8_t)(length >> (8 * i));
    }
    if (key != NULL) {
        memcpy(out + n, key, 4);
        n += 4;
    }
    return n;
}

void wire_mask(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4],
               uint64_t offset)
{
    uint8_t turned[8];
    uint64_t key64, word;
    size_t i = 0;

    for (int k = 0; k < 8; k++)
        turned[k] = key[(offset + (uint64_t)k) & 3];
    memcpy(&key64, turned, 8);
    for (; len - i >= 64; i += 64) /* a whole number of vectors, whatever their size */
        for (size_t k = 0; k < 64; k += 8) {
            memcpy(&word, src + i + k, 8);
            word ^= key64;
            memcpy(dst + i + k, &word, 8);
        }
    for (; len - i >= 8; i += 8) {
        memcpy(&word, src + i, 8);
        word ^= key64;
        memcpy(dst + i, &word, 8);
    }
    for (; i < len; i++)
        dst[i] = (uint8_t)(src[i] ^ turned[i & 7]);
}

static uint32_t rol(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const uint8_t p[64])
{
    static const uint32_t constants[4] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC,
                                          0xCA62C1D6};
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
               (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        const uint32_t f = i < 20   ? (b & c) | (~b & d)
                           : i < 40 ? b ^ c ^ d
                           : i < 60 ? (b & c) | (b & d) | (c & d)
                                    : b ^ c ^ d;
        const uint32_t t = rol(a, 5) + f + e + constants[i / 20] + w[i];

        e = d;
        d = c;
        c = rol(b, 30);
        b = a;
        a = t;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void wire_accept(char out[WIRE_ACCEPT_SIZE], const char *key, size_t n)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t block[128] = {0}, digest[21] = {0};
    const size_t total = n + sizeof guid - 1, end = total + 9 <= 64 ? 64 : 128;

    memcpy(block, key, n);
    memcpy(block + n, guid, sizeof guid - 1);
    block[total] = 0x80;
    block[end - 2] = (uint8_t)(total >> 5); /* the length in bits, below 65536 */
    block[end - 1] = (uint8_t)(total << 3);
    for (size_t i = 0; i < end; i += 64)
        sha1_block(h, block + i);
    for (int i = 0; i < 20; i++)
        digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
    for (int i = 0; i < 7; i++) {
        const uint32_t v = (uint32_t)digest[3 * i] << 16 |
                           (uint32_t)digest[3 * i + 1] << 8 | digest[3 * i + 2];

        for (int k = 0; k < 4; k++)
            out[4 * i + k] = letters[v >> (18 - 6 * k) & 63];
    }
    out[27] = '='; /* 20 octets are 27 letters and one pad */
    out[28] = '\0';
}

static const char accept_value[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
static char request[1024];
static size_t request_size;

void wire_set_request(const char *path, const char *deflate)
{
    const bool more = deflate != NULL && *deflate != '\0';
    const int n = snprintf(
        request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n%s%s%s%s\r\n",
        path, deflate != NULL ? "Sec-WebSocket-Extensions: permessage-deflate" : "",
        more ? "; " : "", more ? deflate : "", deflate != NULL ? "\r\n" : "");

    request_size = (size_t)n;
    if (request_size >= sizeof request) {
        errno = EMSGSIZE;
        wire_die(path);
    }
}

const uint8_t *wire_request_octets(size_t *n)
{
    if (request_size == 0)
        wire_set_request("/", NULL);
    *n = request_size;
    return (const uint8_t *)request;
}

void wire_request(int fd)
{
    size_t n;
    const uint8_t *p = wire_request_octets(&n);

    if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
        wire_die("send of the opening handshake");
}

size_t wire_response_size(const uint8_t *head, size_t n)
{
    const uint8_t *last = memmem(head, n, "\r\n\r\n", 4);

    if (last == NULL)
        return 0;
    if (n < 13 || memcmp(head, "HTTP/1.1 101 ", 13) != 0 ||
        memmem(head, n, accept_value, sizeof accept_value - 1) == NULL) {
        fprintf(stderr, "not a WebSocket server:\n%.*s", (int)n, (const char *)head);
        exit(1);
    }
    return (size_t)(last - head) + 4;
}

bool wire_is_response(const uint8_t *head, size_t n)
{
    const size_t size = wire_response_size(head, n);

    if (size != 0 && size != n) { /* spoken to, a server of echoes speaks */
        fprintf(stderr, "octets behind the response\n");
        exit(1);
    }
    return size != 0;
}

void wire_response(int fd)
{
    uint8_t head[4096];
    size_t n = 0;

    do {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t r;

        if (poll(&p, 1, 10000) != 1)
            wire_die("no response to the opening handshake");
        r = recv(fd, head + n, sizeof head - n, 0);
        if (r <= 0)
            wire_die("end of stream in the opening handshake");
        n += (size_t)r;
    } while (!wire_is_response(head, n));
}
