/* wsf_poller.c -- readiness of many descriptors: epoll (Linux) or kqueue (macOS, BSD).
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "wsf_poller.h"

#if defined(WSF_HAVE_POLLER)
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/epoll.h>

int wsf_poller_open(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

int wsf_poller_add(int poller, int fd, void *owner, int level)
{
    struct epoll_event e = {.data = {.ptr = owner}};

    e.events = EPOLLIN;
    if (!level)
        e.events |= EPOLLOUT | EPOLLRDHUP | (uint32_t)EPOLLET;
    return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
}

int wsf_poller_remove(int poller, int fd)
{
    struct epoll_event unused = {.events = 0}; /* some kernels want one */

    return epoll_ctl(poller, EPOLL_CTL_DEL, fd, &unused);
}

int wsf_poller_take(int poller, wsf_ready *ready, int most)
{
    struct epoll_event e[WSF_POLLER_MOST];
    int n = epoll_wait(poller, e, most, 0);

    for (int i = 0; i < n; i++) {
        uint32_t events = 0;

        if (e[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            events |= WSF_READABLE;
        if (e[i].events & EPOLLOUT)
            events |= WSF_WRITABLE;
        if (e[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            events |= WSF_HANGUP;
        ready[i].owner = e[i].data.ptr;
        ready[i].events = events;
    }
    return n;
}

#else
#include <fcntl.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>

int wsf_poller_open(void)
{
    int poller = kqueue();

    if (poller >= 0)
        (void)fcntl(poller, F_SETFD, FD_CLOEXEC);
    return poller;
}

int wsf_poller_add(int poller, int fd, void *owner, int level)
{
    struct kevent e[2];
    const unsigned short flags = level ? EV_ADD : EV_ADD | EV_CLEAR;

    EV_SET(&e[0], (uintptr_t)fd, EVFILT_READ, flags, 0, 0, owner);
    EV_SET(&e[1], (uintptr_t)fd, EVFILT_WRITE, flags, 0, 0, owner);
    return kevent(poller, e, level ? 1 : 2, NULL, 0, NULL);
}

int wsf_poller_remove(int poller, int fd)
{
    struct kevent e;
    int status;

    EV_SET(&e, (uintptr_t)fd, EVFILT_READ, EV_DELETE, 0, 0, NULL);
    status = kevent(poller, &e, 1, NULL, 0, NULL);
    EV_SET(&e, (uintptr_t)fd, EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
    (void)kevent(poller, &e, 1, NULL, 0, NULL); /* a listener has none */
    return status;
}

int wsf_poller_take(int poller, wsf_ready *ready, int most)
{
    static const struct timespec at_once = {0, 0};
    struct kevent e[WSF_POLLER_MOST];
    int n = kevent(poller, NULL, 0, e, most, &at_once);

    for (int i = 0; i < n; i++) {
        uint32_t events = e[i].filter == EVFILT_WRITE ? WSF_WRITABLE : WSF_READABLE;

        if (e[i].flags & (EV_EOF | EV_ERROR))
            events |= WSF_READABLE | WSF_HANGUP;
        ready[i].owner = e[i].udata;
        ready[i].events = events;
    }
    return n;
}
#endif

void wsf_poller_close(int poller)
{
    (void)close(poller);
}
#else
typedef int wsf_poller_is_empty; /* a translation unit must hold something */
#endif
