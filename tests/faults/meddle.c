/* meddle.c -- preloaded into a process: allocations that fail, input and output in
 * bits.
 *
 * meddle_fail_at(n)  the n-th allocation from now on fails, once.
 * meddle_stop()      none does; returns whether one has.
 * MEDDLE_MOST=n      in the environment: no call sends or receives more octets. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

void meddle_fail_at(long n);
int meddle_stop(void);

static long fail_at, count;

void meddle_fail_at(long n)
{
    fail_at = n;
    count = 0;
}

int meddle_stop(void)
{
    const int failed = fail_at != 0 && count >= fail_at;

    fail_at = 0;
    return failed;
}

static int fails(void)
{
    if (fail_at == 0 || ++count != fail_at)
        return 0;
    errno = ENOMEM;
    return 1;
}

/* The library's own, by names that need no lookup: dlsym() allocates. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}
void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}
void *realloc(void *p, size_t size)
{
    return fails() ? NULL : __libc_realloc(p, size);
}

static size_t most(void)
{
    static size_t known;

    if (known == 0) {
        const char *text = getenv("MEDDLE_MOST");
        known = text != NULL ? (size_t)atol(text) : (size_t)-1 / 2;
    }
    return known;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CUT(len) ((len) < most() ? (len) : most())

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    return REAL(send)(fd, data, CUT(len), flags);
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
    return REAL(recv)(fd, data, CUT(len), flags);
}

static ssize_t first_of(const struct iovec *iov, int n, struct iovec *one)
{
    for (int i = 0; i < n; i++)
        if (iov[i].iov_len != 0) {
            one->iov_base = iov[i].iov_base;
            one->iov_len = CUT(iov[i].iov_len);
            return 1;
        }
    return 0;
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
    struct iovec one;

    return first_of(iov, n, &one) ? REAL(readv)(fd, &one, 1) : REAL(readv)(fd, iov, n);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct msghdr cut = *message;
    struct iovec one;

    if (first_of(message->msg_iov, (int)message->msg_iovlen, &one)) {
        cut.msg_iov = &one;
        cut.msg_iovlen = 1;
    }
    return REAL(sendmsg)(fd, &cut, flags);
}
