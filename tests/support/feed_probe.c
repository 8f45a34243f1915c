#include "tests/support/feed_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
// cmocka needs the headers above.
#include <cmocka.h>

static feed_probe *probe_of(const leat_intake *intake) { return (feed_probe *)intake; }

static leat_slice copy(leat_slice slice)
{
    char *bytes = malloc(slice.size + 1);
    memcpy(bytes, slice.size ? slice.data : "", slice.size);
    return leat_slice_of(bytes, slice.size);
}

static leat_code intake_append(leat_intake *intake, const leat_raw *raw, uint64_t *out_position)
{
    feed_probe *self = probe_of(intake);
    pthread_mutex_lock(&self->lock);
    bool refused = self->full || self->record_count == FEED_PROBE_RECORDS;
    if (!refused) {
        feed_probe_record *record = &self->records[self->record_count];
        *record = (feed_probe_record){*raw, leat_boot_ms(self->env)};
        record->raw.topic = copy(raw->topic);
        record->raw.payload = copy(raw->payload);
        record->raw.position = *out_position = self->record_count++;
    }
    pthread_mutex_unlock(&self->lock);
    return refused ? LEAT_E_NO_SPACE : LEAT_OK;
}

static leat_code intake_wait_durable(leat_intake *intake, uint64_t position, int64_t timeout_ms)
{
    (void)intake;
    (void)position;
    (void)timeout_ms;
    return LEAT_OK;
}

static bool intake_held(leat_intake *intake)
{
    feed_probe *self = probe_of(intake);
    pthread_mutex_lock(&self->lock);
    bool held = self->held;
    pthread_mutex_unlock(&self->lock);
    return held;
}

static leat_code intake_wait_room(leat_intake *intake, int64_t timeout_ms)
{
    intake->sleep(intake, timeout_ms);
    return intake_held(intake) ? LEAT_E_TIMEOUT : LEAT_OK;
}

static leat_code intake_visit(leat_intake *intake, void (*visit)(void *context, const leat_raw *raw), void *context)
{
    feed_probe *self = probe_of(intake);
    for (uint32_t i = 0; i < self->record_count; i++)
        visit(context, &self->records[i].raw);
    return LEAT_OK;
}

static void intake_gap(leat_intake *intake, const char *cause, int64_t from_ms, int64_t to_ms, uint64_t count)
{
    feed_probe *self = probe_of(intake);
    pthread_mutex_lock(&self->lock);
    if (self->gap_count < FEED_PROBE_GAPS) {
        feed_probe_gap *gap = &self->gaps[self->gap_count++];
        *gap = (feed_probe_gap){.from_ms = from_ms, .to_ms = to_ms, .count = count};
        snprintf(gap->cause, sizeof gap->cause, "%s", cause);
    }
    pthread_mutex_unlock(&self->lock);
}

static void intake_note(leat_intake *intake, bool connected, const char *text)
{
    feed_probe *self = probe_of(intake);
    pthread_mutex_lock(&self->lock);
    self->notes += connected != self->connected;
    self->connected = connected;
    snprintf(self->note, sizeof self->note, "%s", text);
    pthread_mutex_unlock(&self->lock);
}

static void intake_count(leat_intake *intake, const char *counter, uint64_t add)
{
    feed_probe *self = probe_of(intake);
    pthread_mutex_lock(&self->lock);
    for (int i = 0; i < FEED_PROBE_COUNTERS; i++) {
        if (self->counters[i].name && strcmp(self->counters[i].name, counter) != 0)
            continue;
        self->counters[i].name = counter;
        self->counters[i].value += add;
        break;
    }
    pthread_mutex_unlock(&self->lock);
}

static bool intake_sleep(leat_intake *intake, int64_t ms)
{
    feed_probe *self = probe_of(intake);
    if (self->on_sleep) {
        self->stop |= self->on_sleep(self, ms);
        return self->stop;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&self->lock);
    while (!self->stop && pthread_cond_timedwait(&self->stopped, &self->lock, &until) == 0)
        ;
    bool stop = self->stop;
    pthread_mutex_unlock(&self->lock);
    return stop;
}

