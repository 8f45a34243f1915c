#include "tests/support/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/core/cause.h"
#include "tests/support/harness_image.h"
#include "tests/support/harness_text.h"

enum { POOL_BUDGET = 64 << 20, WAKES_MAX = 100000, ROWS_CUT_MAX = 5 };

static const char *const mode_names[HARNESS_MODES] = {"SINGLE", "WHOLE", "CUT", "RESTART"};

// ---- the harness

typedef struct line_list {
    const char **lines;
    size_t count, room;
} line_list;

struct harness {
    const harness_setup *setup;
    harness_mode mode;
    env_test *test;
    leat_arena arena;      // schemas, texts: the harness's life
    leat_arena rule_arena; // context->arena: one instance's life
    leat_batch_pool *pool;
    leat_budget budget;
    leat_drops drops;
    const leat_schema *inputs[HARNESS_PORTS], *outputs[HARNESS_PORTS];
    bool output_used[HARNESS_PORTS];
    leat_operator_context context;
    leat_operator *operator;
    bool may_emit;
    int64_t wake_ms;
    int64_t watermark; // the operator's, after all that was delivered
    // -- fed and not delivered yet
    harness_row *pending;
    uint32_t pending_count, pending_max;
    unsigned pending_input;
    int64_t pending_watermark; // after the last pending row
    uint64_t row_index;
    uint64_t random;
    // -- what came out
    int64_t out_watermark[HARNESS_PORTS];
    line_list seen; // since the last look
    line_list log;  // everything, with causes; compared between modes
    // -- state
    harness_image live, saved;
    int64_t saved_watermark;
    // -- the failure that is expected
    leat_code fail_code;
    const char *fail_message;
    bool failed; // it came: the operator is only closed
};

static uint32_t random_below(harness *h, uint32_t end)
{
    h->random += 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(leat_hash_mix(h->random) % end);
}

// ---- output

static void add_line(line_list *list, const char *line)
{
    bool is_watermark = line[0] == 'W';
    if (is_watermark && list->count && list->lines[list->count - 1][0] == 'W') {
        list->lines[list->count - 1] = line;
        return;
    }
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 64;
        list->lines = realloc(list->lines, list->room * sizeof *list->lines);
        assert_non_null(list->lines);
    }
    list->lines[list->count++] = line;
}

static void watermark_out(harness *h, unsigned output, int64_t watermark)
{
    if (watermark < h->out_watermark[output])
        fail_msg("output %u: the watermark falls from %lld to %lld", output, (long long)h->out_watermark[output],
                 (long long)watermark);
    if (watermark == h->out_watermark[output])
        return;
    h->out_watermark[output] = watermark;
    if (output)
        return;
    const char *line =
        watermark == LEAT_TIME_MAX ? "W MAX" : leat_arena_format(&h->arena, "W %lld", (long long)watermark);
    add_line(&h->seen, line);
    add_line(&h->log, line);
}

static void check_types(const harness *h, unsigned output, const leat_batch *batch)
{
    const leat_schema *schema = h->outputs[output];
    if (!batch->schema || !batch->columns || batch->schema->count != schema->count)
        fail_msg("output %u: rows without the columns of its schema", output);
    for (uint32_t i = 0; i < schema->count; i++)
        if (!leat_type_equal(batch->columns[i].type, schema->fields[i].type))
            fail_msg("output %u: column %u is not of the schema's type", output, i);
}

static void check_kind(const harness *h, unsigned output, leat_row_kind kind)
{
    leat_changelog changelog = h->outputs[output]->changelog;
    if (kind > LEAT_DELETE || (changelog == LEAT_CHANGELOG_INSERT && kind != LEAT_INSERT) ||
        (changelog == LEAT_CHANGELOG_UPSERT && kind == LEAT_UPDATE_BEFORE))
        fail_msg("output %u: row kind %d does not fit the changelog of the schema", output, (int)kind);
}

static void check_shape(unsigned output, const leat_batch *batch)
{
    if (batch->kind != LEAT_ELEMENT_ROWS || batch->count > LEAT_BATCH_ROWS || batch->selected > batch->count ||
        (!batch->selection && batch->selected != batch->count))
        fail_msg("output %u: a batch of kind %d with %u of %u rows", output, (int)batch->kind, batch->selected,
                 batch->count);
    for (uint32_t i = 0; batch->selection && i < batch->selected; i++)
        if (batch->selection[i] >= batch->count || (i && batch->selection[i] <= batch->selection[i - 1]))
            fail_msg("output %u: the selection does not ascend within the batch", output);
}

