// The harness itself, on an operator small enough to be read: per key the count of rows, emitted at the next watermark.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/core/cause.h"
#include "operators/core/emitter.h"
#include "operators/core/key.h"
#include "tests/support/harness.h"

typedef struct counter {
    leat_operator base;
    leat_keys *keys;
    leat_emitter out;
    uint64_t *counts; // by slot
    bool *changed;    // since the last snapshot
    bool *due;        // since the last watermark
    int64_t wake_ms;
} counter;

enum { SLOTS = 1024 };
static bool forget_to_mark; // a bug to be found

static leat_code counter_open(leat_operator *self, leat_error *out_error)
{
    counter *c = (counter *)self;
    leat_operator_context *context = self->context;
    leat_emitter_init(&c->out, context, 0);
    c->counts = leat_arena_array(context->arena, uint64_t, SLOTS);
    c->changed = leat_arena_array(context->arena, bool, SLOTS);
    c->due = leat_arena_array(context->arena, bool, SLOTS);
    c->wake_ms = INT64_MAX;
    return leat_keys_create(context->env, context->budget, &context->inputs[0]->fields[0].type, 1, &c->keys, out_error);
}

static void counter_fire(counter *c, int64_t watermark)
{
    for (uint32_t slot = 0; slot < leat_keys_capacity(c->keys); slot++) {
        if (!leat_keys_live(c->keys, slot) || !c->due[slot])
            continue;
        leat_value key;
        leat_keys_values(c->keys, slot, &key);
        uint64_t cause = leat_cause_derive(leat_keys_hash(c->keys, slot), c->counts[slot]);
        uint32_t row = leat_emitter_row(&c->out, watermark, LEAT_INSERT, cause);
        leat_emitter_set(&c->out, row, 0, &key);
        c->out.batch->columns[1].i64[row] = (int64_t)c->counts[slot];
        c->due[slot] = false;
        c->changed[slot] = true;
    }
    leat_emitter_watermark(&c->out, watermark);
}

static leat_code counter_batch(leat_operator *self, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    counter *c = (counter *)self;
    uint32_t slots[LEAT_BATCH_ROWS], column = 0;
    leat_code code = leat_keys_resolve(c->keys, batch, &column, slots, out_error);
    if (code != LEAT_OK)
        return code;
    int64_t watermark = self->context->watermark_ms;
    for (uint32_t i = 0; i < batch->selected; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (batch->watermark && batch->watermark[row] > watermark) {
            watermark = batch->watermark[row];
            counter_fire(c, watermark);
        }
        c->counts[slots[i]]++;
        c->due[slots[i]] = true;
        c->changed[slots[i]] = !forget_to_mark;
    }
    if (batch->watermark_after > watermark)
        counter_fire(c, batch->watermark_after);
    leat_emitter_flush(&c->out);
    self->context->wake_at(self->context, c->wake_ms = self->context->now_ms + 100);
    return LEAT_OK;
}

static leat_code counter_watermark(leat_operator *self, int64_t watermark_ms, leat_error *out_error)
{
    (void)out_error;
    counter *c = (counter *)self;
    counter_fire(c, watermark_ms);
    leat_emitter_flush(&c->out);
    return LEAT_OK;
}

// Processing time: releases every key that counted to 3.
static leat_code counter_time(leat_operator *self, leat_error *out_error)
{
    (void)out_error;
    counter *c = (counter *)self;
    c->wake_ms = INT64_MAX;
    for (uint32_t slot = 0; slot < leat_keys_capacity(c->keys); slot++)
        if (leat_keys_live(c->keys, slot))
            c->counts[slot] += 1000, c->changed[slot] = true;
    return LEAT_OK;
}

static void counter_snapshot(leat_operator *self, leat_snapshot *snapshot)
{
    counter *c = (counter *)self;
    for (uint32_t slot = 0; slot < leat_keys_capacity(c->keys); slot++) {
        if (!leat_keys_live(c->keys, slot))
            continue;
        uint32_t group = leat_keys_group(c->keys, slot);
        uint64_t value[2] = {c->counts[slot], c->due[slot]};
        if (c->changed[slot] || snapshot->whole[group])
            snapshot->put(snapshot, 0, group, leat_keys_bytes(c->keys, slot),
                          leat_slice_of((char *)value, sizeof value));
        if (!snapshot->keep_marks)
            c->changed[slot] = false;
    }
    int64_t wake = c->wake_ms;
    snapshot->put(snapshot, 1, LEAT_GROUP_OPERATOR, leat_slice_of("w", 1), leat_slice_of((char *)&wake, sizeof wake));
}

static leat_code counter_restore(leat_operator *self, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                                 leat_error *out_error)
{
    (void)group;
    counter *c = (counter *)self;
    if (table == 1) {
        memcpy(&c->wake_ms, value.data, sizeof c->wake_ms);
        return LEAT_OK;
    }
    uint32_t slot;
    uint64_t fields[2];
    leat_code code = leat_keys_slot(c->keys, key, &slot, out_error);
    if (code != LEAT_OK)
        return code;
    memcpy(fields, value.data, sizeof fields);
    c->counts[slot] = fields[0];
    c->due[slot] = fields[1];
    return LEAT_OK;
}

static leat_code counter_ready(leat_operator *self, bool restored, leat_error *out_error)
{
    (void)restored, (void)out_error;
    self->context->wake_at(self->context, ((counter *)self)->wake_ms);
    return LEAT_OK;
}

static void counter_close(leat_operator *self)
{
    counter *c = (counter *)self;
    leat_emitter_fini(&c->out);
    leat_keys_destroy(c->keys);
}

