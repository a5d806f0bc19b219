/* test_threads.c -- several threads at once: the core has nothing that they share but
 * constants. What matters is what ThreadSanitizer says of it (make tsan). */
#include "check.h"

#include "wsf_close.h"
#include "wsf_cpu.h"
#include "wsf_events.h"
#include "wsf_mask.h"
#include "wsf_parser.h"
#include "wsf_utf8.h"

#include <pthread.h>
#include <string.h>

enum {
    THREADS = 4,
    ROUNDS = 50,
    SIZE = 700
};

static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};
static uint8_t text[SIZE], frame[SIZE + WSF_HEADER_MAX];
static size_t frame_size;

/* Everything that the core does, over input that all threads read; NULL if it was done
 * right. */
static void *work(void *unused)
{
    const wsf_kernels *k;

    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        k = wsf_kernels_best(wsf_cpu_detect());
        for (size_t i = 0; k != NULL; k = kernels_here(i++)) {
            uint8_t out[SIZE];
            wsf_parser s;
            wsf_piece piece;
            wsf_lines lines = {0};
            wsf_line line;
            const uint8_t *cursor = frame;
            uint16_t code;
            size_t bad;
            wsf_utf8 u = {0};

            wsf_parser_init(&s, true);
            if (wsf_parser_next(&s, &cursor, frame + frame_size, &piece) != WSF_OK)
                return frame;
            wsf_mask(k, out, piece.data, piece.len, s.frame.key, piece.offset);
            if (piece.len != SIZE || memcmp(out, text, SIZE) != 0 ||
                !wsf_utf8_valid(k, out, SIZE) ||
                wsf_utf8_feed(k, &u, out, SIZE, &bad) != WSF_OK ||
                wsf_close_check(k, (const uint8_t *)"\x03\xE8", 2, &code) != WSF_OK)
                return frame;
            cursor = text;
            if (!wsf_lines_next(&lines, &cursor, text + SIZE, &line))
                return frame;
        }
    }
    return NULL;
}

static void threads_share_nothing(const wsf_kernels *k)
{
    pthread_t threads[THREADS];
    size_t header;

    for (size_t i = 0; i < SIZE; i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    header = wsf_header_encode(frame, WSF_FIN | WSF_OP_TEXT, SIZE, key);
    wsf_mask(k, frame + header, text, SIZE, key, 0);
    frame_size = header + SIZE;
    for (int i = 0; i < THREADS; i++) {
        const int error = pthread_create(&threads[i], NULL, work, NULL);

        CHECK(error == 0, "pthread_create: %d", error);
        if (error != 0)
            return;
    }
    for (int i = 0; i < THREADS; i++) {
        void *result = frame;

        CHECK(pthread_join(threads[i], &result) == 0, "pthread_join");
        CHECK(result == NULL, "thread %d got something wrong", i);
    }
}

const test threads_tests[] = {ONCE(threads_share_nothing), {0}};