static void row_out(harness *h, unsigned output, const leat_batch *batch, uint32_t row)
{
    check_kind(h, output, leat_batch_kind(batch, row));
    if (batch->watermark)
        watermark_out(h, output, batch->watermark[row]);
    const char *text = harness_row_text(&h->arena, batch, row);
    if (output)
        text = leat_arena_format(&h->arena, "%u:%s", output, text);
    add_line(&h->seen, text);
    uint64_t cause = batch->cause && !h->setup->causes_may_differ ? batch->cause[row] : 0;
    add_line(&h->log, leat_arena_format(&h->arena, "%s #%016llx", text, (unsigned long long)cause));
}

static void emit(leat_operator_context *context, unsigned output, leat_batch *batch)
{
    harness *h = context->runner;
    if (!h->may_emit)
        fail_msg("output %u: a batch outside of ready, on_batch, on_watermark and on_time", output);
    if (output >= context->output_count)
        fail_msg("there is no output %u", output);
    check_shape(output, batch);
    if (batch->selected)
        check_types(h, output, batch);
    if (batch->watermark && batch->selected) {
        uint32_t last = leat_batch_row(batch, batch->selected - 1);
        if (batch->watermark_after < batch->watermark[last])
            fail_msg("output %u: watermark_after is behind the watermark column", output);
    }
    for (uint32_t i = 0; i < batch->selected; i++)
        row_out(h, output, batch, leat_batch_row(batch, i));
    if (batch->watermark_after != LEAT_TIME_NONE)
        watermark_out(h, output, batch->watermark_after);
}

static void wake_at(leat_operator_context *context, int64_t processing_ms)
{
    harness *h = context->runner;
    if (processing_ms == INT64_MAX || processing_ms < h->wake_ms)
        h->wake_ms = processing_ms;
}

// ---- one instance

static void check_code(harness *h, const char *where, leat_code code, const leat_error *error)
{
    if (code == LEAT_OK)
        return;
    if (h->fail_message && code == h->fail_code && strstr(error->message, h->fail_message)) {
        h->fail_message = NULL;
        h->failed = true;
        return;
    }
    fail_msg("mode %s: %s fails: %s: %s", mode_names[h->mode], where, leat_code_name(code), error->message);
}

static void instance_make(harness *h)
{
    leat_arena_init(&h->rule_arena, &h->test->env, 0);
    h->operator= leat_env_calloc(&h->test->env, h->setup->ops->instance_size);
    assert_non_null(h->operator);
    h->operator->ops = h->setup->ops;
    h->operator->context = & h->context;
    h->wake_ms = INT64_MAX;
}

static void instance_free(harness *h)
{
    leat_env_free(&h->test->env, h->operator, h->setup->ops->instance_size);
    h->operator= NULL;
    leat_arena_fini(&h->rule_arena);
}

static void instance_open(harness *h, const harness_image *from)
{
    leat_error error = {0};
    instance_make(h);
    h->context.watermark_ms = h->watermark;
    leat_code code = h->setup->ops->open(h->operator, & error);
    check_code(h, "open", code, &error);
    if (code != LEAT_OK) {
        instance_free(h); // close is not called
        return;
    }
    for (size_t i = 0; from && i < from->count && !h->failed; i++) {
        const harness_image_entry *entry = &from->entries[i];
        if (entry->group != LEAT_GROUP_OPERATOR && !leat_operator_owns(&h->context, entry->group))
            continue;
        code = h->setup->ops->restore(h->operator, entry->table, entry->group, entry->key, entry->value, &error);
        check_code(h, "restore", code, &error);
    }
    h->may_emit = true;
    if (h->setup->ops->ready && !h->failed)
        check_code(h, "ready", h->setup->ops->ready(h->operator, from != NULL, &error), &error);
    h->may_emit = false;
}

static void instance_close(harness *h)
{
    if (!h->operator)
        return;
    uint64_t bytes = 0, keys = 0;
    if (h->setup->ops->measure)
        h->setup->ops->measure(h->operator, & bytes, &keys);
    h->setup->ops->close(h->operator);
    instance_free(h);
    if (h->budget.used)
        fail_msg("mode %s: %zu bytes of keyed state are left after close", mode_names[h->mode], (size_t)h->budget.used);
}

