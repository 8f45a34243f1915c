// Runs a fuzz target over files instead of under libFuzzer, so that every build compiles the targets and every test run
// repeats the corpus.
//
// Usage: fuzz_NAME [FILE | DIRECTORY]...; the empty input is always tried first. Each input lies in a block of
// exactly its size, so that AddressSanitizer sees the first byte read past its end.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static size_t input_count;

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    uint8_t *bytes = NULL;
    size_t size = 0, got = 0;
    uint8_t block[4096];
    while ((got = fread(block, 1, sizeof block, file)) > 0) {
        uint8_t *grown = realloc(bytes, size + got);
        if (!grown) {
            abort();
        }
        bytes = grown;
        memcpy(bytes + size, block, got);
        size += got;
    }
    fclose(file);
    LLVMFuzzerTestOneInput(bytes ? bytes : block, size);
    free(bytes);
    input_count++;
    return 0;
}

static int run_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(status.st_mode)) {
        return run_file(path);
    }
    struct dirent **names = NULL;
    int count = scandir(path, &names, NULL, alphasort);
    int result = count < 0 ? -1 : 0;
    for (int i = 0; i < count; i++) {
        char inner[4096];
        if (names[i]->d_name[0] != '.' &&
            snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name) < (int)sizeof inner &&
            run_path(inner) != 0) {
            result = -1;
        }
        free(names[i]);
    }
    free(names);
    return result;
}

int main(int argc, char **argv)
{
    uint8_t *nothing = calloc(1, 1);
    if (!nothing) {
        abort();
    }
    LLVMFuzzerTestOneInput(nothing + 1, 0);
    free(nothing);
    int result = 0;
    for (int i = 1; i < argc; i++) {
        if (run_path(argv[i]) != 0) {
            result = 1;
        }
    }
    printf("%zu inputs\n", input_count);
    return result;
}
