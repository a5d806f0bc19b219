/* tls.c -- see tls.h. */
#include "tls.h"

#include "wire.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static SSL_CTX *context;
static BIO_METHOD *method;
static bool is_server;
static const uint8_t *in; /* ciphertext that has come, [in, in_end) */
static const uint8_t *in_end;
static uint8_t *out; /* ciphertext to be sent */
static size_t out_len, out_cap;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* ---- the stream below OpenSSL: the two buffers above ---- */

static int below_read(BIO *b, char *p, int size)
{
    const size_t n =
        (size_t)(in_end - in) < (size_t)size ? (size_t)(in_end - in) : (size_t)size;

    BIO_clear_retry_flags(b);
    if (n == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    memcpy(p, in, n);
    in += n;
    return (int)n;
}

static int below_write(BIO *b, const char *p, int n)
{
    BIO_clear_retry_flags(b);
    if (out_len + (size_t)n > out_cap) {
        out_cap = 2 * (out_len + (size_t)n);
        out = realloc(out, out_cap);
        if (out == NULL)
            wire_die("realloc");
    }
    memcpy(out + out_len, p, (size_t)n);
    out_len += (size_t)n;
    return n;
}

static long below_control(BIO *b, int command, long number, void *pointer)
{
    (void)b, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* ---- what is said once ---- */

static void certify(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name;

    if (key == NULL || certificate == NULL)
        die("no key");
    name = X509_get_subject_name(certificate);
    if (!X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const unsigned char *)"127.0.0.1", -1, -1, 0) ||
        !X509_set_issuer_name(certificate, name) ||
        !X509_gmtime_adj(X509_getm_notBefore(certificate), 0) ||
        !X509_gmtime_adj(X509_getm_notAfter(certificate), 24L * 3600) ||
        !X509_set_pubkey(certificate, key) ||
        !X509_sign(certificate, key, EVP_sha256()) ||
        SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1)
        die("no certificate");
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void tls_begin(bool server)
{
    is_server = server;
    context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffers");
    if (context == NULL || method == NULL || !BIO_meth_set_read(method, below_read) ||
        !BIO_meth_set_write(method, below_write) ||
        !BIO_meth_set_ctrl(method, below_control))
        die("no TLS");
    SSL_CTX_set_read_ahead(context, 1);
    if (server)
        certify();
}

/* ---- one connection ---- */

tls *tls_new(void)
{
    SSL *s = SSL_new(context);
    BIO *b = BIO_new(method);

    if (s == NULL || b == NULL)
        die("no TLS");
    BIO_set_init(b, 1);
    SSL_set_bio(s, b, b);
    if (is_server)
        SSL_set_accept_state(s);
    else
        SSL_set_connect_state(s);
    return s;
}

void tls_free(tls *t)
{
    SSL_free(t);
}

ssize_t tls_open(tls *t, uint8_t *plain, const uint8_t *p, size_t n)
{
    const size_t room = n + TLS_ROOM;
    size_t have = 0, got;

    in = p;
    in_end = p + n;
    while (SSL_read_ex(t, plain + have, room - have, &got) == 1)
        have += got;
    switch (SSL_get_error(t, 0)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_ZERO_RETURN:
        return have > 0 ? (ssize_t)have : -1; /* the end of the stream comes as well */
    default:
        ERR_clear_error();
        return -1;
    }
    return (ssize_t)have;
}

void tls_seal(tls *t, const uint8_t *p, size_t n)
{
    size_t written;

    if (n != 0 && SSL_write_ex(t, p, n, &written) != 1)
        die("SSL_write");
}

const uint8_t *tls_take(size_t *n)
{
    *n = out_len;
    out_len = 0;
    return out;
}

void tls_send(int fd)
{
    size_t n;
    const uint8_t *p = tls_take(&n);

    if (n != 0 && send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
        wire_die("send of a handshake");
}

/* Wait for octets: how many have come. */
static size_t receive(int fd, uint8_t *p, size_t room)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t n;

    if (poll(&ready, 1, 10000) != 1)
        wire_die("no answer in a handshake");
    n = recv(fd, p, room, 0);
    if (n <= 0)
        wire_die("end of stream in a handshake");
    return (size_t)n;
}

void tls_handshake(tls *t, int fd)
{
    static uint8_t cipher[TLS_ROOM / 2];

    for (;;) {
        const int done = SSL_do_handshake(t);

        tls_send(fd);
        if (done == 1)
            return;
        if (SSL_get_error(t, done) != SSL_ERROR_WANT_READ)
            die("the TLS handshake failed");
        in_end = cipher + receive(fd, cipher, sizeof cipher);
        in = cipher;
    }
}

size_t tls_receive(tls *t, int fd, uint8_t *plain)
{
    static uint8_t cipher[TLS_ROOM / 2];
    const ssize_t n = tls_open(t, plain, cipher, receive(fd, cipher, sizeof cipher));

    if (n < 0)
        die("the end of TLS in a handshake");
    return (size_t)n;
}
