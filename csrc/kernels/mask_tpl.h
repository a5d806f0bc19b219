/* mask_tpl.h -- body of the masking kernels, one copy for every instruction set.
 *
 * The including file defines vec, VEC_SIZE, vec_zero, vec_load, vec_store, vec_or,
 * vec_xor, vec_dup32, vec_is_ascii, and
 *   narrow_mask(dst, src, len, key)   the whole job for len < VEC_SIZE; true if ASCII
 *   VEC_MASKED                        1 if that is one masked load and one masked
 * store
 *
 * What is left behind the last whole vector goes to narrow_mask if masks make that
 * cheap, else to a vector that reaches back over octets which are done already; and the
 * octets before the first aligned vector to one that reaches forward. These two are
 * loaded before anything is stored, and stored last, so that dst may be src. */
#include "../wsf_mask.h"

enum {
    /* From here on it pays to store at multiples of VEC_SIZE: a store across two cache
     * lines costs twice as much as one within, a load across two hardly more. */
    MASK_ALIGN_FROM = 512
};

static WSF_INLINE uint32_t mask_key_at(uint32_t key, size_t offset)
{
    uint8_t key_b[4];

    memcpy(key_b, &key, 4);
    return wsf_mask_key(key_b, offset);
}

static WSF_INLINE bool mask_sweep(uint8_t *dst, const uint8_t *src, size_t len,
                                  uint32_t key)
{
    vec key_v, first = vec_zero(), last = vec_zero(), seen;
    uint8_t *const begin = dst;
    bool tail_ascii = true;
    size_t rest, skip = 0, i = 0;

    if (len == VEC_SIZE) { /* spared the masks, or all that follows */
        first = vec_xor(vec_load(src), vec_dup32(key));
        vec_store(dst, first);
        return vec_is_ascii(first);
    }
    if (len < VEC_SIZE)
        return narrow_mask(dst, src, len, key);
    if (len >= MASK_ALIGN_FROM)
        skip = (VEC_SIZE - (uintptr_t)dst % VEC_SIZE) % VEC_SIZE;
    if (skip != 0) {
        first = vec_xor(vec_load(src), vec_dup32(key));
        key = mask_key_at(key, skip);
        dst += skip;
        src += skip;
        len -= skip;
    }
    rest = len % VEC_SIZE;
    if (!VEC_MASKED && rest != 0)
        last =
            vec_xor(vec_load(src + len - VEC_SIZE), vec_dup32(mask_key_at(key, len)));
    seen = vec_or(first, last);
    key_v = vec_dup32(key);
    for (; len - i >= 4 * VEC_SIZE; i += 4 * VEC_SIZE) {
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
    if ((len & (2 * VEC_SIZE)) != 0) {
        const vec a = vec_xor(vec_load(src + i), key_v);
        const vec b = vec_xor(vec_load(src + i + VEC_SIZE), key_v);

        vec_store(dst + i, a);
        vec_store(dst + i + VEC_SIZE, b);
        seen = vec_or(seen, vec_or(a, b));
        i += 2 * VEC_SIZE;
    }
    if ((len & VEC_SIZE) != 0) {
        const vec a = vec_xor(vec_load(src + i), key_v);

        vec_store(dst + i, a);
        seen = vec_or(seen, a);
        i += VEC_SIZE;
    }
    if (rest != 0) {
        if (VEC_MASKED) /* in phase, VEC_SIZE being a multiple of 4 */
            tail_ascii = narrow_mask(dst + i, src + i, rest, key);
        else
            vec_store(dst + len - VEC_SIZE, last);
    }
    if (skip != 0)
        vec_store(begin, first);
    return vec_is_ascii(seen) && (!VEC_MASKED || tail_ascii);
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
