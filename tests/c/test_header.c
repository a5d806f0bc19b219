/* test_header.c -- the frame header (RFC 6455 §5.2), both ways. */
#include "check.h"

#include "wsf_header.h"

#include <string.h>

static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};

static void header_examples(const wsf_kernels *k) /* RFC 6455 §5.7 */
{
    static const struct {
        const char *octets;
        size_t size;
        uint64_t length;
        uint8_t first;
        bool masked;
    } cases[] = {
        {"\x81\x05", 2, 5, 0x81, false},
        {"\x81\x85\x37\xfa\x21\x3d", 6, 5, 0x81, true},
        {"\x01\x03", 2, 3, 0x01, false},
        {"\x80\x02", 2, 2, 0x80, false},
        {"\x89\x05", 2, 5, 0x89, false},
        {"\x8a\x85\x37\xfa\x21\x3d", 6, 5, 0x8A, true},
        {"\x82\x7E\x01\x00", 4, 256, 0x82, false},
        {"\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10, 65536, 0x82, false},
    };

    (void)k;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *const octets = (const uint8_t *)cases[i].octets;
        uint8_t out[WSF_HEADER_MAX];
        wsf_header h = {0};

        CHECK(wsf_header_decode(&h, octets, cases[i].size) == WSF_OK, "case %zu", i);
        CHECK(h.size == cases[i].size && h.length == cases[i].length &&
                  h.first == cases[i].first && h.masked == cases[i].masked,
              "case %zu", i);
        CHECK(memcmp(h.key, cases[i].masked ? key : (const uint8_t *)"\0\0\0", 4) == 0,
              "key of case %zu", i);
        CHECK(wsf_header_encode(out, h.first, h.length, h.masked ? h.key : NULL) ==
                      h.size &&
                  memcmp(out, octets, h.size) == 0,
              "case %zu encoded", i);
    }
}

static const uint64_t lengths[] = {
    0,
    1,
    125,
    126,
    127,
    255,
    256,
    65534,
    65535,
    0x10000,
    0x10001,
    0xFFFFFFFF,
    0x100000000u,
    1u << 20,
    0x0102030405060708u,
    INT64_MAX - 1,
    INT64_MAX,
};

static void header_round_trip_in_pieces(const wsf_kernels *k)
{
    const edged m = edged_new(64);

    (void)k;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (unsigned first = 0; first < 256; first += 3) {
            for (int masked = 0; masked < 2; masked++) {
                uint8_t out[WSF_HEADER_MAX + 1];
                size_t size;
                wsf_header h;

                memset(out, 0xA5, sizeof out);
                size = wsf_header_encode(out, (uint8_t)first, lengths[i],
                                         masked ? key : NULL);
                CHECK(size <= WSF_HEADER_MAX && out[size] == 0xA5, "size %zu", size);
                for (size_t n = 0; n <= size; n++) {
                    uint8_t *const at = edged_end(m) - n;
                    wsf_status status;

                    memcpy(at, out, n);
                    memset(&h, 0xEE, sizeof h);
                    status = wsf_header_decode(&h, at, n);
                    CHECK(status == (n < size ? WSF_NEED_MORE : WSF_OK), "%zu of %zu",
                          n, size);
                    CHECK(h.size > n || n == size, "wants %u, has %zu", h.size, n);
                    CHECK(n < 2 ? h.size == 2 : h.size == size, "size %u", h.size);
                    CHECK(n < 2 || (h.first == first && h.masked == (masked != 0)),
                          "two octets tell, %zu of %zu", n, size);
                }
                CHECK(h.length == lengths[i], "length %zu", i);
                CHECK(memcmp(h.key, masked ? key : (const uint8_t *)"\0\0\0", 4) == 0,
                      "key");
            }
        }
    }
}

static void header_length_must_be_minimal(const wsf_kernels *k)
{
    uint8_t p[14] = {0x82, 126};
    wsf_header h;

    (void)k;
    for (unsigned length = 0; length < 0x10000; length++) {
        p[2] = (uint8_t)(length >> 8);
        p[3] = (uint8_t)length;
        CHECK(wsf_header_decode(&h, p, 4) ==
                  (length < 126 ? WSF_E_LENGTH_MINIMAL : WSF_OK),
              "16 bits, %u", length);
    }
    p[1] = 127;
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t values[] = {(uint64_t)1 << bit, ((uint64_t)1 << bit) - 1};

        for (int v = 0; v < 2; v++) {
            wsf_status expected = WSF_OK;

            for (int i = 0; i < 8; i++)
                p[2 + i] = (uint8_t)(values[v] >> (56 - 8 * i));
            if (values[v] > INT64_MAX)
                expected = WSF_E_LENGTH_RANGE;
            else if (values[v] <= 0xFFFF)
                expected = WSF_E_LENGTH_MINIMAL;
            CHECK(wsf_header_decode(&h, p, 10) == expected, "64 bits, bit %u", bit);
        }
    }
}

/* A bad length is told before the masking-key is there. */
static void header_length_fails_early(const wsf_kernels *k)
{
    wsf_header h;

    (void)k;
    CHECK(wsf_header_decode(&h, (const uint8_t *)"\x82\xFE\x00\x7D", 4) ==
              WSF_E_LENGTH_MINIMAL,
          "16 bits");
    CHECK(wsf_header_decode(&h, (const uint8_t *)"\x82\xFE\x00", 3) == WSF_NEED_MORE,
          "16 bits, one missing");
    CHECK(wsf_header_decode(&h, (const uint8_t *)"\x82\xFF\x80\0\0\0\0\0\0\0", 10) ==
              WSF_E_LENGTH_RANGE,
          "64 bits");
}

const test header_tests[] = {
    ONCE(header_examples),
    ONCE(header_round_trip_in_pieces),
    ONCE(header_length_must_be_minimal),
    ONCE(header_length_fails_early),
    {0},
};
