/* wsf_poller.h -- readiness of many descriptors: epoll (Linux) or kqueue (macOS, BSD).
 *
 * A poller is a descriptor itself, readable while any of its descriptors is ready, so
 * it can be nested in an event loop's own. Connections are edge-triggered in both
 * directions and registered once for their whole life: no system call per wait for room
 * to write. The caller must take what an edge announces until the system has no more,
 * or remember it.
 *
 * Functions return -1 with errno set when the system refuses. Elsewhere than on these
 * systems the file is empty and WSF_HAVE_POLLER is not defined. */
#ifndef WSF_POLLER_H
#define WSF_POLLER_H

#if defined(__linux__) || defined(__APPLE__) || defined(__FreeBSD__) ||                \
    defined(__NetBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
#define WSF_HAVE_POLLER 1

#include <stdint.h>

enum {
    WSF_READABLE = 1,
    WSF_WRITABLE = 2,
    WSF_HANGUP = 4
};

typedef struct wsf_ready {
    void *owner; /* as given to wsf_poller_add() */
    uint32_t
        events; /* WSF_READABLE, WSF_WRITABLE, WSF_HANGUP: an end or an error is next */
} wsf_ready;

/* Make a poller, closed on exec. Returns its descriptor. */
int wsf_poller_open(void);

/* Watch fd until it is removed. level: level-triggered and for reading only, for
 * sockets that listen; else edge-triggered for both directions. owner comes back in
 * each event and must outlive the registration and the events already taken. */
int wsf_poller_add(int poller, int fd, void *owner, int level);

/* Stop watching fd, before it is closed. */
int wsf_poller_remove(int poller, int fd);

/* Take up to most <= WSF_POLLER_MOST events without waiting. Returns how many. */
enum {
    WSF_POLLER_MOST = 512
};
int wsf_poller_take(int poller, wsf_ready *ready, int most);

/* Close the poller. */
void wsf_poller_close(int poller);

#endif
#endif