static bool intake_stopping(const leat_intake *intake)
{
    feed_probe *self = probe_of(intake);
    pthread_mutex_lock(&self->lock);
    bool stop = self->stop;
    pthread_mutex_unlock(&self->lock);
    return stop;
}

// ---- life

void feed_probe_init(feed_probe *self, leat_env *env)
{
    memset(self, 0, sizeof *self);
    self->intake = (leat_intake){.append = intake_append,
                                 .wait_durable = intake_wait_durable,
                                 .held = intake_held,
                                 .wait_room = intake_wait_room,
                                 .visit = intake_visit,
                                 .gap = intake_gap,
                                 .note = intake_note,
                                 .count = intake_count,
                                 .sleep = intake_sleep,
                                 .stopping = intake_stopping};
    self->env = env;
    leat_arena_init(&self->arena, env, 4096);
    leat_error error;
    assert_int_equal(leat_batch_pool_create(env, 16 << 20, &self->pool, &error), LEAT_OK);
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->stopped, &attributes);
    self->records = calloc(FEED_PROBE_RECORDS, sizeof *self->records);
}

void feed_probe_fini(feed_probe *self)
{
    if (self->reader)
        self->reader->ops->close(self->reader);
    if (self->decoder)
        self->decoder->ops->close(self->decoder);
    leat_batch_unref(self->batch);
    leat_batch_pool_destroy(self->pool);
    for (uint32_t i = 0; i < self->record_count; i++) {
        free((char *)self->records[i].raw.topic.data);
        free((char *)self->records[i].raw.payload.data);
    }
    free(self->records);
    leat_arena_fini(&self->arena);
}

static leat_source *open_instance(feed_probe *self, const leat_source_ops *ops, leat_source_setup *setup)
{
    leat_source *source = leat_arena_calloc(&self->arena, ops->instance_size);
    source->ops = ops;
    source->setup = setup;
    if (ops->open(source, setup, &self->error) != LEAT_OK)
        fail_msg("open: %s", self->error.message);
    return source;
}

void feed_probe_open(feed_probe *self, const leat_source_ops *ops, const leat_source_description *description,
                     const void *settings, const leat_source_field *fields, uint32_t field_count)
{
    static const struct {
        uint32_t bit;
        const char *name;
        leat_kind kind;
    } implicit[] = {{LEAT_IMPLICIT_SOURCE, "source", LEAT_KIND_STRING},
                    {LEAT_IMPLICIT_TS, "ts", LEAT_KIND_TIMESTAMP_LTZ},
                    {LEAT_IMPLICIT_TOPIC, "topic", LEAT_KIND_STRING},
                    {LEAT_IMPLICIT_UNIT, "unit", LEAT_KIND_INT},
                    {LEAT_IMPLICIT_QUALITY, "quality", LEAT_KIND_STRING}};
    if (description->check && description->check(settings, fields, field_count, &self->error) != LEAT_OK)
        fail_msg("check: %s", self->error.message);
    self->schema = (leat_schema){.fields = self->columns, .rowtime = -1, .proctime = -1};
    for (uint32_t i = 0; i < field_count; i++)
        self->columns[self->schema.count++] = (leat_field){fields[i].name, fields[i].type};
    for (size_t i = 0; i < sizeof implicit / sizeof *implicit; i++)
        if (description->implicit & implicit[i].bit)
            self->columns[self->schema.count++] =
                (leat_field){leat_slice_text(implicit[i].name), leat_type_of(implicit[i].kind)};
    self->reader_setup = (leat_source_setup){.env = self->env,
                                             .arena = &self->arena,
                                             .name = "probe",
                                             .agent_name = "test",
                                             .settings = settings,
                                             .fields = fields,
                                             .field_count = field_count,
                                             .schema = &self->schema,
                                             .implicit = description->implicit,
                                             .intake = &self->intake};
    self->decoder_setup = self->reader_setup;
    self->decoder_setup.intake = NULL;
    self->decoder_setup.is_decoder = true;
    self->reader = open_instance(self, ops, &self->reader_setup);
    self->decoder = open_instance(self, ops, &self->decoder_setup);
}

