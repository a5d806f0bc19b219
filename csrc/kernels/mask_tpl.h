/* mask_tpl.h -- body of the masking kernels, one copy for every instruction set.
 *
 * The including file defines vec, VEC_SIZE, vec_zero, vec_load, vec_store, vec_or,
 * vec_xor, vec_dup32, vec_is_ascii, and
 *   narrow_mask(dst, src, len, key)  the whole job for len < VEC_SIZE; true if ASCII.
 *
 * No loop over single octets, no prologue for alignment: the last vector reaches back
 * over octets that are done already. It is loaded before anything is stored, so that
 * dst may be src. */
#include "../wsf_mask.h"

static WSF_INLINE bool mask_sweep(uint8_t *dst, const uint8_t *src, size_t len,
                                  uint32_t key)
{
    const vec key_v = vec_dup32(key);
    vec last, seen = vec_zero();
    uint8_t key_b[4];
    size_t i = 0;

    if (len < VEC_SIZE)
        return narrow_mask(dst, src, len, key);

    memcpy(key_b, &key, 4); /* the last vector starts len % 4 octets out of phase */
    last = vec_xor(vec_load(src + len - VEC_SIZE), vec_dup32(wsf_mask_key(key_b, len)));
    seen = vec_or(seen, last);

    for (; len - i > 4 * VEC_SIZE; i += 4 * VEC_SIZE) {
        const vec a = vec_xor(vec_load(src + i), key_v);
        const vec b = vec_xor(vec_load(src + i + VEC_SIZE), key_v);
        const vec c = vec_xor(vec_load(src + i + 2 * VEC_SIZE), key_v);
        const vec d = vec_xor(vec_load(src + i + 3 * VEC_SIZE), key_v);

        vec_store(dst + i, a);
        vec_store(dst + i + VEC_SIZE, b);
        vec_store(dst + i + 2 * VEC_SIZE, c);
        vec_store(dst + i + 3 * VEC_SIZE, d);
        seen = vec_or(seen, vec_or(vec_or(a, b), vec_or(c, d)));
    }
    for (; len - i > VEC_SIZE; i += VEC_SIZE) {
        const vec a = vec_xor(vec_load(src + i), key_v);

        vec_store(dst + i, a);
        seen = vec_or(seen, a);
    }
    vec_store(dst + len - VEC_SIZE, last);
    return vec_is_ascii(seen);
}

static void mask_kernel(uint8_t *dst, const uint8_t *src, size_t len, uint32_t key)
{
    (void)mask_sweep(dst, src, len, key);
}

static bool mask_ascii_kernel(uint8_t *dst, const uint8_t *src, size_t len,
                              uint32_t key)
{
    return mask_sweep(dst, src, len, key);
}