static const leat_operator_ops counter_ops = {
    .name = "counter",
    .instance_size = sizeof(counter),
    .open = counter_open,
    .on_batch = counter_batch,
    .on_watermark = counter_watermark,
    .on_time = counter_time,
    .snapshot = counter_snapshot,
    .restore = counter_restore,
    .ready = counter_ready,
    .close = counter_close,
};

static const harness_setup setup = {
    .ops = &counter_ops,
    .inputs = {"k:STRING,v:DOUBLE"},
    .outputs = {"k:STRING,n:BIGINT"},
};

static void scenario_counts(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1.5@1000 | b,2@1100 | a,NULL@1200 | NULL,1@5");
    harness_expect_nothing(h);
    harness_watermark(h, 1999);
    harness_rows(h, 0, "b,7@2100");
    harness_watermark(h, 2999);
    harness_expect_any_order(h, "+I[a, 2]@1999 \n +I[b, 1]@1999\n+I[NULL, 1]@1999\n W 1999\n +I[b, 2]@2999 \n W 2999");
    harness_watermark(h, 1000); // ignored
    harness_rows(h, 0, "a,1");
    harness_time(h, 100);
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 1003]@9223372036854775807\nW MAX");
}

static void modes_agree(void **state)
{
    (void)state;
    harness_run(&setup, scenario_counts, NULL);
}

static void scenario_crash(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1 | b,1");
    harness_watermark(h, 10);
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 3);
    harness_rows(h, 0, "a,1 | c,1");
    harness_watermark(h, 20);
    harness_expect_any_order(h, "+I[a, 1]@10\n+I[b, 1]@10\nW 10\n+I[a, 2]@20\n+I[c, 1]@20\nW 20");
    harness_restore(h); // as if the second half had not been
    harness_rows(h, 0, "a,1 | c,1");
    harness_watermark(h, 20);
    harness_expect_any_order(h, "+I[a, 2]@20\n+I[c, 1]@20\nW 20");
}

static void restores_from_the_image(void **state)
{
    (void)state;
    harness_run(&setup, scenario_crash, NULL);
}

static void scenario_split(harness *h, void *argument)
{
    unsigned *found = argument;
    harness_rows(h, 0, "a,1 | b,1 | c,1 | d,1 | e,1 | f,1");
    harness_snapshot_whole(h);
    harness_restore_savepoint(h, *found % 2, 2);
    counter *c = (counter *)harness_operator(h);
    *found = leat_keys_count(c->keys);
}

static void shares_groups(void **state)
{
    (void)state;
    unsigned halves[2] = {0, 1};
    for (int i = 0; i < 2; i++) {
        harness *h = harness_create(&setup, HARNESS_SINGLE);
        scenario_split(h, &halves[i]);
        harness_destroy(h);
    }
    assert_int_equal(halves[0] + halves[1], 6);
    assert_true(halves[0] > 0 && halves[1] > 0);
}

// ---- what the harness has to find: each in a case of its own that is expected to fail. fail_msg jumps, so the check runs
// as a cmocka group of one that must report a failure.

static void finds_unmarked_changes(void **state)
{
    (void)state;
    harness *h = harness_create(&setup, HARNESS_SINGLE);
    harness_rows(h, 0, "a,1");
    harness_snapshot(h);
    forget_to_mark = true;
    harness_rows(h, 0, "a,1");
    harness_snapshot(h);
}

static void finds_wrong_output(void **state)
{
    (void)state;
    harness *h = harness_create(&setup, HARNESS_WHOLE);
    harness_rows(h, 0, "a,1");
    harness_watermark(h, 5);
    harness_expect(h, "+I[a, 2]@5\nW 5");
}

static void finds_missing_failure(void **state)
{
    (void)state;
    harness *h = harness_create(&setup, HARNESS_SINGLE);
    harness_fails(h, LEAT_E_LIMIT, "budget");
    harness_rows(h, 0, "a,1");
    harness_destroy(h);
}

static void scenario_budget(harness *h, void *argument)
{
    (void)argument;
    harness_fails(h, LEAT_E_LIMIT, "memory budget of 2000 bytes");
    harness_rows(h, 0, "a,1");
}

static void finds_nothing_when_the_failure_comes(void **state)
{
    (void)state;
    harness_setup small = setup;
    small.budget = 2000;
    harness_run(&small, scenario_budget, NULL);
}

// Of LeakSanitizer, where it is linked: a failed case leaves its harness behind.
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static int run_failing(void)
{
    if (__lsan_disable)
        __lsan_disable();
    const struct CMUnitTest failing[] = {
        cmocka_unit_test(finds_unmarked_changes),
        cmocka_unit_test(finds_wrong_output),
        cmocka_unit_test(finds_missing_failure),
    };
    // In a file, so that these expected failures are not counted as failures of ours.
    cmocka_set_message_output(CM_OUTPUT_XML);
    setenv("CMOCKA_XML_FILE", "/dev/null", 1);
    int failures = cmocka_run_group_tests(failing, NULL, NULL);
    cmocka_set_message_output(CM_OUTPUT_STDOUT);
    forget_to_mark = false;
    if (__lsan_enable)
        __lsan_enable();
    return failures;
}

static int expected_failures;

static void finds_what_is_wrong(void **state)
{
    (void)state;
    assert_int_equal(expected_failures, 3);
}

int main(void)
{
    expected_failures = run_failing();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_agree),         cmocka_unit_test(restores_from_the_image),
        cmocka_unit_test(shares_groups),       cmocka_unit_test(finds_nothing_when_the_failure_comes),
        cmocka_unit_test(finds_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
