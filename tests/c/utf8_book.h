/* utf8_book.h -- UTF-8 octet by octet, written from table 3-7 of the Unicode standard,
 * for the tests to compare with; and text to compare on. */
#ifndef WSF_TESTS_UTF8_BOOK_H
#define WSF_TESTS_UTF8_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What may come next: `left` more octets of the character, the next one in low..high.
 */
typedef struct book {
    unsigned left;
    uint8_t low, high;
    uint32_t code_point; /* as far as it is known */
} book;

/* Take one octet; false if it does not fit. A zeroed book is the start of a text. */
bool book_take(book *b, uint8_t octet);

/* The index of the first octet that does not fit; `len` if all do. *complete says
 * whether the text may end behind the last. */
size_t book_check(const uint8_t *text, size_t len, bool *complete);

/* The code points of valid UTF-8, and the highest; returns how many. */
size_t book_decode(uint32_t *dst, const uint8_t *text, size_t len, uint32_t *highest);

/* Write a code point as UTF-8; returns the octets, 1 to 4. */
size_t book_encode(uint8_t *dst, uint32_t code_point);

/* Fill exactly `len` octets with valid UTF-8, characters up to `highest`; the share of
 * ASCII among them is `ascii` of 16. */
void random_text(uint8_t *dst, size_t len, uint32_t highest, unsigned ascii);

#endif
