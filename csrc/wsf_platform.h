/* wsf_platform.h -- what differs between compilers and processors, and nothing else.
 *
 * WSF_X86_64, WSF_AARCH64   defined on processors that have kernels of their own.
 * WSF_BIG_ENDIAN            1 where the first octet of a word is its highest.
 * WSF_TARGET_BEGIN("...")   from here to WSF_TARGET_END functions may use the named
 *                           instruction sets, whatever the command line says. MSVC
 *                           offers every intrinsic everywhere and needs neither.
 * WSF_INLINE                always inlined where it is used. `make coverage` defines it
 * as plain `inline`, so that each branch is counted once. */
#ifndef WSF_PLATFORM_H
#define WSF_PLATFORM_H

#if (defined(__x86_64__) && !defined(__ILP32__)) ||                                    \
    (defined(_M_X64) && !defined(_M_ARM64EC))
#define WSF_X86_64 1
#elif (defined(__aarch64__) && !defined(__AARCH64EB__)) || defined(_M_ARM64)
#define WSF_AARCH64 1
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define WSF_BIG_ENDIAN 1
#else
#define WSF_BIG_ENDIAN 0
#endif

#define WSF_PRAGMA(text) _Pragma(#text)

#if defined(__clang__)
#define WSF_TARGET_BEGIN(sets)                                                         \
    WSF_PRAGMA(clang attribute push(__attribute__((target(sets))), apply_to = function))
#define WSF_TARGET_END WSF_PRAGMA(clang attribute pop)
#elif defined(__GNUC__)
#define WSF_TARGET_BEGIN(sets) WSF_PRAGMA(GCC push_options) WSF_PRAGMA(GCC target(sets))
#define WSF_TARGET_END WSF_PRAGMA(GCC pop_options)
#else
#define WSF_TARGET_BEGIN(sets)
#define WSF_TARGET_END
#endif

#if defined(WSF_INLINE)
#elif defined(__GNUC__)
#define WSF_INLINE inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define WSF_INLINE __forceinline
#else
#define WSF_INLINE inline
#endif

#endif
