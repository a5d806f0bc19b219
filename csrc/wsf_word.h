/* wsf_word.h -- eight octets at a time, where no kernel is worth it.
 *
 * Pure functions: no allocation, no globals, callable from any thread. */
#ifndef WSF_WORD_H
#define WSF_WORD_H

#include <stdbool.h>
#include <stdint.h>

/* One in each octet: times an octet, that octet in each place. */
#define WSF_WORD_ONES UINT64_C(0x0101010101010101)

/* True if one of the eight octets of `word` is `octet` (which is below 0x80). */
static inline bool wsf_word_has(uint64_t word, uint8_t octet)
{
    const uint64_t x = word ^ (WSF_WORD_ONES * octet);

    return ((x - WSF_WORD_ONES) & ~x & (WSF_WORD_ONES << 7)) != 0;
}

/* True if one of the eight octets of `word` is below `octet` (which is below 0x80). */
static inline bool wsf_word_has_below(uint64_t word, uint8_t octet)
{
    return ((word - WSF_WORD_ONES * octet) & ~word & (WSF_WORD_ONES << 7)) != 0;
}

/* True if one of the eight octets of `word` is not ASCII. */
static inline bool wsf_word_is_wide(uint64_t word)
{
    return (word & (WSF_WORD_ONES << 7)) != 0;
}

#endif