// ---- delivering

static void move_watermark(harness *h, int64_t watermark)
{
    if (watermark > h->watermark)
        h->watermark = watermark;
    h->context.watermark_ms = h->watermark;
}

static void pass_watermark_on(harness *h, int64_t watermark)
{
    for (unsigned output = 0; output < h->context.output_count; output++)
        watermark_out(h, output, watermark);
}

static void deliver_watermark(harness *h, int64_t watermark)
{
    leat_error error = {0};
    if (watermark <= h->watermark || h->failed)
        return;
    h->may_emit = true;
    if (h->setup->ops->on_watermark)
        check_code(h, "on_watermark", h->setup->ops->on_watermark(h->operator, watermark, &error), &error);
    else
        pass_watermark_on(h, watermark);
    h->may_emit = false;
    move_watermark(h, watermark);
}

// In mode CUT a row that the selection leaves out stands before every other one.
static uint32_t put_pending(harness *h, leat_batch *batch, uint16_t *selection)
{
    bool decoys = h->mode == HARNESS_CUT;
    uint32_t selected = 0;
    for (uint32_t i = 0; i < h->pending_count; i++) {
        if (decoys && i % 2 == 0) {
            harness_row decoy = h->pending[h->pending_count - 1 - i];
            decoy.event_ms = 7;
            decoy.cause = 13;
            harness_row_put(batch, batch->count++, &decoy);
        }
        if (selection)
            selection[selected] = (uint16_t)batch->count;
        selected++;
        harness_row_put(batch, batch->count++, &h->pending[i]);
    }
    return selected;
}

static void put_watermarks(harness *h, leat_batch *batch)
{
    const harness_row *last = &h->pending[h->pending_count - 1];
    if (h->pending_watermark > h->watermark)
        batch->watermark_after = h->pending_watermark;
    if (last->watermark == h->watermark)
        return;
    batch->watermark = leat_arena_alloc(&batch->arena, sizeof(int64_t) * batch->count);
    uint32_t physical = 0;
    for (uint32_t i = 0; i < h->pending_count; i++) {
        uint32_t row = leat_batch_row(batch, i);
        while (physical <= row)
            batch->watermark[physical++] = h->pending[i].watermark;
    }
}

static leat_batch *pending_batch(harness *h)
{
    leat_batch *batch = leat_batch_get_rows(h->pool, h->inputs[h->pending_input], LEAT_BATCH_ROWS);
    if (!batch)
        fail_msg("the batch pool is at its budget");
    uint16_t *selection = NULL;
    if (h->mode == HARNESS_CUT)
        selection = leat_arena_calloc(&batch->arena, sizeof(uint16_t) * LEAT_BATCH_ROWS);
    batch->selected = put_pending(h, batch, selection);
    batch->selection = selection;
    put_watermarks(h, batch);
    return batch;
}

static void restart(harness *h);

static void deliver(harness *h)
{
    leat_error error = {0};
    if (h->failed)
        h->pending_count = 0;
    if (h->pending_count == 0) {
        deliver_watermark(h, h->pending_watermark);
    } else {
        leat_batch *batch = pending_batch(h);
        const char *before = harness_batch_text(&h->arena, batch);
        h->may_emit = true;
        check_code(h, "on_batch", h->setup->ops->on_batch(h->operator, h->pending_input, batch, &error), &error);
        h->may_emit = false;
        if (strcmp(before, harness_batch_text(&h->arena, batch)) != 0)
            fail_msg("the operator has written into the batch that it borrowed");
        leat_batch_unref(batch);
        move_watermark(h, h->pending_watermark);
        h->pending_count = 0;
    }
    if (h->mode == HARNESS_RESTART && !h->failed)
        restart(h);
}

static bool has_pending(const harness *h) { return h->pending_count || h->pending_watermark > h->watermark; }

static void flush(harness *h)
{
    if (has_pending(h))
        deliver(h);
    h->pending_max = h->mode == HARNESS_CUT ? 1 + random_below(h, ROWS_CUT_MAX) : LEAT_BATCH_ROWS;
}

static bool one_by_one(const harness *h) { return h->mode == HARNESS_SINGLE || h->mode == HARNESS_RESTART; }

