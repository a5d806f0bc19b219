/* utf8.c -- UTF-8: every kernel, whole and in pieces, against the table of RFC 3629 as
 * it is printed, and transcoding of what is valid. */
#include "fuzz.h"

#include "wsf_utf8.h"

/* The length of the valid prefix that ends with a whole character, one at a time. */
static size_t valid_prefix(const uint8_t *p, size_t n, uint32_t *codes, size_t *count)
{
    size_t i = 0;

    *count = 0;
    while (i < n) {
        const uint8_t lead = p[i];
        size_t len;
        uint8_t low = 0x80, high = 0xBF;
        uint32_t code;

        if (lead < 0x80) {
            codes[(*count)++] = lead;
            i++;
            continue;
        }
        if (lead >= 0xC2 && lead <= 0xDF) {
            len = 2;
            code = lead & 0x1Fu;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            len = 3;
            code = lead & 0x0Fu;
            low = lead == 0xE0 ? 0xA0 : 0x80;
            high = lead == 0xED ? 0x9F : 0xBF;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            len = 4;
            code = lead & 0x07u;
            low = lead == 0xF0 ? 0x90 : 0x80;
            high = lead == 0xF4 ? 0x8F : 0xBF;
        } else {
            return i;
        }
        if (n - i < len || p[i + 1] < low || p[i + 1] > high)
            return i;
        for (size_t j = 1; j < len; j++) {
            if ((p[i + j] & 0xC0) != 0x80)
                return i;
            code = code << 6 | (p[i + j] & 0x3Fu);
        }
        codes[(*count)++] = code;
        i += len;
    }
    return n;
}

static void in_pieces(const wsf_kernels *k, const uint8_t *text, size_t size,
                      size_t step, bool valid, size_t prefix)
{
    wsf_utf8 s = {0};
    size_t done = 0;

    while (done < size) {
        const size_t n = size - done < step ? size - done : step;
        uint8_t *copy = copy_of(text + done, n);
        size_t bad = 0;
        const wsf_status status = wsf_utf8_feed(k, &s, copy, n, &bad);

        free(copy);
        if (status != WSF_OK) {
            MUST(!valid);
            MUST(bad < n);
            MUST(done + bad >= prefix && done + bad <= prefix + 3);
            return;
        }
        done += n;
    }
    MUST(wsf_utf8_complete(&s) == valid);
}

static void transcoded(const wsf_kernels *k, const uint8_t *text, size_t size,
                       const uint32_t *codes, size_t count)
{
    uint32_t highest = 0;
    size_t chars = 0;
    unsigned kind;

    for (size_t i = 0; i < count; i++)
        highest = codes[i] > highest ? codes[i] : highest;
    kind = wsf_utf8_measure(k, text, size, &chars);
    MUST(chars == count);
    MUST(kind == (highest < 0x80      ? 1u
                  : highest < 0x100   ? 2u
                  : highest < 0x10000 ? 3u
                                      : 4u));
    if (kind <= 2) {
        uint8_t *out = malloc(count + 1);

        MUST(out != NULL);
        wsf_utf8_to_latin1(k, out, text, size);
        for (size_t i = 0; i < count; i++)
            MUST(out[i] == codes[i]);
        free(out);
    }
    if (kind <= 3) {
        uint16_t *out = malloc((count + 1) * sizeof *out);

        MUST(out != NULL);
        wsf_utf8_to_ucs2(k, out, text, size);
        for (size_t i = 0; i < count; i++)
            MUST(out[i] == codes[i]);
        free(out);
    }
    {
        uint32_t *out = malloc((count + 1) * sizeof *out);

        MUST(out != NULL);
        wsf_utf8_to_ucs4(k, out, text, size);
        for (size_t i = 0; i < count; i++)
            MUST(out[i] == codes[i]);
        free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t step = 1u + take(&data, &size) % 80u;
    uint8_t *text = copy_of(data, size);
    uint32_t *codes = malloc((size + 1) * sizeof *codes);
    size_t count, prefix;
    const wsf_kernels *k;

    MUST(codes != NULL);
    prefix = valid_prefix(text, size, codes, &count);
    for (size_t i = 0; (k = kernels_here(i)) != NULL; i++) {
        const size_t at = k->utf8(text, size);

        MUST(wsf_utf8_valid(k, text, size) == (prefix == size));
        MUST(prefix == size ? at == size : at <= prefix);
        in_pieces(k, text, size, step, prefix == size, prefix);
        in_pieces(k, text, size, 1, prefix == size, prefix);
        if (prefix == size)
            transcoded(k, text, size, codes, count);
    }
    free(codes);
    free(text);
    return 0;
}
