// What a Modbus tag costs: a server of libmodbus on loopback, the source polls it as fast as the settings allow, then the records are
// decoded to rows. Usage: bench_modbus [SECONDS]. Prints tags a second and the CPU time of a tag, of the driver's thread (requests and records) and of
// the task (decode). Target: 100,000 tags a second with a tenth of a core, that is 1 µs a tag.
#include <arpa/inet.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/bus/modbus_settings.h"
#include "drivers/source.h"
#include "firmware-agent/platform/env_posix.h"

extern const leat_source_ops leat_source_modbus_ops;

enum { TAGS_MAX = 250, UNITS = 40, RECORDS_MAX = 200000 };

// ---- server

static void *serve(void *argument)
{
    int listener = *(int *)argument;
    modbus_t *context = modbus_new_tcp("127.0.0.1", 502);
    modbus_mapping_t *mapping = modbus_mapping_new(0, 0, 1000, 1000);
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    for (int i = 0; i < 1000; i++)
        mapping->tab_registers[i] = (uint16_t)i;
    for (;;) {
        modbus_tcp_accept(context, &listener);
        for (int size; (size = modbus_receive(context, request)) >= 0;)
            if (size > 0)
                modbus_reply(context, request, size, mapping);
        modbus_close(context);
    }
    return NULL;
}

static int start_server(int *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    pthread_t thread;
    *listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(*listener, (struct sockaddr *)&address, sizeof address) || listen(*listener, 4) ||
        getsockname(*listener, (struct sockaddr *)&address, &size) || pthread_create(&thread, NULL, serve, listener))
        abort();
    return ntohs(address.sin_port);
}

// ---- intake: keeps the first records, counts the rest

typedef struct keeper {
    leat_intake intake; // first
    leat_env *env;
    int64_t until_ns;
    leat_raw *records;
    uint32_t kept;
    uint64_t records_all, late;
} keeper;

static leat_code take(leat_intake *self, const leat_raw *raw, uint64_t *out_position)
{
    keeper *own = (keeper *)self;
    if (own->kept < RECORDS_MAX) {
        char *copy = malloc(raw->payload.size);
        memcpy(copy, raw->payload.data, raw->payload.size);
        own->records[own->kept] = *raw;
        own->records[own->kept++].payload.data = copy;
    }
    *out_position = own->records_all++;
    return LEAT_OK;
}

static bool held(leat_intake *self) { return (void)self, false; }
static leat_code visit(leat_intake *self, void (*each)(void *, const leat_raw *), void *context)
{
    return (void)self, (void)each, (void)context, LEAT_OK;
}
static void gap(leat_intake *self, const char *cause, int64_t from_ms, int64_t to_ms, uint64_t count)
{
    (void)self;
    printf("gap: %s, %llu in %lld ms\n", cause, (unsigned long long)count, (long long)(to_ms - from_ms));
}
static void note(leat_intake *self, bool connected, const char *text) { (void)self, (void)connected, (void)text; }
static void count(leat_intake *self, const char *counter, uint64_t add)
{
    if (strcmp(counter, "late polls") == 0)
        ((keeper *)self)->late += add;
}
static bool stopping(const leat_intake *self)
{
    const keeper *own = (const keeper *)self;
    return leat_boot_ns(own->env) >= own->until_ns;
}
static bool nap(leat_intake *self, int64_t ms)
{
    usleep((useconds_t)ms * 1000);
    return stopping(self);
}

// ---- measuring

static double thread_cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void reject(leat_decode_target *target, leat_drop_cause cause, leat_slice payload, uint32_t offset,
                   const char *column, const char *reason)
{
    (void)target, (void)cause, (void)payload, (void)offset, (void)column;
    printf("rejected: %s\n", reason);
    exit(1);
}

static leat_source *open_source(leat_source_setup *setup)
{
    leat_error error = {0};
    leat_source *source = leat_arena_calloc(setup->arena, leat_source_modbus_ops.instance_size);
    source->ops = &leat_source_modbus_ops;
    source->setup = setup;
    if (source->ops->open(source, setup, &error) != LEAT_OK) {
        printf("%s\n", error.message);
        exit(1);
    }
    return source;
}

static double decode_all(leat_source_setup *setup, const keeper *own)
{
    static uint32_t offsets[LEAT_BATCH_ROWS];
    leat_error error;
    leat_batch_pool *pool;
    leat_source_setup decoder = *setup;
    decoder.is_decoder = true;
    leat_source *source = open_source(&decoder);
    if (leat_batch_pool_create(setup->env, 64 << 20, &pool, &error) != LEAT_OK)
        abort();
    double start_s = thread_cpu_s();
    for (uint32_t i = 0; i < own->kept;) {
        leat_batch *batch = leat_batch_get_rows(pool, setup->schema, LEAT_BATCH_ROWS);
        leat_decode_target target = {batch, LEAT_BATCH_ROWS, offsets, reject};
        for (; i < own->kept && batch->count < LEAT_BATCH_ROWS; i++) {
            size_t offset = 0;
            if (source->ops->decode(source, &own->records[i], &offset, &target) != LEAT_OK)
                abort();
        }
        leat_batch_unref(batch);
    }
    double took_s = thread_cpu_s() - start_s;
    leat_batch_pool_destroy(pool);
    return took_s;
}