static void take_row(void *context, const harness_row *row)
{
    harness *h = context;
    harness_row *pending = &h->pending[h->pending_count++];
    *pending = *row;
    pending->cause = leat_cause_source(1, h->row_index++, 0);
    pending->watermark = h->pending_watermark;
    if (one_by_one(h) || h->pending_count >= h->pending_max)
        flush(h);
}

// ---- feeding

void harness_rows(harness *h, unsigned input, const char *rows)
{
    assert_true(input < h->context.input_count);
    if (input != h->pending_input)
        flush(h);
    h->pending_input = input;
    harness_rows_parse(&h->arena, h->inputs[input], rows, take_row, h);
}

void harness_watermark(harness *h, int64_t watermark_ms)
{
    if (watermark_ms > h->pending_watermark)
        h->pending_watermark = watermark_ms;
    if (one_by_one(h))
        flush(h);
}

void harness_end_of_time(harness *h) { harness_watermark(h, LEAT_TIME_MAX); }

static void call_on_time(harness *h)
{
    leat_error error = {0};
    h->wake_ms = INT64_MAX;
    h->may_emit = true;
    check_code(h, "on_time", h->setup->ops->on_time(h->operator, & error), &error);
    h->may_emit = false;
    if (h->mode == HARNESS_RESTART && !h->failed)
        restart(h);
}

static void set_now(harness *h, int64_t now_ms)
{
    if (now_ms > h->context.now_ms)
        h->context.now_ms = now_ms;
}

void harness_time(harness *h, int64_t now_ms)
{
    flush(h);
    assert_true(now_ms >= h->context.now_ms);
    for (int calls = 0; h->wake_ms <= now_ms && !h->failed; calls++) {
        if (calls == WAKES_MAX)
            fail_msg("wake_at asks again and again for %lld", (long long)h->wake_ms);
        set_now(h, h->wake_ms);
        call_on_time(h);
    }
    set_now(h, now_ms);
}

void harness_time_late(harness *h, int64_t now_ms)
{
    flush(h);
    assert_true(now_ms >= h->context.now_ms);
    set_now(h, now_ms);
    for (int calls = 0; h->wake_ms <= now_ms && !h->failed; calls++) {
        if (calls == WAKES_MAX)
            fail_msg("wake_at asks again and again for %lld", (long long)h->wake_ms);
        call_on_time(h);
    }
}

void harness_fails(harness *h, leat_code code, const char *message)
{
    flush(h);
    h->fail_code = code;
    h->fail_message = message;
}

bool harness_failed(const harness *h) { return h->failed; }

// ---- looking

static const char *trimmed_line(leat_arena *arena, const char **cursor)
{
    const char *begin = *cursor, *end = strchrnul(begin, '\n');
    *cursor = *end ? end + 1 : end;
    while (begin < end && *begin == ' ')
        begin++;
    while (end > begin && end[-1] == ' ')
        end--;
    return leat_arena_copy(arena, begin, (size_t)(end - begin));
}

static line_list split_lines(harness *h, const char *text)
{
    line_list list = {0};
    while (*text) {
        const char *line = trimmed_line(&h->arena, &text);
        if (*line)
            add_line(&list, line);
    }
    return list;
}

static int line_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_between_watermarks(line_list *list)
{
    for (size_t begin = 0, end; begin < list->count; begin = end + 1) {
        for (end = begin; end < list->count && list->lines[end][0] != 'W';)
            end++;
        if (end > begin)
            qsort(list->lines + begin, end - begin, sizeof *list->lines, line_compare);
    }
}

static const char *joined(leat_arena *arena, const line_list *list)
{
    leat_writer text;
    leat_writer_init(&text, arena->env, SIZE_MAX / 2);
    for (size_t i = 0; i < list->count; i++)
        leat_write_format(&text, "%s\n", list->lines[i]);
    const char *copy = leat_arena_copy(arena, (const char *)text.bytes, text.size);
    leat_writer_fini(&text);
    return copy;
}

static void expect(harness *h, const char *lines, bool any_order)
{
    flush(h);
    line_list expected = split_lines(h, lines);
    if (any_order) {
        sort_between_watermarks(&expected);
        sort_between_watermarks(&h->seen);
    }
    const char *wanted = joined(&h->arena, &expected), *found = joined(&h->arena, &h->seen);
    free(expected.lines);
    h->seen.count = 0;
    if (strcmp(wanted, found) != 0)
        fail_msg("mode %s\n-- expected\n%s-- found\n%s", mode_names[h->mode], wanted, found);
}

