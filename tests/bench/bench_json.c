// JSON into columns against cJSON and jansson in the same run: two messages, keys in the declared order with one shape, and in
// changing orders. Prints the median of several rounds.
#include <cjson/cJSON.h>
#include <jansson.h>
#include <time.h>

#include "tests/unit/drivers/decoding.h"

enum { MESSAGES = 4096, ROUNDS = 15, PASSES = 4, SIZE_MAX_MESSAGE = 256 };

static char messages[MESSAGES][SIZE_MAX_MESSAGE];
static size_t sizes[MESSAGES], total;
static double sink;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// A message is members joined in an order: `turn` rotates and, when odd, reverses.
static void make_message(int i, const char **members, int count, unsigned turn)
{
    size_t size = 0;
    messages[i][size++] = '{';
    for (int k = 0; k < count; k++) {
        int at = (int)((turn / 2 + (unsigned)k) % (unsigned)count);
        const char *member = members[turn % 2 ? count - 1 - at : at];
        size += (size_t)snprintf(messages[i] + size, SIZE_MAX_MESSAGE - size, "%s%s", k ? "," : "", member);
    }
    messages[i][size++] = '}';
    messages[i][size] = 0;
    sizes[i] = size;
    total += size;
}

static void make_short(bool mixed)
{
    total = 0;
    for (int i = 0; i < MESSAGES; i++) {
        char a[64], b[64], c[64], d[64];
        snprintf(a, sizeof a, "\"line\":\"hall-3/l2-line-%02d\"", i * 7 % 100);
        snprintf(b, sizeof b, "\"ts\":%lld", 1700000000000LL + i * 137);
        snprintf(c, sizeof c, "\"reading\":%d.%03d", 10 + i * 31 % 90, i * 17 % 1000);
        snprintf(d, sizeof d, "\"state\":\"%s\"", i % 5 ? "on" : "up");
        make_message(i, (const char *[]){a, b, c, d}, 4, mixed ? (unsigned)(i * 2654435761u >> 7) % 8 : 0);
    }
}

static void make_long(bool mixed)
{
    total = 0;
    for (int i = 0; i < MESSAGES; i++) {
        char a[64], b[64], c[64], d[64], e[96];
        snprintf(a, sizeof a, "\"device\":\"press-%03d-hall-b\"", i * 7 % 1000);
        snprintf(b, sizeof b, "\"timestamp\":%lld", 1700000000000LL + i * 137);
        snprintf(c, sizeof c, "\"temperature\":%d.%02d", 10 + i * 31 % 90, i * 17 % 100);
        snprintf(d, sizeof d, "\"running\":%s", i % 3 ? "true" : "false");
        snprintf(
            e, sizeof e,
            "\"meta\":{\"site\":\"north plant, hall 12\",\"fw\":\"2.%d.%02d\",\"tags\":[\"a\",\"b\",%d]},\"cycles\":%d",
            i % 10, i % 100, 100 + i % 900, 1000000 + i);
        make_message(i, (const char *[]){a, b, c, d, e}, 5, mixed ? (unsigned)(i * 2654435761u >> 7) % 10 : 0);
    }
}

static double with_cjson(bool is_long)
{
    double begin = now_s();
    for (int i = 0; i < MESSAGES; i++) {
        cJSON *root = cJSON_ParseWithLength(messages[i], sizes[i]);
        cJSON *value = cJSON_GetObjectItemCaseSensitive(root, is_long ? "temperature" : "reading");
        sink += value->valuedouble;
        cJSON *text = cJSON_GetObjectItemCaseSensitive(root, is_long ? "device" : "line");
        sink += text->valuestring[0];
        cJSON *ts = cJSON_GetObjectItemCaseSensitive(root, is_long ? "timestamp" : "ts");
        sink += ts->valuedouble;
        cJSON_Delete(root);
    }
    return now_s() - begin;
}

static double with_jansson(bool is_long)
{
    double begin = now_s();
    for (int i = 0; i < MESSAGES; i++) {
        json_t *root = json_loadb(messages[i], sizes[i], 0, NULL);
        sink += json_real_value(json_object_get(root, is_long ? "temperature" : "reading"));
        sink += json_string_value(json_object_get(root, is_long ? "device" : "line"))[0];
        sink += (double)json_integer_value(json_object_get(root, is_long ? "timestamp" : "ts"));
        json_decref(root);
    }
    return now_s() - begin;
}

static void no_reject(leat_decode_target *target, leat_drop_cause cause, leat_slice payload, uint32_t offset,
                      const char *column, const char *reason)
{
    (void)target;
    (void)column;
    fprintf(stderr, "rejected %d at %u: %s: %.*s\n", (int)cause, offset, reason, (int)payload.size, payload.data);
    abort();
}

