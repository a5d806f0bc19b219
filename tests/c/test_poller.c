/* test_poller.c -- wsf_poller.h, on pairs of connected sockets. */
#define _DEFAULT_SOURCE
#include "check.h"

#include "wsf_poller.h"

#if defined(WSF_HAVE_POLLER)
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct watched {
    int poller;
    int ours, theirs;
    wsf_ready ready[WSF_POLLER_MOST];
} watched;

static watched *watched_new(int level)
{
    watched *w = malloc(sizeof *w);
    int pair[2];

    if (w == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        abort();
    w->poller = wsf_poller_open();
    w->ours = pair[0];
    w->theirs = pair[1];
    CHECK(w->poller >= 0, "no poller");
    CHECK(wsf_poller_add(w->poller, w->ours, w, level) == 0, "level %d", level);
    return w;
}

static void watched_free(watched *w)
{
    wsf_poller_close(w->poller);
    CHECK(wsf_poller_take(w->poller, w->ready, 1) == -1, "the poller is still there");
    (void)close(w->ours);
    (void)close(w->theirs);
    free(w);
}

/* What has happened since the last look, of all events together. */
static uint32_t events_now(watched *w)
{
    const int n = wsf_poller_take(w->poller, w->ready, WSF_POLLER_MOST);
    uint32_t events = 0;

    for (int i = 0; i < n; i++) {
        CHECK(w->ready[i].owner == w, "somebody else's");
        events |= w->ready[i].events;
    }
    return events;
}

static void poller_edges(const wsf_kernels *k)
{
    watched *w = watched_new(0);
    char octet;

    (void)k;
    CHECK(events_now(w) == WSF_WRITABLE, "new");
    CHECK(events_now(w) == 0, "an edge is told once");
    CHECK(write(w->theirs, "x", 1) == 1, "write");
    CHECK((events_now(w) & (WSF_READABLE | WSF_HANGUP)) == WSF_READABLE, "an octet");
    CHECK(events_now(w) == 0, "nothing new, though it was not read");
    CHECK(read(w->ours, &octet, 1) == 1, "read");
    CHECK(shutdown(w->theirs, SHUT_WR) == 0, "shutdown");
    CHECK((events_now(w) & (WSF_READABLE | WSF_HANGUP)) == (WSF_READABLE | WSF_HANGUP),
          "the end");
    watched_free(w);
}

static void poller_levels(const wsf_kernels *k)
{
    watched *w = watched_new(1);

    (void)k;
    CHECK(events_now(w) == 0, "a listener is not asked whether it can be written");
    CHECK(write(w->theirs, "x", 1) == 1, "write");
    CHECK(events_now(w) == WSF_READABLE, "an octet");
    CHECK(events_now(w) == WSF_READABLE, "and still one");
    watched_free(w);
}

static void poller_peer_is_gone(const wsf_kernels *k)
{
    watched *w = watched_new(0);

    (void)k;
    (void)events_now(w);
    (void)close(w->theirs);
    CHECK((events_now(w) & (WSF_READABLE | WSF_HANGUP)) == (WSF_READABLE | WSF_HANGUP),
          "closed");
    w->theirs = -1;
    watched_free(w);
}

static void poller_remove(const wsf_kernels *k)
{
    watched *w = watched_new(0);

    (void)k;
    CHECK(wsf_poller_remove(w->poller, w->ours) == 0, "removed");
    CHECK(write(w->theirs, "x", 1) == 1, "write");
    CHECK(events_now(w) == 0, "told of a socket that was removed");
    CHECK(wsf_poller_remove(w->poller, w->ours) == -1, "removed twice");
    CHECK(wsf_poller_add(w->poller, -1, w, 0) == -1, "no descriptor");
    watched_free(w);
}

/* No more than asked for; the others come with the next look. */
static void poller_takes_at_most(const wsf_kernels *k)
{
    watched *w = watched_new(0);
    uint32_t events = 0;

    (void)k;
    CHECK(wsf_poller_add(w->poller, w->theirs, w, 0) == 0, "both ends");
    for (int i = 0; i < 2; i++) {
        CHECK(wsf_poller_take(w->poller, w->ready, 1) == 1, "look %d", i);
        events += w->ready[0].events;
    }
    CHECK(events == 2 * WSF_WRITABLE, "both are writable: %u", events);
    CHECK(wsf_poller_take(w->poller, w->ready, 1) == 0, "there were two");
    watched_free(w);
}
#endif

const test poller_tests[] = {
#if defined(WSF_HAVE_POLLER)
    ONCE(poller_edges),
    ONCE(poller_levels),
    ONCE(poller_peer_is_gone),
    ONCE(poller_remove),
    ONCE(poller_takes_at_most),
#endif
    {0},
};
