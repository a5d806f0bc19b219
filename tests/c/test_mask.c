/* test_mask.c -- masking (RFC 6455 §5.3): each kernel, each length and alignment, at
 * the edge of what is mapped. */
#include "check.h"

#include "wsf_mask.h"

#include <string.h>

enum {
    LENGTHS = 301,
    CANARY = 0xA5
};

static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D}; /* RFC 6455 §5.7 */

static void mask_by_the_book(uint8_t *dst, const uint8_t *src, size_t len,
                             const uint8_t with[4], uint64_t offset)
{
    for (size_t i = 0; i < len; i++)
        dst[i] = src[i] ^ with[(i + offset) % 4];
}

static void mask_hello(const wsf_kernels *k) /* RFC 6455 §5.7 */
{
    uint8_t out[5];

    wsf_mask(k, out, (const uint8_t *)"Hello", 5, key, 0);
    CHECK(memcmp(out, "\x7f\x9f\x4d\x51\x58", 5) == 0, "Hello");
}

static bool all_are(const uint8_t *p, size_t n, uint8_t value)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != value)
            return false;
    }
    return true;
}

/* One length at one place, masked in the way that `which` says. */
static void at_one_place(const wsf_kernels *k, uint8_t *dst, const uint8_t *src,
                         size_t len, unsigned which)
{
    uint8_t expected[LENGTHS];
    const uint64_t offset = which >> 1;
    bool ascii = true, said = true;
    uint32_t word = wsf_mask_key(key, offset);

    mask_by_the_book(expected, src, len, key, offset);
    for (size_t i = 0; i < len; i++)
        ascii = ascii && expected[i] < 0x80;
    if ((which & 1) == 0)
        wsf_mask(k, dst, src, len, key, offset);
    else
        said = wsf_mask_ascii(k, dst, src, len, key, offset);
    CHECK(memcmp(dst, expected, len) == 0, "len %zu, dst %zu, src %zu, offset %zu", len,
          (size_t)dst % 64, (size_t)src % 64, (size_t)offset);
    CHECK((which & 1) == 0 || said == ascii, "ascii is %d, len %zu", ascii, len);
    if (dst != src) { /* the kernel itself, which short payloads do not reach above */
        memset(dst, 0, len);
        said = k->mask_ascii(dst, src, len, word);
        CHECK(memcmp(dst, expected, len) == 0 && said == ascii, "kernel, len %zu", len);
        memset(dst, 0, len);
        k->mask(dst, src, len, word);
        CHECK(memcmp(dst, expected, len) == 0, "kernel, len %zu", len);
    }
}

static void mask_each_length_and_alignment(const wsf_kernels *k)
{
    const edged from = edged_new(4096), to = edged_new(4096);
    unsigned which = 0;

    for (size_t i = 0; i < from.size; i++) /* ASCII behind the key for half of it */
        from.begin[i] = (uint8_t)((random_u64() & (i & 1024 ? 0xFF : 0x7F)) ^ 0x20);
    for (size_t len = 0; len < LENGTHS; len++) {
        for (size_t shift = 0; shift < alignments; shift++) {
            const size_t room = to.size - len;
            const size_t other = random_below(alignments);

            memset(to.begin, CANARY, to.size);
            at_one_place(k, edged_end(to) - len - shift, edged_end(from) - len - other,
                         len, which++ % 10);
            CHECK(all_are(to.begin, room - shift, CANARY), "before, len %zu", len);
            CHECK(all_are(edged_end(to) - shift, shift, CANARY), "behind, len %zu",
                  len);

            memset(to.begin, CANARY, to.size);
            at_one_place(k, to.begin + shift, from.begin + other, len, which++ % 10);
            CHECK(all_are(to.begin, shift, CANARY), "before, len %zu", len);
            CHECK(all_are(to.begin + shift + len, room - shift, CANARY), "behind, %zu",
                  len);

            memcpy(to.begin, from.begin,
                   to.size); /* in place, ends as far as it goes */
            at_one_place(k, edged_end(to) - len - shift, edged_end(to) - len - shift,
                         len, which++ % 10);
            at_one_place(k, to.begin + shift, to.begin + shift, len, which++ % 10);
            at_one_place(k, edged_end(to) - len, edged_end(from) - len, len,
                         which % 10);
        }
    }
}

