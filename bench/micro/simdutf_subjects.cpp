// simdutf_subjects.cpp -- simdutf's functions under C names. Valid input, as for ours.
#include "simdutf.h"

#include "subjects.h"

bool simdutf_valid(const char *data, size_t len)
{
    return simdutf::validate_utf8(data, len);
}

size_t simdutf_to_latin1(const char *data, size_t len, void *dst)
{
    return simdutf::convert_valid_utf8_to_latin1(data, len, static_cast<char *>(dst));
}

size_t simdutf_to_ucs2(const char *data, size_t len, void *dst)
{
    return simdutf::convert_valid_utf8_to_utf16(data, len,
                                                static_cast<char16_t *>(dst));
}

size_t simdutf_to_ucs4(const char *data, size_t len, void *dst)
{
    return simdutf::convert_valid_utf8_to_utf32(data, len,
                                                static_cast<char32_t *>(dst));
}
