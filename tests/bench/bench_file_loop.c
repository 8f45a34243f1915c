// What target 6 is measured against: the same work as its gateway file, written by hand for this one input.
//
//   bench_file_loop make ROWS KEYS PATH   writes lines {"k":"device-00042","ts":1700000000123,"v":12.34}, a million a minute
//   bench_file_loop run PATH RESULTS      a minute's count, mean, least and greatest a key; prints lines and seconds of CPU
//
// The loop knows the place of every byte: no other order of members, no blanks, no escapes, no late rows, no checkpoints.
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "operators/base/hash.h"

enum { KEY = 12, SLOTS = 1 << 16, BLOCK = 1 << 16, MINUTE_MS = 60000, ROWS_A_MINUTE = 1000000, LINE_MAX_SIZE = 128 };

typedef struct slot {
    char key[KEY];
    uint32_t count;
    double sum, least, greatest;
} slot;

static slot slots[SLOTS];
static uint32_t order[SLOTS], used;
static FILE *results;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int make(uint64_t rows, uint32_t keys, const char *path)
{
    FILE *out = fopen(path, "w");
    uint64_t state = 88172645463325252;
    if (!out)
        die(path);
    for (uint64_t i = 0; i < rows; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        fprintf(out, "{\"k\":\"device-%05u\",\"ts\":%" PRIu64 ",\"v\":%u.%02u}\n", (unsigned)(state >> 20) % keys,
                UINT64_C(1699999980000) + i * MINUTE_MS / ROWS_A_MINUTE, (unsigned)(state >> 40) % 100,
                (unsigned)(state >> 50) % 100);
    }
    if (fclose(out) != 0)
        die(path);
    return 0;
}

// ---- the loop

static void print_ms(char out[32], int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%S.000Z", &parts);
}

static void fire(int64_t minute)
{
    char start[32], end[32];
    print_ms(start, minute * MINUTE_MS);
    print_ms(end, (minute + 1) * MINUTE_MS);
    for (uint32_t i = 0; i < used; i++) {
        slot *s = &slots[order[i]];
        fprintf(results,
                "{\"k\":\"%.*s\",\"window_start\":\"%s\",\"window_end\":\"%s\",\"n\":%u,\"mean\":%.17g,\"least\":%.17g,"
                "\"greatest\":%.17g}\n",
                KEY, s->key, start, end, s->count, s->sum / s->count, s->least, s->greatest);
        *s = (slot){.count = 0};
    }
    used = 0;
}

static slot *find(const char *key)
{
    for (uint32_t i = (uint32_t)leat_hash(key, KEY) % SLOTS;; i = (i + 1) % SLOTS) {
        if (slots[i].count == 0) {
            memcpy(slots[i].key, key, KEY);
            slots[i].least = 1e300;
            slots[i].greatest = -1e300;
            order[used++] = i;
            return &slots[i];
        }
        if (memcmp(slots[i].key, key, KEY) == 0)
            return &slots[i];
    }
}

static const char *take_digits(const char *p, int64_t *value)
{
    for (*value = 0; *p >= '0' && *p <= '9'; p++)
        *value = *value * 10 + (*p - '0');
    return p;
}

static const char *take_line(const char *p, int64_t *minute)
{
    int64_t ms, whole, hundredths;
    const char *key = p + strlen("{\"k\":\"");
    p = take_digits(key + KEY + strlen("\",\"ts\":"), &ms);
    p = take_digits(p + strlen(",\"v\":"), &whole);
    p = take_digits(p + 1, &hundredths);
    if (ms / MINUTE_MS != *minute) {
        fire(*minute);
        *minute = ms / MINUTE_MS;
    }
    double value = (double)(whole * 100 + hundredths) / 100;
    slot *s = find(key);
    s->count++;
    s->sum += value;
    s->least = value < s->least ? value : s->least;
    s->greatest = value > s->greatest ? value : s->greatest;
    return p + strlen("}\n");
}

static int run(const char *path, const char *results_path)
{
    static char buffer[BLOCK + LINE_MAX_SIZE];
    int file = open(path, O_RDONLY);
    size_t left = 0;
    uint64_t lines = 0;
    int64_t minute = 0;
    results = fopen(results_path, "w");
    if (file < 0 || !results)
        die(path);
    for (ssize_t got; (got = read(file, buffer + left, BLOCK)) > 0;) {
        const char *p = buffer, *end = buffer + left + got;
        while (memchr(p, '\n', (size_t)(end - p) < LINE_MAX_SIZE ? (size_t)(end - p) : LINE_MAX_SIZE)) {
            p = take_line(p, &minute);
            lines++;
        }
        left = (size_t)(end - p);
        memmove(buffer, p, left);
    }
    fire(minute);
    if (fclose(results) != 0)
        die(results_path);
    close(file);
    printf("%" PRIu64 " %.6f\n", lines, cpu_s());
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "make") == 0)
        return make(strtoull(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10), argv[4]);
    if (argc == 4 && strcmp(argv[1], "run") == 0)
        return run(argv[2], argv[3]);
    fprintf(stderr, "usage: bench_file_loop make ROWS KEYS PATH | run PATH RESULTS\n");
    return 2;
}
