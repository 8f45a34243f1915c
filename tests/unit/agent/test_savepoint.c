// Images of savepoints: what is written is read, every changed or missing byte is found, a failed write leaves nothing with a final name.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "drivers/driver.h"
#include "firmware-agent/functions.h"
#include "firmware-agent/platform/env_posix.h"
#include "firmware-agent/savepoint.h"

static const char gateway[] =
    "agent: { name: \"Halle \\\"7\\\" \\\\ s\xc3\xbc"
    "d\" }\n"
    "sources: { s: { driver: file, path: in, format: json, fields: { k: string, v: bigint } } }\n"
    "rules: { totals: { sql: \"SELECT k, SUM(v) AS v FROM s GROUP BY k\", unbounded: true, to: out } }\n"
    "sinks: { out: { driver: file, path: out } }\n";

enum { ENTRIES = 400, LARGE = 200000 };
static const char *const files[] = {"MANIFEST", "state", "journal", "outbox"};

typedef struct fixture {
    char folder[64], path[300];
    leat_env *env;
    leat_functions functions;
    leat_plan *plan;
    uint32_t node;
    char *large;
} fixture;

static int set_up(void **state)
{
    fixture *self = calloc(1, sizeof *self);
    leat_error error = {0};
    leat_diagnostics diagnostics;
    *state = self;
    self->env = leat_env_posix(0);
    strcpy(self->folder, "/tmp/leat_savepoint_XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    assert_int_equal(leat_functions_init(&self->functions, self->env, &error), LEAT_OK);
    leat_compile_options options = {
        .env = self->env, .drivers = leat_driver_catalog_get(), .functions = &self->functions.catalog};
    leat_diagnostics_init(&diagnostics, self->env);
    assert_int_equal(leat_compile_text(&options, "g.yaml", leat_slice_text(gateway), &self->plan, &diagnostics, &error),
                     LEAT_OK);
    leat_diagnostics_fini(&diagnostics);
    while (!leat_savepoint_is_kept(&self->plan->nodes[self->node]) ||
           self->plan->nodes[self->node].kind == LEAT_NODE_SINK)
        self->node++;
    self->large = malloc(LARGE);
    for (int i = 0; i < LARGE; i++)
        self->large[i] = (char)(i * 31 >> 3);
    return 0;
}

static int tear_down(void **state)
{
    fixture *self = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", self->folder);
    assert_int_equal(system(command), 0);
    leat_plan_destroy(self->plan);
    free(self->large);
    free(self);
    return 0;
}

static leat_slice key_of(int i, char text[32])
{
    snprintf(text, 32, "key-%d", i);
    return leat_slice_text(text);
}

// Small entries, one larger than a block, an empty value, flow's tables that are left out.
static void fill(const fixture *self, leat_savepoint_writer *writer)
{
    char text[32];
    for (int i = 0; i < ENTRIES; i++)
        leat_savepoint_entry(writer, self->node, (uint8_t)(i % 3), (uint32_t)i % 129, key_of(i, text),
                             leat_slice_of(self->large + i, (size_t)i));
    leat_savepoint_entry(writer, self->node, 15, 128, leat_slice_text("large"), leat_slice_of(self->large, LARGE));
    leat_savepoint_entry(writer, self->node, 16, 128, leat_slice_text("watermark"), leat_slice_text("left out"));
    leat_savepoint_source(writer, 0, leat_slice_of("\0\1\xff", 3));
    leat_savepoint_sink(writer, 0, 77, leat_slice_of("token", 5));
    leat_savepoint_arrival(writer, 0, true, leat_slice_text("seen"));
    leat_savepoint_arrival(writer, 0, false, leat_slice_text("unseen"));
    leat_savepoint_result(writer, 0, leat_slice_text("result"));
}

static void write_one(fixture *self)
{
    leat_error error = {0};
    leat_savepoint_writer *writer;
    const char *path;
    leat_savepoint_cut cut = {.clock_ms = -5, .journal = UINT64_MAX};
    assert_int_equal(leat_savepoint_writer_create(self->env, self->plan, self->folder, &writer, &error), LEAT_OK);
    fill(self, writer);
    assert_int_equal(leat_savepoint_writer_commit(writer, &cut, &path, &error), LEAT_OK);
    snprintf(self->path, sizeof self->path, "%s", path);
    leat_savepoint_writer_destroy(writer);
}

typedef struct seen {
    const fixture *fixture;
    int entries, consumed, unconsumed, results;
} seen;

static leat_code see_entry(void *context, uint32_t place, uint8_t table, uint32_t group, leat_slice key,
                           leat_slice value, leat_error *out_error)
{
    seen *self = context;
    char text[32];
    int i = self->entries++;
    (void)out_error;
    assert_int_equal(place, 0);
    if (i == ENTRIES) {
        assert_true(table == 15 && group == 128 && value.size == LARGE);
        assert_memory_equal(value.data, self->fixture->large, LARGE);
        return LEAT_OK;
    }
    assert_true(table == i % 3 && group == (uint32_t)i % 129 && leat_slice_equal(key, key_of(i, text)));
    assert_int_equal(value.size, i);
    assert_memory_equal(value.data, self->fixture->large + i, (size_t)i);
    return LEAT_OK;
}

static leat_code see_arrival(void *context, uint32_t source, bool consumed, leat_slice record, leat_error *out_error)
{
    seen *self = context;
    (void)out_error;
    assert_int_equal(source, 0);
    assert_true(leat_slice_is(record, consumed ? "seen" : "unseen"));
    *(consumed ? &self->consumed : &self->unconsumed) += 1;
    return LEAT_OK;
}

static leat_code see_result(void *context, uint32_t sink, leat_slice record, leat_error *out_error)
{
    seen *self = context;
    (void)out_error;
    assert_true(sink == 0 && leat_slice_is(record, "result"));
    self->results++;
    return LEAT_OK;
}

static void test_reads_what_was_written(void **state)
{
    fixture *self = *state;
    leat_error error = {0};
    leat_savepoint *savepoint;
    write_one(self);
    assert_int_equal(leat_savepoint_open(self->env, self->path, &savepoint, &error), LEAT_OK);
    const leat_savepoint_manifest *manifest = leat_savepoint_manifest_get(savepoint);
    assert_string_equal(manifest->gateway, self->plan->agent->name);
    assert_true(manifest->cut.clock_ms == -5 && manifest->cut.journal == UINT64_MAX);
    assert_int_equal(manifest->operator_count, 2);
    const leat_savepoint_operator *totals = &manifest->operators[0];
    assert_string_equal(totals->uid, "totals/group_aggregate-1");
    assert_true(totals->entries == ENTRIES + 1 && totals->tables == (7u | 1u << 15));
    assert_true(totals->identity == leat_savepoint_identity(&self->plan->nodes[self->node]));
    assert_int_equal(manifest->operators[1].entries, 0);
    assert_true(manifest->sources[0].position.size == 3 && !memcmp(manifest->sources[0].position.data, "\0\1\xff", 3));
    assert_true(manifest->sinks[0].sequence == 77 && leat_slice_is(manifest->sinks[0].position, "token"));
    seen counts = {.fixture = self};
    leat_savepoint_visitor visitor = {&counts, see_entry, see_arrival, see_result};
    assert_int_equal(leat_savepoint_visit(savepoint, &visitor, &error), LEAT_OK);
    assert_true(counts.entries == ENTRIES + 1 && counts.consumed == 1 && counts.unconsumed == 1 && counts.results == 1);
    leat_savepoint_close(savepoint);
}

static leat_code opens(fixture *self)
{
    leat_error error = {0};
    leat_savepoint *savepoint = NULL;
    leat_code code = leat_savepoint_open(self->env, self->path, &savepoint, &error);
    if (code == LEAT_OK)
        leat_savepoint_close(savepoint);
    return code;
}

static size_t read_file(const char *path, uint8_t **out_bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    *out_bytes = malloc(size + 1);
    assert_int_equal(fread(*out_bytes, 1, size, file), size);
    fclose(file);
    return size;
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void test_every_changed_byte_is_found(void **state)
{
    fixture *self = *state;
    write_one(self);
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        char path[400];
        uint8_t *bytes;
        snprintf(path, sizeof path, "%s/%s", self->path, files[f]);
        size_t size = read_file(path, &bytes);
        // All of the small files; of the state its heads, and every 997th byte.
        for (size_t at = 0; at < size; at += size < 4096 || at < 64 ? 1 : 997) {
            uint8_t bit = (uint8_t)(1u << at % 8);
            bytes[at] ^= bit;
            write_file(path, bytes, size);
            leat_code code = opens(self);
            if (code != LEAT_E_CORRUPT && code != LEAT_E_UNSUPPORTED)
                print_error("%s, byte %zu: %s\n", files[f], at, leat_code_name(code));
            assert_true(code == LEAT_E_CORRUPT || code == LEAT_E_UNSUPPORTED);
            bytes[at] ^= bit;
        }
        for (size_t cut = 0; cut < size; cut += size < 4096 ? 1 : 4999) {
            write_file(path, bytes, cut);
            assert_int_equal(opens(self), LEAT_E_CORRUPT);
        }
        write_file(path, bytes, size);
        assert_int_equal(opens(self), LEAT_OK);
        free(bytes);
    }
}

static int names_in(const char *folder)
{
    char command[128], text[16] = "";
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(text, sizeof text, pipe));
    pclose(pipe);
    return atoi(text);
}

static void test_what_is_not_committed_leaves_nothing(void **state)
{
    fixture *self = *state;
    leat_error error = {0};
    leat_savepoint_writer *writer;
    assert_int_equal(leat_savepoint_writer_create(self->env, self->plan, self->folder, &writer, &error), LEAT_OK);
    fill(self, writer);
    assert_int_equal(names_in(self->folder), 1);
    leat_savepoint_writer_destroy(writer);
    assert_int_equal(names_in(self->folder), 0);
    leat_code code = leat_savepoint_writer_create(self->env, self->plan, "/proc/nowhere", &writer, &error);
    assert_int_not_equal(code, LEAT_OK);
}

static void test_two_of_one_second(void **state)
{
    fixture *self = *state;
    write_one(self);
    write_one(self);
    write_one(self);
    assert_int_equal(names_in(self->folder), 3);
    assert_int_equal(opens(self), LEAT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_what_was_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_changed_byte_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_committed_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_of_one_second, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
