// SPDX-License-Identifier: Apache-2.0
// Feeds every file below the given paths to a fuzz harness, so that a corpus is also an ordinary
// test in builds without libFuzzer. Fails when it finds no file at all.
#include "fuzz/fuzz_target.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

// nftw hands its callback no user pointer.
static size_t replayed_count;

// Copies the file into a block of exactly its size, so that ASan sees an over-read of one byte.
static int replay_file(const char *path, const struct stat *info, int type, struct FTW *position) {
    (void)position;
    if (type != FTW_F) {
        return 0;
    }
    const size_t size_bytes = (size_t)info->st_size;
    uint8_t *data = malloc(size_bytes > 0 ? size_bytes : 1);
    FILE *file = fopen(path, "rb");
    int result = 1;
    if (data == NULL || file == NULL) {
        fprintf(stderr, "%s: cannot open\n", path);
    } else if (fread(data, 1, size_bytes, file) != size_bytes) {
        fprintf(stderr, "%s: short read\n", path);
    } else {
        (void)LLVMFuzzerTestOneInput(data, size_bytes);
        replayed_count++;
        result = 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    free(data);
    return result;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (nftw(argv[i], replay_file, 16, FTW_PHYS) != 0) {
            fprintf(stderr, "%s: replay failed\n", argv[i]);
            return EXIT_FAILURE;
        }
    }
    printf("%zu inputs replayed\n", replayed_count);
    return replayed_count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
