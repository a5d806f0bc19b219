/* intrin.h -- see as_msvc.h. */
void __cpuid(int registers[4], int leaf);
void __cpuidex(int registers[4], int leaf, int subleaf);