void harness_expect(harness *h, const char *lines) { expect(h, lines, false); }
void harness_expect_any_order(harness *h, const char *lines) { expect(h, lines, true); }
void harness_expect_nothing(harness *h) { expect(h, "", false); }

uint64_t harness_drops(harness *h, leat_drop_cause cause)
{
    flush(h);
    return h->drops.counts[cause];
}

uint64_t harness_state_entries(harness *h) { return h->saved.count; }

int64_t harness_wake_ms(harness *h)
{
    flush(h);
    return h->wake_ms;
}

leat_operator *harness_operator(harness *h) { return h->operator; }
leat_operator_context *harness_context(harness *h) { return &h->context; }
harness_mode harness_mode_of(const harness *h) { return h->mode; }

// ---- snapshots

typedef struct image_snapshot {
    leat_snapshot base; // first: a leat_snapshot * is an image_snapshot *
    harness *h;
    harness_image *image;
} image_snapshot;

static void check_group(const harness *h, uint8_t table, uint32_t group)
{
    if (table >= LEAT_STATE_TABLES || group > LEAT_GROUP_OPERATOR)
        fail_msg("state of table %u, group %u", table, group);
    if (group != LEAT_GROUP_OPERATOR && !leat_operator_owns(&h->context, group))
        fail_msg("group %u belongs to another instance", group);
}

static void snapshot_put(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    image_snapshot *self = (image_snapshot *)snapshot;
    check_group(self->h, table, group);
    harness_image_put(self->image, table, group, key, value);
}

static void snapshot_remove(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key)
{
    image_snapshot *self = (image_snapshot *)snapshot;
    check_group(self->h, table, group);
    harness_image_remove(self->image, table, group, key);
}

static void take_snapshot(harness *h, harness_image *image, bool whole, bool keep_marks)
{
    if (!h->setup->ops->snapshot || !h->operator)
        return;
    image_snapshot snapshot = {
        .base = {.put = snapshot_put,
                 .remove = snapshot_remove,
                 .keep_marks = keep_marks,
                 .any_whole = whole,
                 .all_whole = whole},
        .h = h,
        .image = image,
    };
    memset(snapshot.base.whole, whole, sizeof snapshot.base.whole);
    if (whole)
        harness_image_clear(image);
    h->setup->ops->snapshot(h->operator, & snapshot.base);
}

static void check_same_image(const harness *h, const harness_image *changes, const harness_image *whole)
{
    if (!harness_image_equal(changes, whole))
        fail_msg("mode %s: the changes add up to %zu entries that differ from the %zu of a whole snapshot: "
                 "a change was not marked, or one was not removed",
                 mode_names[h->mode], changes->count, whole->count);
}

static void snapshot_live(harness *h, bool whole)
{
    take_snapshot(h, &h->live, whole, false);
    if (h->setup->whole_may_differ)
        return;
    harness_image complete = {0};
    take_snapshot(h, &complete, true, true);
    check_same_image(h, &h->live, &complete);
    harness_image_clear(&complete);
}

static void save(harness *h, bool whole)
{
    flush(h);
    snapshot_live(h, whole);
    harness_image_copy(&h->saved, &h->live);
    h->saved_watermark = h->watermark;
}

void harness_snapshot(harness *h) { save(h, false); }
void harness_snapshot_whole(harness *h) { save(h, true); }

static void restart(harness *h)
{
    if (!h->setup->ops->snapshot)
        return;
    snapshot_live(h, false);
    instance_close(h);
    instance_open(h, &h->live);
}

static void restore(harness *h, int64_t watermark)
{
    flush(h);
    instance_close(h);
    h->failed = false;
    h->watermark = h->pending_watermark = watermark;
    for (unsigned i = 0; i < HARNESS_PORTS; i++)
        h->out_watermark[i] = LEAT_TIME_NONE;
    harness_image_copy(&h->live, &h->saved);
    instance_open(h, &h->saved);
}

void harness_restore(harness *h) { restore(h, h->saved_watermark); }

void harness_restore_savepoint(harness *h, unsigned instance, unsigned parallelism)
{
    flush(h);
    instance_close(h);
    h->context.instance = instance;
    h->context.parallelism = parallelism;
    h->context.watermarks_anew = true;
    restore(h, LEAT_TIME_NONE);
    h->context.watermarks_anew = false;
    // What belongs to others now is no longer part of this instance's image.
    harness_image_clear(&h->live);
    take_snapshot(h, &h->live, true, true);
}

