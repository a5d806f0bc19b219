/* replay.c -- runs a fuzz target on files: what was found once is tried in every run.
 *
 * Any compiler makes it; no libFuzzer is needed. */
#include "fuzz.h"

enum {
    LARGEST = 1 << 20
};

int main(int argc, char **argv)
{
    static uint8_t data[LARGEST];

    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        uint8_t *copy;
        size_t size;

        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }
        size = fread(data, 1, sizeof data, file);
        fclose(file);
        copy = copy_of(data, size);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
    }
    printf("%s: %d inputs\n", argv[0], argc - 1);
    return argc > 1 ? 0 : 1;
}