static void mask_ascii_finds_each_octet(const wsf_kernels *k)
{
    const uint8_t zeros[4] = {0, 0, 0, 0};
    uint8_t text[LENGTHS], out[LENGTHS];

    memset(text, 0x7F, sizeof text);
    for (size_t len = 0; len < LENGTHS; len++) {
        CHECK(wsf_mask_ascii(k, out, text, len, zeros, 0), "len %zu is ASCII", len);
        for (size_t at = 0; at < len; at++) {
            text[at] = 0x80;
            CHECK(!wsf_mask_ascii(k, out, text, len, zeros, 0), "len %zu, at %zu", len,
                  at);
            CHECK(memcmp(out, text, len) == 0, "a key of zeros copies");
            text[at] = 0x7F;
        }
    }
}

static void mask_in_pieces(const wsf_kernels *k)
{
    uint8_t src[1000], whole[1000], pieces[1000];

    for (size_t i = 0; i < sizeof src; i++)
        src[i] = (uint8_t)random_u64();
    mask_by_the_book(whole, src, sizeof src, key, 0);
    for (int round = 0; round < 300; round++) {
        size_t done = 0;

        while (done < sizeof src) {
            size_t n = random_below(90);

            n = n < sizeof src - done ? n : sizeof src - done;
            wsf_mask(k, pieces + done, src + done, n, key, done);
            done += n;
        }
        CHECK(memcmp(whole, pieces, sizeof whole) == 0, "round %d", round);
    }
    wsf_mask(k, pieces, src, 900, key, UINT64_MAX - 2); /* offset 1, in phase */
    mask_by_the_book(whole, src, 900, key, 1);
    CHECK(memcmp(whole, pieces, 900) == 0, "a huge offset");
}

static void mask_long(const wsf_kernels *k)
{
    enum {
        SIZE = 10000
    };
    const edged from = edged_new(SIZE), to = edged_new(SIZE), book = edged_new(SIZE);

    for (size_t i = 0; i < from.size; i++)
        from.begin[i] = (uint8_t)(random_u64() & 0x7F);
    for (size_t shift = 0; shift < alignments; shift++) {
        for (size_t cut = 0; cut < 70; cut++) {
            const size_t len = from.size - shift - cut;
            const uint8_t *const src = from.begin + random_below(shift + 1);
            const uint8_t low[4] = {0x01, 0x7F, 0x00, (uint8_t)(cut & 0x7F)};
            uint8_t *const dst = to.begin + shift;

            mask_by_the_book(book.begin, src, len, low, cut);
            CHECK(wsf_mask_ascii(k, dst, src, len, low, cut), "cut %zu, ASCII", cut);
            CHECK(memcmp(dst, book.begin, len) == 0, "cut %zu, shift %zu", cut, shift);
            wsf_mask(k, dst, dst, len, low, cut); /* and back, in place */
            CHECK(memcmp(dst, src, len) == 0, "cut %zu, shift %zu", cut, shift);
            dst[random_below(cut % 2 == 0 ? 70 : len)] ^= 0x80;
            CHECK(!wsf_mask_ascii(k, dst, dst, len, low, cut), "cut %zu, one octet",
                  cut);
        }
    }
}

const test mask_tests[] = {
    PER_KERNEL(mask_hello),
    PER_KERNEL(mask_each_length_and_alignment),
    PER_KERNEL(mask_ascii_finds_each_octet),
    PER_KERNEL(mask_in_pieces),
    PER_KERNEL(mask_long),
    {0},
};