void feed_probe_run(feed_probe *self)
{
    self->stop = false;
    self->code = self->reader->ops->run(self->reader, &self->error);
    assert_int_equal(self->code, LEAT_OK);
}

static void *run_thread(void *argument)
{
    feed_probe *self = argument;
    self->code = self->reader->ops->run(self->reader, &self->error);
    return NULL;
}

void feed_probe_start(feed_probe *self)
{
    self->stop = false;
    assert_int_equal(pthread_create(&self->thread, NULL, run_thread, self), 0);
}

int64_t feed_probe_stop(feed_probe *self)
{
    int64_t start_ms = leat_boot_ms(self->env);
    pthread_mutex_lock(&self->lock);
    self->stop = true;
    pthread_cond_broadcast(&self->stopped);
    pthread_mutex_unlock(&self->lock);
    self->reader->ops->stop(self->reader);
    pthread_join(self->thread, NULL);
    assert_int_equal(self->code, LEAT_OK);
    return leat_boot_ms(self->env) - start_ms;
}

// ---- what came

uint32_t feed_probe_records(feed_probe *self)
{
    pthread_mutex_lock(&self->lock);
    uint32_t count = self->record_count;
    pthread_mutex_unlock(&self->lock);
    return count;
}

uint64_t feed_probe_counter(feed_probe *self, const char *name)
{
    uint64_t value = 0;
    pthread_mutex_lock(&self->lock);
    for (int i = 0; i < FEED_PROBE_COUNTERS && self->counters[i].name; i++)
        if (strcmp(self->counters[i].name, name) == 0)
            value = self->counters[i].value;
    pthread_mutex_unlock(&self->lock);
    return value;
}

uint32_t feed_probe_gaps(feed_probe *self, const char *cause, feed_probe_gap *out_last)
{
    uint32_t count = 0;
    pthread_mutex_lock(&self->lock);
    for (uint32_t i = 0; i < self->gap_count; i++)
        if (strcmp(self->gaps[i].cause, cause) == 0) {
            count++;
            if (out_last)
                *out_last = self->gaps[i];
        }
    pthread_mutex_unlock(&self->lock);
    return count;
}

typedef struct probe_target {
    leat_decode_target target; // first
    feed_probe *probe;
} probe_target;

static void reject(leat_decode_target *target, leat_drop_cause cause, leat_slice payload, uint32_t offset,
                   const char *column, const char *reason)
{
    feed_probe *self = ((probe_target *)target)->probe;
    (void)cause;
    (void)payload;
    (void)offset;
    self->rejects++;
    snprintf(self->reject_reason, sizeof self->reject_reason, "%s", reason);
    snprintf(self->reject_column, sizeof self->reject_column, "%s", column ? column : "");
}

leat_batch *feed_probe_decode(feed_probe *self, const leat_raw *raw)
{
    uint32_t row_offsets[1];
    size_t offset = 0;
    leat_batch_unref(self->batch);
    self->batch = leat_batch_get_rows(self->pool, &self->schema, 1);
    probe_target target = {{self->batch, 1, row_offsets, reject}, self};
    assert_int_equal(self->decoder->ops->decode(self->decoder, raw, &offset, &target.target), LEAT_OK);
    assert_int_equal(offset, raw->payload.size);
    return self->batch->count ? self->batch : NULL;
}

leat_batch *feed_probe_row(feed_probe *self, uint32_t record)
{
    pthread_mutex_lock(&self->lock);
    assert_true(record < self->record_count);
    leat_raw raw = self->records[record].raw;
    pthread_mutex_unlock(&self->lock);
    return feed_probe_decode(self, &raw);
}

leat_value feed_probe_value(feed_probe *self, uint32_t record, const char *column)
{
    leat_batch *batch = feed_probe_row(self, record);
    int index = leat_schema_find(&self->schema, leat_slice_text(column));
    assert_non_null(batch);
    assert_true(index >= 0);
    return leat_column_value(&batch->columns[index], 0);
}