static uint32_t row_offsets[LEAT_BATCH_ROWS];

// One decode call a message, as it comes from MQTT.
static double with_leat(decoding *self)
{
    double begin = now_s();
    for (int i = 0; i < MESSAGES;) {
        leat_batch *batch = leat_batch_get_rows(self->pool, &self->schema, LEAT_BATCH_ROWS);
        leat_decode_target target = {batch, LEAT_BATCH_ROWS, row_offsets, no_reject};
        while (i < MESSAGES && batch->count < LEAT_BATCH_ROWS) {
            leat_raw raw = {.payload = {messages[i], sizes[i]}};
            size_t offset = 0;
            if (self->format->ops->decode(self->format, &raw, &offset, &target) != LEAT_OK || offset != sizes[i])
                abort();
            i++;
        }
        sink += batch->columns[2].f64[0];
        leat_batch_unref(batch);
    }
    return now_s() - begin;
}

// Blocks of lines, as they come from a file.
static double with_leat_lines(decoding *self, const char *lines, size_t size)
{
    double begin = now_s();
    for (size_t at = 0; at < size;) {
        size_t block = size - at < 65536 ? size - at : 65536;
        while (lines[at + block - 1] != '\n')
            block--;
        leat_raw raw = {.payload = {lines + at, block}, .flags = LEAT_RAW_BLOCK | LEAT_RAW_LINES};
        for (size_t offset = 0; offset < block;) {
            leat_batch *batch = leat_batch_get_rows(self->pool, &self->schema, LEAT_BATCH_ROWS);
            leat_decode_target target = {batch, LEAT_BATCH_ROWS, row_offsets, no_reject};
            if (self->format->ops->decode(self->format, &raw, &offset, &target) != LEAT_OK)
                abort();
            sink += batch->columns[2].f64[0];
            leat_batch_unref(batch);
        }
        at += block;
    }
    return now_s() - begin;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double report(const char *name, double *seconds, double base)
{
    qsort(seconds, ROUNDS, sizeof *seconds, compare_doubles);
    double median = seconds[ROUNDS / 2];
    printf("  %-22s %8.0f MB/s %8.2f M messages/s %7.1f ns", name, (double)total / median / 1e6,
           MESSAGES / median / 1e6, median / MESSAGES * 1e9);
    if (base > 0)
        printf("  %5.1f x cJSON", base / median);
    printf("\n");
    return median;
}

static void run(bool is_long, bool mixed)
{
    decoding self;
    leat_error error = {0};
    if (is_long)
        make_long(mixed);
    else
        make_short(mixed);
    decoding_init(&self);
    decoding_field(&self, is_long ? "device" : "line", leat_type_of(LEAT_KIND_STRING), NULL, 0);
    decoding_field(&self, is_long ? "timestamp" : "ts", leat_type_of(LEAT_KIND_TIMESTAMP_LTZ), NULL, LEAT_TIME_UNIT_MS);
    decoding_field(&self, is_long ? "temperature" : "reading", leat_type_of(LEAT_KIND_DOUBLE), NULL, 0);
    decoding_field(&self, is_long ? "running" : "state", leat_type_of(is_long ? LEAT_KIND_BOOLEAN : LEAT_KIND_STRING),
                   NULL, 0);
    if (decoding_open(&self, &leat_format_json_ops, NULL, &error) != LEAT_OK)
        abort();
    char *lines = malloc(total + MESSAGES);
    size_t size = 0;
    for (int i = 0; i < MESSAGES; i++) {
        memcpy(lines + size, messages[i], sizes[i]);
        size += sizes[i];
        lines[size++] = '\n';
    }
    double cjson[ROUNDS], jansson[ROUNDS], leat[ROUNDS], in_lines[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        cjson[i] = with_cjson(is_long);
        jansson[i] = with_jansson(is_long);
        leat[i] = in_lines[i] = 0;
        for (int k = 0; k < PASSES; k++) {
            leat[i] += with_leat(&self) / PASSES;
            in_lines[i] += with_leat_lines(&self, lines, size) / PASSES;
        }
    }
    printf("%zu bytes a message, %s\n", total / MESSAGES, mixed ? "keys in changing order" : "one shape");
    double base = report("cJSON", cjson, 0);
    report("jansson", jansson, base);
    report("leat, a message", leat, base);
    report("leat, lines of a block", in_lines, base);
    free(lines);
    decoding_fini(&self);
}

int main(void)
{
    run(false, false);
    run(false, true);
    run(true, false);
    run(true, true);
    return sink == 0.5;
}