static void measure(int port, leat_modbus_type type, uint32_t tags, uint32_t spread, int seconds, const char *label)
{
    static leat_modbus_field_settings own[TAGS_MAX];
    static leat_source_field fields[TAGS_MAX];
    static leat_field columns[TAGS_MAX + 4];
    static char names[TAGS_MAX][8];
    static int64_t units[UNITS];
    char url[64];
    snprintf(url, sizeof url, "tcp://127.0.0.1:%d", port);
    leat_schema schema = {.fields = columns, .rowtime = -1, .proctime = -1};
    for (uint32_t i = 0; i < tags; i++) {
        own[i] = (leat_modbus_field_settings){.address = {-1, -1, -1, (int64_t)(i * spread)}, .type = type, .bit = -1};
        fields[i] =
            (leat_source_field){.name = {names[i], (size_t)snprintf(names[i], 8, "t%u", i)}, .settings = &own[i]};
        leat_modbus_field_type(&own[i], &fields[i].type);
        columns[schema.count++] = (leat_field){fields[i].name, fields[i].type};
    }
    columns[schema.count++] = (leat_field){{"source", 6}, leat_type_of(LEAT_KIND_STRING)};
    columns[schema.count++] = (leat_field){{"ts", 2}, leat_type_of(LEAT_KIND_TIMESTAMP_LTZ)};
    columns[schema.count++] = (leat_field){{"unit", 4}, leat_type_of(LEAT_KIND_INT)};
    columns[schema.count++] = (leat_field){{"quality", 7}, leat_type_of(LEAT_KIND_STRING)};
    for (int i = 0; i < UNITS; i++)
        units[i] = i + 1;
    leat_modbus_settings settings = {
        .url = url, .units = {units, UNITS}, .poll_ms = 10, .timeout_ms = 1000, .max_registers = 125, .join_gap = 8};
    leat_env *env = leat_env_posix(0);
    leat_arena arena;
    leat_arena_init(&arena, env, 65536);
    keeper intake = {.intake = {.append = take,
                                .held = held,
                                .visit = visit,
                                .gap = gap,
                                .note = note,
                                .count = count,
                                .sleep = nap,
                                .stopping = stopping},
                     .env = env,
                     .records = calloc(RECORDS_MAX, sizeof(leat_raw))};
    leat_source_setup setup = {.env = env,
                               .arena = &arena,
                               .name = "bench",
                               .agent_name = "bench",
                               .settings = &settings,
                               .fields = fields,
                               .field_count = tags,
                               .schema = &schema,
                               .implicit = leat_source_modbus_description.implicit,
                               .intake = &intake.intake};
    leat_source *source = open_source(&setup);
    leat_error error;
    int64_t start_ns = leat_boot_ns(env);
    intake.until_ns = start_ns + (int64_t)seconds * 1000000000;
    double start_s = thread_cpu_s();
    if (source->ops->run(source, &error) != LEAT_OK)
        abort();
    double cpu_s = thread_cpu_s() - start_s, wall_s = (double)(leat_boot_ns(env) - start_ns) / 1e9;
    source->ops->close(source);
    double read = (double)intake.records_all * tags, decode_s = decode_all(&setup, &intake);
    double read_us = cpu_s / read * 1e6, decode_us = decode_s / ((double)intake.kept * tags) * 1e6;
    printf(
        "%-34s %9.0f tags/s  read %.3f us/tag  decode %.3f us/tag  100k tags/s take %.1f %% of a core  (late %llu)\n",
        label, read / wall_s, read_us, decode_us, (read_us + decode_us) * 10, (unsigned long long)intake.late);
    for (uint32_t i = 0; i < intake.kept; i++)
        free((char *)intake.records[i].payload.data);
    free(intake.records);
    leat_arena_fini(&arena);
}

int main(int argc, char **argv)
{
    int listener, port = start_server(&listener), seconds = argc > 1 ? atoi(argv[1]) : 3;
    measure(port, LEAT_MODBUS_UINT16, 125, 1, seconds, "125 uint16, one request");
    measure(port, LEAT_MODBUS_FLOAT32, 62, 2, seconds, "62 float32, one request");
    measure(port, LEAT_MODBUS_UINT16, 30, 8, seconds, "30 uint16, 8 apart, 2 requests");
    measure(port, LEAT_MODBUS_UINT16, 10, 20, seconds, "10 uint16, 20 apart, 10 requests");
    return 0;
}
