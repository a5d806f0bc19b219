/* as_msvc.h -- included ahead of each file by `make windows`. The folder stands in for
 * the headers of MSVC, as far as csrc/ needs them, so that clang compiles what MSVC
 * would see: no __GNUC__, no __clang__, no attributes. That the code compiles so is
 * no proof for MSVC, but a compiler-only extension that is not guarded shows. */
#if !defined(_MSC_VER) || defined(__GNUC__)
#error "compile with --target=...-windows-msvc"
#endif

#if defined(_M_ARM64)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

#undef __clang__
#define __attribute__(x) this_is_not_in_msvc
