/* test_kernels.c -- the ladder of instruction sets, and the table that kernels share.
 */
#include "check.h"

#include "kernels/lead_positions.h"
#include "wsf_cpu.h"

#include <string.h>

static void kernels_ladder(const wsf_kernels *k)
{
    const uint32_t cpu = wsf_cpu_detect();
    size_t count = 0;

    (void)k;
    while (wsf_kernels_built(count) != NULL)
        count++;
    CHECK(count >= 1, "no kernels at all");
    CHECK(wsf_kernels_built(count + 1) == NULL && wsf_kernels_built(1000) == NULL,
          "a table behind the last");
    CHECK(strcmp(wsf_kernels_built(count - 1)->name, "scalar") == 0, "the last is %s",
          wsf_kernels_built(count - 1)->name);
    CHECK(wsf_kernels_best(0) == wsf_kernels_built(count - 1), "nothing needs nothing");
    CHECK(wsf_kernels_best(~0u) == wsf_kernels_built(0), "the first is the best");
    CHECK((wsf_kernels_best(cpu)->needs & ~cpu) == 0, "the best does not run");
    CHECK(wsf_kernels_best(cpu) == kernels_here(0), "the best comes first");
}

static void kernels_by_name(const wsf_kernels *unused)
{
    const wsf_kernels *k;

    (void)unused;
    for (size_t i = 0; (k = wsf_kernels_built(i)) != NULL; i++) {
        CHECK(wsf_kernels_named(k->name, k->needs) == k, "%s", k->name);
        CHECK(wsf_kernels_named(k->name, ~0u) == k, "%s", k->name);
        CHECK(k->needs == 0 || wsf_kernels_named(k->name, 0) == NULL, "%s", k->name);
    }
    CHECK(wsf_kernels_named("abacus", ~0u) == NULL, "abacus");
    CHECK(wsf_kernels_named("", ~0u) == NULL, "no name");
}

static void kernels_tables_are_full(const wsf_kernels *k)
{
    CHECK(k->mask && k->mask_ascii && k->utf8 && k->utf8_measure && k->utf8_to_latin1 &&
              k->utf8_to_ucs2 && k->utf8_to_ucs4,
          "%s", k->name);
}

static void kernels_lead_positions(const wsf_kernels *k)
{
    (void)k;
    for (unsigned m = 0; m < 256; m++) {
        uint64_t expected = 0x8080808080808080u;
        unsigned n = 0;

        for (unsigned bit = 0; bit < 8; bit++) {
            if ((m >> bit & 1) != 0) {
                expected &= ~((uint64_t)0xFF << (8 * n));
                expected |= (uint64_t)bit << (8 * n++);
            }
        }
        CHECK(wsf_lead_positions[m] == expected, "entry %u", m);
    }
}

const test kernels_tests[] = {
    ONCE(kernels_ladder),
    ONCE(kernels_by_name),
    PER_KERNEL(kernels_tables_are_full),
    ONCE(kernels_lead_positions),
    {0},
};
