/* test_close.c -- the payload of a close frame (RFC 6455 §5.5.1, §7.4). */
#include "check.h"

#include "wsf_close.h"

#include <string.h>

static bool allowed(unsigned code)
{
    static const uint16_t registered[] = {1000, 1001, 1002, 1003, 1007, 1008,
                                          1009, 1010, 1011, 1012, 1013, 1014};

    for (size_t i = 0; i < sizeof registered / sizeof registered[0]; i++) {
        if (code == registered[i])
            return true;
    }
    return code >= 3000 && code <= 4999;
}

static void close_every_code(const wsf_kernels *k)
{
    for (unsigned code = 0; code < 0x10000; code++) {
        const uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
        uint16_t found = 0;
        const wsf_status status = wsf_close_check(k, payload, 2, &found);

        CHECK(wsf_close_code_valid((uint16_t)code) == allowed(code), "%u", code);
        CHECK(status == (allowed(code) ? WSF_OK : WSF_E_CLOSE_CODE), "%u", code);
        CHECK(found == code, "%u read as %u", code, found);
    }
}

static void close_lengths(const wsf_kernels *k)
{
    uint8_t payload[125];
    uint16_t code = 0;

    CHECK(wsf_close_check(k, NULL, 0, &code) == WSF_OK && code == 1005, "empty");
    CHECK(wsf_close_check(k, (const uint8_t *)"\x03", 1, &code) == WSF_E_CLOSE_LENGTH,
          "one octet");
    memset(payload, 'r', sizeof payload);
    payload[0] = 0x03;
    payload[1] = 0xE8;
    for (size_t len = 2; len <= sizeof payload; len++) {
        code = 0;
        CHECK(wsf_close_check(k, payload, len, &code) == WSF_OK && code == 1000, "%zu",
              len);
    }
}

static void close_reason_is_text(const wsf_kernels *k)
{
    uint8_t payload[125];
    uint16_t code;

    memset(payload, 'r', sizeof payload);
    payload[0] = 0x03;
    payload[1] = 0xE9;
    for (size_t at = 2; at < sizeof payload; at++) {
        payload[at] = 0xFF;
        CHECK(wsf_close_check(k, payload, sizeof payload, &code) == WSF_E_UTF8,
              "at %zu", at);
        payload[at] = 'r';
    }
    payload[124] = 0xC3; /* cut short */
    CHECK(wsf_close_check(k, payload, 125, &code) == WSF_E_UTF8, "cut short");
    CHECK(code == 1001, "the code is there all the same");
    payload[123] = 0xC3;
    payload[124] = 0xA9;
    CHECK(wsf_close_check(k, payload, 125, &code) == WSF_OK, "whole");
    payload[0] = 0x00; /* the code is judged first */
    CHECK(wsf_close_check(k, payload, 125, &code) == WSF_E_CLOSE_CODE, "code 233");
}

const test close_tests[] = {
    PER_KERNEL(close_every_code),
    PER_KERNEL(close_lengths),
    PER_KERNEL(close_reason_is_text),
    {0},
};
