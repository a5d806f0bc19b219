/* sockjs.c -- messages of SockJS: an array that is read, and each of its strings quoted
 * and read again, gives the same strings. */
#include "fuzz.h"

#include "wsf_sockjs.h"

/* A string of the input, without escapes; on the heap. */
static uint8_t *unescaped(wsf_sockjs_string s, size_t *size)
{
    uint8_t *in = copy_of(s.data, s.len), *out = malloc(s.len + 1);
    size_t surrogates = 0;

    MUST(out != NULL);
    *size = (size_t)(wsf_sockjs_unescape(out, in, s.len, &surrogates) - out);
    MUST(*size <= s.len && surrogates * 3 <= *size);
    if (!s.escaped)
        MUST(*size == s.len && memcmp(in, out, *size) == 0);
    free(in);
    return out;
}

static void round_trip(const uint8_t *text, size_t size)
{
    const size_t want = wsf_sockjs_quoted_size(text, size);
    uint8_t *quoted = malloc(want);
    wsf_sockjs_reader r = {.single = true};
    wsf_sockjs_string s;
    uint8_t *again;
    size_t again_size;

    MUST(quoted != NULL && want >= size + 2 && want <= 6 * size + 2);
    MUST(wsf_sockjs_quote(quoted, text, size) == quoted + want);
    r.pos = quoted;
    r.end = quoted + want;
    MUST(wsf_sockjs_next(&r, &s) == WSF_SOCKJS_STRING);
    again = unescaped(s, &again_size);
    MUST(again_size == size && memcmp(again, text, size) == 0);
    MUST(wsf_sockjs_next(&r, &s) == WSF_SOCKJS_END);
    free(again);
    free(quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *octets;
    const bool single = (take(&data, &size) & 1) != 0;
    wsf_sockjs_reader r = {.single = single};
    wsf_sockjs_string s;

    octets = copy_of(data, size);
    r.pos = octets;
    r.end = octets + size;
    while (wsf_sockjs_next(&r, &s) == WSF_SOCKJS_STRING) {
        size_t text_size;
        uint8_t *text;

        MUST(s.data >= octets && s.data + s.len <= octets + size);
        text = unescaped(s, &text_size);
        /* Octets that are no UTF-8 are written as they are; what is read of a text
         * that is, is read again. */
        if (wsf_kernels_best(0)->utf8(text, text_size) == text_size)
            round_trip(text, text_size);
        free(text);
    }
    free(octets);
    return 0;
}
