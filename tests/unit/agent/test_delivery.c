// An outbox with more damaged places than a stack has frames: they are passed one by one and counted, and what stands between them leaves.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/driver.h"
#include "firmware-agent/delivery.h"
#include "firmware-agent/functions.h"
#include "firmware-agent/platform/env_posix.h"

enum { FILLERS = 8, FILLER = 700000, PAIR = 24, DEADLINE_MS = 60000 };

typedef struct fixture {
    char folder[64], outbox[80], filler[FILLER];
    leat_env *env;
    leat_functions functions;
    leat_plan *plan;
    leat_log_writer *writer;
    leat_ledger ledger;
    leat_delivery_line *line;
} fixture;

static void nothing(void *context, uint32_t sink) { (void)context, (void)sink; }
static void no_checkpoint(void *context) { (void)context; }
static void no_fault(void *context, const leat_error *error)
{
    (void)context;
    fail_msg("%s", error->message);
}

static int set_up(void **state)
{
    fixture *self = calloc(1, sizeof *self);
    char text[512];
    leat_error error = {0};
    leat_diagnostics diagnostics;
    *state = self;
    self->env = leat_env_posix(0);
    strcpy(self->folder, "/tmp/leat_delivery_XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    snprintf(self->outbox, sizeof self->outbox, "%s/outbox", self->folder);
    snprintf(text, sizeof text,
             "agent: { name: g, state: %s }\n"
             "sources: { s: { driver: file, path: in, format: json, fields: { v: bigint } } }\n"
             "rules: { all: { sql: SELECT v FROM s, to: out } }\n"
             "sinks: { out: { driver: file, path: %s/out, format: json, commit: none } }\n",
             self->folder, self->folder);
    assert_int_equal(leat_functions_init(&self->functions, self->env, &error), LEAT_OK);
    leat_compile_options options = {
        .env = self->env, .drivers = leat_driver_catalog_get(), .functions = &self->functions.catalog};
    leat_diagnostics_init(&diagnostics, self->env);
    assert_int_equal(leat_compile_text(&options, "g.yaml", leat_slice_text(text), &self->plan, &diagnostics, &error),
                     LEAT_OK);
    leat_diagnostics_fini(&diagnostics);
    assert_int_equal(leat_log_writer_create(self->env, true, &self->writer, &error), LEAT_OK);
    leat_ledger_init(&self->ledger);
    leat_delivery_setup setup = {.env = self->env,
                                 .plan = self->plan,
                                 .directory = self->outbox,
                                 .writer = self->writer,
                                 .ledger = &self->ledger,
                                 .generation = 1,
                                 .cut = UINT64_MAX,
                                 .room = nothing,
                                 .checkpoint = no_checkpoint,
                                 .fault = no_fault};
    assert_int_equal(leat_delivery_create(&setup, &self->line, &error), LEAT_OK);
    return 0;
}

static int tear_down(void **state)
{
    fixture *self = *state;
    char command[128];
    leat_delivery_destroy(self->line);
    leat_log_writer_destroy(self->writer);
    leat_plan_destroy(self->plan);
    snprintf(command, sizeof command, "rm -rf '%s'", self->folder);
    assert_int_equal(system(command), 0);
    free(self);
    return 0;
}

static void append(fixture *self, uint64_t sequence, leat_slice payload)
{
    leat_flow_result result = {.rule = "all", .sequence = sequence, .payload = payload};
    leat_error error = {0};
    leat_code code;
    while ((code = leat_delivery_result(self->line, &result, &error)) == LEAT_AGAIN)
        usleep(1000); // the writer is behind
    assert_int_equal(code, LEAT_OK);
    assert_int_equal(leat_delivery_sync(self->line, leat_delivery_end(self->line), DEADLINE_MS), LEAT_OK);
}

// What lies at a position in the file of its segment.
static void overwrite(const fixture *self, uint64_t position, const void *bytes, size_t size)
{
    leat_log *outbox = leat_delivery_outbox(self->line);
    uint64_t first = position - position % leat_log_segment_bytes(outbox);
    char name[LEAT_SEGMENT_NAME], path[128];
    leat_segment_name(first, name);
    snprintf(path, sizeof path, "%s/%s", self->outbox, name);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)(position - first), SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

// In the place of a record of this size: eight bytes that are no record, then one that only says that it is none, and so on, so that every eight
// bytes are damage by themselves. Returns how many.
static uint32_t riddle(fixture *self, uint64_t position, size_t size)
{
    uint8_t *bytes = malloc(size);
    uint32_t generation = leat_log_generation(leat_delivery_outbox(self->line)), count = 0;
    assert_non_null(bytes);
    memset(bytes, 0xff, size);
    for (size_t at = 0; at + PAIR <= size; at += PAIR, count++)
        leat_record_header(bytes + at + 8, LEAT_RECORD_CUT, 0, 0, position + at + 8, generation);
    overwrite(self, position, bytes, size);
    free(bytes);
    return count + (size % PAIR > 0);
}

static uint32_t riddle_fillers(fixture *self)
{
    leat_error error = {0};
    leat_log_reader *reader;
    leat_slice record;
    uint64_t position;
    uint32_t places = 0;
    assert_int_equal(leat_log_reader_open(leat_delivery_outbox(self->line), LEAT_LOG_OLDEST, &reader, &error), LEAT_OK);
    while (leat_log_reader_next(reader, &record, &position, NULL, &error) == LEAT_OK)
        if (record.size > FILLER)
            places += riddle(self, position, leat_record_span(record.size));
    leat_log_reader_close(reader);
    return places;
}

static uint64_t damage_counted(const fixture *self)
{
    for (uint32_t i = 0; i < self->ledger.used; i++)
        if (strcmp(self->ledger.entries[i].cause, "outbox-damage") == 0)
            return self->ledger.entries[i].count;
    return 0;
}

static void test_many_damaged_places(void **state)
{
    fixture *self = *state;
    leat_error error = {0};
    char path[96], text[64] = {0};
    memset(self->filler, 'x', sizeof self->filler);
    append(self, 1, leat_slice_text("first"));
    for (uint64_t i = 0; i < FILLERS; i++)
        append(self, 2 + i, leat_slice_of(self->filler, sizeof self->filler));
    append(self, 2 + FILLERS, leat_slice_text("last"));
    uint32_t places = riddle_fillers(self);
    assert_true(places > 200000);

    assert_int_equal(leat_delivery_start(self->line, &error), LEAT_OK);
    for (int ms = 0; !leat_delivery_is_done(self->line); ms += 5) {
        assert_true(ms < DEADLINE_MS);
        usleep(5000);
    }
    leat_delivery_stop(self->line);
    // Damage at the end of one filler and the beginning of the next is one place.
    assert_in_range(damage_counted(self), places - FILLERS, places);
    snprintf(path, sizeof path, "%s/out", self->folder);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    assert_string_equal(text, "first\nlast\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_many_damaged_places, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