// ---- life

static unsigned make_schemas(harness *h, const char *const texts[HARNESS_PORTS], const leat_schema **out_schemas)
{
    unsigned count = 0;
    for (; count < HARNESS_PORTS && texts[count]; count++)
        out_schemas[count] = harness_schema(&h->arena, texts[count]);
    return count;
}

static void make_context(harness *h)
{
    const harness_setup *setup = h->setup;
    unsigned inputs = make_schemas(h, setup->inputs, h->inputs);
    unsigned outputs = make_schemas(h, setup->outputs, h->outputs);
    if (outputs)
        ((leat_schema *)h->outputs[0])->changelog = setup->output_changelog;
    h->context = (leat_operator_context){
        .env = &h->test->env,
        .spec = setup->spec,
        .inputs = h->inputs,
        .outputs = h->outputs,
        .input_count = inputs,
        .output_count = outputs,
        .pool = h->pool,
        .arena = &h->rule_arena,
        .budget = &h->budget,
        .drops = &h->drops,
        .instance = setup->instance,
        .parallelism = setup->parallelism ? setup->parallelism : 1,
        .now_ms = setup->start_ms,
        .watermark_ms = LEAT_TIME_NONE,
        .output_used = h->output_used,
        .emit = emit,
        .wake_at = wake_at,
        .runner = h,
    };
}

harness *harness_create(const harness_setup *setup, harness_mode mode)
{
    harness *h = calloc(1, sizeof *h);
    assert_non_null(h);
    h->setup = setup;
    h->mode = mode;
    h->test = env_test_create();
    leat_arena_init(&h->arena, &h->test->env, 0);
    leat_budget_init(&h->budget, &h->test->env, setup->budget);
    leat_error error = {0};
    if (leat_batch_pool_create(&h->test->env, setup->pool_budget ? setup->pool_budget : POOL_BUDGET, &h->pool,
                               &error) != LEAT_OK)
        fail_msg("%s", error.message);
    h->watermark = h->pending_watermark = h->saved_watermark = LEAT_TIME_NONE;
    for (unsigned i = 0; i < HARNESS_PORTS; i++) {
        h->out_watermark[i] = LEAT_TIME_NONE;
        h->output_used[i] = true;
    }
    h->pending = leat_arena_array(&h->arena, harness_row, LEAT_BATCH_ROWS);
    make_context(h);
    flush(h); // draws the first cut
    instance_open(h, NULL);
    return h;
}

void harness_destroy(harness *h)
{
    if (!h)
        return;
    flush(h);
    instance_close(h);
    if (h->fail_message)
        fail_msg("mode %s: a failure with '%s' was expected and did not come", mode_names[h->mode], h->fail_message);
    if (leat_batch_pool_in_use(h->pool))
        fail_msg("mode %s: %u batches are not back in the pool", mode_names[h->mode], leat_batch_pool_in_use(h->pool));
    leat_batch_pool_destroy(h->pool);
    harness_image_clear(&h->live);
    harness_image_clear(&h->saved);
    free(h->seen.lines);
    free(h->log.lines);
    leat_arena_fini(&h->arena);
    if (h->test->memory)
        fail_msg("mode %s: %zu bytes were not given back", mode_names[h->mode], (size_t)h->test->memory);
    env_test_destroy(h->test);
    free(h);
}

static char *run_mode(const harness_setup *setup, harness_scenario scenario, void *argument, harness_mode mode)
{
    harness *h = harness_create(setup, mode);
    scenario(h, argument);
    flush(h);
    sort_between_watermarks(&h->log);
    char *log = strdup(joined(&h->arena, &h->log));
    harness_destroy(h);
    return log;
}

void harness_run(const harness_setup *setup, harness_scenario scenario, void *argument)
{
    char *first = run_mode(setup, scenario, argument, HARNESS_SINGLE);
    for (int mode = HARNESS_WHOLE; mode < HARNESS_MODES; mode++) {
        if (mode == HARNESS_RESTART && (setup->without_restart || !setup->ops->snapshot))
            continue;
        char *log = run_mode(setup, scenario, argument, (harness_mode)mode);
        if (strcmp(first, log) != 0)
            fail_msg("modes differ\n-- SINGLE\n%s-- %s\n%s", first, mode_names[mode], log);
        free(log);
    }
    free(first);
}
