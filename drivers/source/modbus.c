// Modbus devices, polled: one connection or bus, one or more units, one journal record a unit and poll (modbus_codec.h).
//
// A unit that does not answer is left alone for 1 s, then 2, up to 60, and asked again behind the others and one at a time: it costs
// them one timeout a try. It gives a row of quality 'bad' when it stops answering and at each try, and when it answers again
// the time between becomes a gap. A block that the device refuses (exceptions 2 and 3) is split until the refused field
// stands alone; that is remembered while the agent runs.
#include <stdio.h>
#include <string.h>

#include "drivers/bus/modbus_codec.h"
#include "drivers/bus/modbus_link.h"
#include "drivers/source/poll.h"

typedef struct modbus_unit {
    uint8_t id;
    leat_modbus_plan plan;
    leat_outage outage; // its cause is set while the unit counts as bad
    bool by_link;       // bad because the link was down: asked as soon as that is back
    int64_t backoff_ms, retry_ns;
} modbus_unit;

typedef struct modbus_source {
    leat_source source;
    const leat_modbus_settings *settings;
    leat_env *env;
    leat_intake *intake;
    leat_modbus_url url;
    leat_modbus_point *points; // as the fields
    // -- reader
    modbus_unit *units;
    uint32_t unit_count;
    leat_modbus_link link;
    int64_t link_backoff_ms, link_retry_ns;
    bool link_tried;  // during this poll, in vain
    bool is_noted;    // as connected
    leat_outage shed; // readings that the journal had no room for
    uint8_t *record;
    size_t record_capacity;
    // -- decoder
    leat_modbus_record *parsed;
    uint32_t *hints;
    int unit_column, quality_column; // -1: not in the schema
} modbus_source;

// ---- open

// A record holds each block once: never more than what all points would need one by one plus the gaps that were joined.
static size_t record_size(const modbus_source *self, const leat_modbus_plan *plan)
{
    size_t size = LEAT_MODBUS_RECORD_HEAD;
    for (uint32_t i = 0; i < plan->block_count; i++)
        size += leat_modbus_bytes(plan->blocks[i].kind, plan->blocks[i].count);
    for (uint32_t i = 0; i < self->source.setup->field_count; i++)
        size += LEAT_MODBUS_BLOCK_HEAD + leat_modbus_bytes(self->points[i].kind, self->points[i].count);
    return size;
}

static void open_reader(modbus_source *self, const leat_source_setup *setup)
{
    const leat_integer_list *units = &self->settings->units;
    self->unit_count = units->count;
    self->units = leat_arena_array(setup->arena, modbus_unit, units->count);
    for (uint32_t i = 0; i < units->count; i++) {
        self->units[i].id = (uint8_t)units->items[i];
        leat_modbus_plan_make(&self->units[i].plan, self->points, setup->field_count, self->settings, setup->arena);
    }
    self->record_capacity = record_size(self, &self->units[0].plan);
    self->record = leat_arena_alloc(setup->arena, self->record_capacity);
    leat_modbus_link_init(&self->link, self->env, self->intake, &self->url, self->settings);
}

static void open_decoder(modbus_source *self, const leat_source_setup *setup)
{
    self->parsed = leat_arena_new(setup->arena, leat_modbus_record);
    self->hints = leat_arena_array(setup->arena, uint32_t, setup->field_count + 1);
    self->unit_column = self->quality_column = -1;
    int column = (int)setup->field_count;
    for (uint32_t bit = LEAT_IMPLICIT_SOURCE; bit <= LEAT_IMPLICIT_QUALITY; bit <<= 1) {
        if (!(setup->implicit & bit))
            continue;
        self->unit_column = bit == LEAT_IMPLICIT_UNIT ? column : self->unit_column;
        self->quality_column = bit == LEAT_IMPLICIT_QUALITY ? column : self->quality_column;
        column++;
    }
}

static leat_code modbus_open(leat_source *source, const leat_source_setup *setup, leat_error *out_error)
{
    modbus_source *self = (modbus_source *)source;
    self->settings = setup->settings;
    self->env = setup->env;
    self->intake = setup->intake;
    leat_code code = leat_modbus_url_parse(self->settings->url, &self->url, out_error);
    if (code != LEAT_OK)
        return code;
    self->points = leat_arena_array(setup->arena, leat_modbus_point, setup->field_count + 1);
    for (uint32_t i = 0; i < setup->field_count; i++)
        self->points[i] = leat_modbus_point_of(setup->fields[i].settings);
    if (setup->is_decoder)
        open_decoder(self, setup);
    else
        open_reader(self, setup);
    return LEAT_OK;
}

static void modbus_close_source(leat_source *source)
{
    modbus_source *self = (modbus_source *)source;
    if (self->link.context)
        leat_modbus_link_close(&self->link);
}

// ---- records

// True when the journal took it.
static bool append(modbus_source *self, size_t size)
{
    leat_raw raw = {
        .arrival_ms = leat_wall_ms(self->env), .tag = 1, .payload = leat_slice_of((char *)self->record, size)};
    uint64_t position;
    leat_code code = self->intake->append(self->intake, &raw, &position);
    if (code == LEAT_OK)
        return true;
    leat_outage_add(&self->shed, self->env, "journal-full", 1);
    self->intake->count(self->intake, "readings shed", 1);
    return false;
}

static void append_bad(modbus_source *self, const modbus_unit *unit, uint8_t reason)
{
    append(self, leat_modbus_record_begin(self->record, unit->id, true, reason));
    self->intake->count(self->intake, "bad readings", 1);
}

// ---- state of units and link

static void note_state(modbus_source *self, const modbus_unit *unit, const char *text)
{
    char note[160];
    uint32_t bad = 0;
    for (uint32_t i = 0; i < self->unit_count; i++)
        bad += self->units[i].outage.cause != NULL;
    if (!text)
        snprintf(note, sizeof note, "%u of %u units answer", self->unit_count - bad, self->unit_count);
    else
        snprintf(note, sizeof note, "unit %u: %s", unit->id, text);
    self->intake->note(self->intake, bad < self->unit_count, note);
}

static void unit_missed(modbus_source *self, modbus_unit *unit, const char *cause)
{
    leat_outage_add(&unit->outage, self->env, cause, 1);
}

// No answer: it rests, and is asked again behind the others.
static void unit_failed(modbus_source *self, modbus_unit *unit, uint8_t reason, const char *text)
{
    unit_missed(self, unit, "no-answer");
    unit->by_link = false;
    unit->backoff_ms = leat_poll_backoff(unit->backoff_ms);
    unit->retry_ns = leat_boot_ns(self->env) + unit->backoff_ms * 1000000;
    append_bad(self, unit, reason);
    note_state(self, unit, text);
}

static void unit_answered(modbus_source *self, modbus_unit *unit)
{
    bool news = unit->outage.cause || !self->is_noted;
    leat_outage_end(&unit->outage, self->env, self->intake);
    unit->by_link = false;
    unit->backoff_ms = 0;
    if (news)
        note_state(self, unit, NULL);
    self->is_noted = true;
}

static void unit_without_link(modbus_source *self, modbus_unit *unit)
{
    bool news = !unit->outage.cause;
    unit_missed(self, unit, "link-down");
    unit->by_link = true;
    if (news || self->link_tried)
        append_bad(self, unit, LEAT_MODBUS_LINK);
}

static void link_failed(modbus_source *self, const char *text)
{
    leat_modbus_link_close(&self->link);
    self->link_backoff_ms = leat_poll_backoff(self->link_backoff_ms);
    self->link_retry_ns = leat_boot_ns(self->env) + self->link_backoff_ms * 1000000;
    self->link_tried = true;
    self->is_noted = false;
    self->intake->note(self->intake, false, text);
}

static bool link_is_up(modbus_source *self)
{
    leat_error error = {0};
    if (self->link.context)
        return true;
    if (leat_boot_ns(self->env) < self->link_retry_ns || self->intake->stopping(self->intake))
        return false;
    self->intake->count(self->intake, "connects", 1);
    if (leat_modbus_link_open(&self->link, &error) == LEAT_OK)
        return true;
    link_failed(self, error.message);
    return false;
}

// ---- reading

static void count_result(modbus_source *self, leat_modbus_result result)
{
    static const char *const counters[] = {"requests", "exceptions",      "timeouts",
                                           "timeouts", "damaged answers", "link failures"};
    self->intake->count(self->intake, "requests", 1);
    if (result.outcome != LEAT_MODBUS_READ)
        self->intake->count(self->intake, counters[result.outcome], 1);
}

// Reads one block behind *size of the record; a refused one is split as often as it takes.
static leat_modbus_result read_block(modbus_source *self, modbus_unit *unit, uint32_t index, size_t *size)
{
    for (;;) {
        const leat_modbus_block *block = &unit->plan.blocks[index];
        LEAT_ASSERT(*size + LEAT_MODBUS_BLOCK_HEAD + leat_modbus_bytes(block->kind, block->count) <=
                    self->record_capacity);
        uint8_t *bytes = self->record + *size;
        leat_modbus_result result = leat_modbus_link_read(&self->link, unit->id, block->kind, block->address,
                                                          block->count, bytes + LEAT_MODBUS_BLOCK_HEAD);
        count_result(self, result);
        if (result.outcome == LEAT_MODBUS_READ)
            *size += leat_modbus_block_begin(bytes, block->kind, block->address, block->count) +
                     leat_modbus_bytes(block->kind, block->count);
        bool refused =
            result.outcome == LEAT_MODBUS_EXCEPTION && (result.exception == MODBUS_EXCEPTION_ILLEGAL_DATA_ADDRESS ||
                                                        result.exception == MODBUS_EXCEPTION_ILLEGAL_DATA_VALUE);
        if (!refused || !leat_modbus_plan_split(&unit->plan, index))
            return result;
        self->intake->count(self->intake, "splits", 1);
    }
}

// Reads all blocks; a refused block leaves its fields out, any other failure ends it.
static leat_modbus_result read_unit(modbus_source *self, modbus_unit *unit, size_t *out_size, uint8_t *out_exception)
{
    *out_size = leat_modbus_record_begin(self->record, unit->id, false, LEAT_MODBUS_NONE);
    *out_exception = 0;
    for (uint32_t i = 0; i < unit->plan.block_count; i++) {
        leat_modbus_result result = read_block(self, unit, i, out_size);
        if (result.outcome > LEAT_MODBUS_EXCEPTION)
            return result;
        if (result.outcome == LEAT_MODBUS_EXCEPTION)
            *out_exception = result.exception;
    }
    return (leat_modbus_result){0};
}

// Worth another try at once: a peer that had closed an idle connection, or a late answer of another unit on the bus.
static bool is_worth_again(const modbus_source *self, leat_modbus_result result)
{
    return result.outcome == LEAT_MODBUS_NOISE || (result.outcome == LEAT_MODBUS_BROKEN && self->link.is_answered);
}

static void unit_read(modbus_source *self, modbus_unit *unit, size_t size, uint8_t exception)
{
    if (exception) {
        leat_modbus_record_begin(self->record, unit->id, true, exception);
        self->intake->count(self->intake, "bad readings", 1);
    }
    append(self, size);
    self->link_backoff_ms = 0;
    self->intake->count(self->intake, "readings", 1);
    unit_answered(self, unit);
}

static void read_failed(modbus_source *self, modbus_unit *unit, leat_modbus_result result)
{
    const char *text = leat_modbus_result_text(result);
    if (result.outcome == LEAT_MODBUS_BROKEN) {
        link_failed(self, text);
        unit_without_link(self, unit);
        return;
    }
    // The transaction is lost, and with it the connection; the next unit gets a new one at once.
    if (!self->url.serial && result.outcome != LEAT_MODBUS_ABSENT)
        leat_modbus_link_close(&self->link);
    unit_failed(self, unit, result.outcome == LEAT_MODBUS_NOISE ? LEAT_MODBUS_GARBLED : LEAT_MODBUS_NO_ANSWER, text);
}

static void poll_unit(modbus_source *self, modbus_unit *unit)
{
    size_t size;
    uint8_t exception;
    for (int tries = 0;; tries++) {
        if (!link_is_up(self)) {
            unit_without_link(self, unit);
            return;
        }
        leat_modbus_result result = read_unit(self, unit, &size, &exception);
        if (result.outcome == LEAT_MODBUS_READ) {
            unit_read(self, unit, size, exception);
            return;
        }
        if (self->intake->stopping(self->intake))
            return;
        if (tries > 0 || !is_worth_again(self, result)) {
            read_failed(self, unit, result);
            return;
        }
        if (!self->url.serial || result.outcome == LEAT_MODBUS_BROKEN)
            leat_modbus_link_close(&self->link);
    }
}

// ---- polls

static bool rests(const modbus_unit *unit) { return unit->outage.cause && !unit->by_link; }

static modbus_unit *longest_due(modbus_source *self)
{
    modbus_unit *due = NULL;
    int64_t now_ns = leat_boot_ns(self->env);
    for (uint32_t i = 0; i < self->unit_count; i++)
        if (rests(&self->units[i]) && self->units[i].retry_ns <= now_ns &&
            (!due || self->units[i].retry_ns < due->retry_ns))
            due = &self->units[i];
    return due;
}

static void poll_all(modbus_source *self)
{
    modbus_unit *due = longest_due(self);
    self->link_tried = false;
    for (uint32_t i = 0; i < self->unit_count && !self->intake->stopping(self->intake); i++) {
        modbus_unit *unit = &self->units[i];
        if (!rests(unit))
            poll_unit(self, unit);
        else if (unit != due)
            unit_missed(self, unit, "no-answer");
    }
    // A unit that began to rest just now has had its turn.
    if (due && !self->intake->stopping(self->intake))
        poll_unit(self, due);
}

static void poll_or_shed(modbus_source *self)
{
    if (self->intake->held(self->intake)) {
        leat_outage_add(&self->shed, self->env, "journal-full", self->unit_count);
        self->intake->count(self->intake, "readings shed", self->unit_count);
        return;
    }
    uint64_t before = self->shed.missed;
    poll_all(self);
    if (self->shed.missed == before)
        leat_outage_end(&self->shed, self->env, self->intake);
}

static leat_code modbus_run(leat_source *source, leat_error *out_error)
{
    modbus_source *self = (modbus_source *)source;
    (void)out_error;
    leat_poll_beat beat = {self->settings->poll_ms * 1000000, leat_boot_ns(self->env)};
    beat.next_ns += beat.period_ns;
    leat_code code = leat_poll_downtime(self->env, self->intake, self->settings->poll_ms, self->unit_count);
    if (code != LEAT_OK)
        return leat_error_set(out_error, code, "the journal cannot be read");
    uint64_t late;
    do {
        poll_or_shed(self);
        bool stopping = leat_poll_wait(&beat, self->env, self->intake, &late);
        if (late)
            self->intake->count(self->intake, "late polls", late);
        if (stopping)
            break;
    } while (!self->intake->stopping(self->intake));
    for (uint32_t i = 0; i < self->unit_count; i++)
        leat_outage_end(&self->units[i].outage, self->env, self->intake);
    leat_outage_end(&self->shed, self->env, self->intake);
    leat_modbus_link_close(&self->link);
    return LEAT_OK;
}

static void modbus_stop(leat_source *source) { (void)source; } // run asks the intake

// ---- decode

// The column's index that the value did not fit, -1: all fit.
static int set_fields(modbus_source *self, leat_batch *batch, uint32_t row, const char **out_reason)
{
    for (uint32_t i = 0; i < self->source.setup->field_count; i++) {
        *out_reason = leat_modbus_value_set(&self->points[i], self->parsed, &self->hints[i], &batch->columns[i], row,
                                            &batch->arena);
        if (*out_reason)
            return (int)i;
    }
    return -1;
}

static leat_code modbus_decode(leat_source *source, const leat_raw *raw, size_t *offset, leat_decode_target *target)
{
    modbus_source *self = (modbus_source *)source;
    leat_batch *batch = target->batch;
    if (batch->count >= target->capacity)
        return LEAT_OK;
    *offset = raw->payload.size;
    if (!leat_modbus_record_parse(raw->payload, self->parsed)) {
        target->reject(target, LEAT_DROP_UNDECODABLE, raw->payload, 0, NULL, "no Modbus record of this release");
        return LEAT_OK;
    }
    uint32_t row = batch->count;
    const char *reason = NULL;
    int misfit = set_fields(self, batch, row, &reason);
    if (misfit >= 0) {
        char name[LEAT_NAME_SIZE];
        leat_slice column = source->setup->fields[misfit].name;
        snprintf(name, sizeof name, "%.*s", (int)column.size, column.data);
        target->reject(target, LEAT_DROP_MISFIT, raw->payload, 0, name, reason);
        return LEAT_OK;
    }
    if (self->unit_column >= 0)
        batch->columns[self->unit_column].i64[row] = self->parsed->unit;
    if (self->quality_column >= 0)
        batch->columns[self->quality_column].text[row] = leat_slice_text(self->parsed->bad ? "bad" : "good");
    if (target->row_offsets)
        target->row_offsets[row] = 0;
    batch->count++;
    return LEAT_OK;
}

extern const leat_source_ops leat_source_modbus_ops;
const leat_source_ops leat_source_modbus_ops = {
    .abi = LEAT_DRIVER_ABI,
    .size = sizeof(leat_source_ops),
    .name = "modbus",
    .instance_size = sizeof(modbus_source),
    .open = modbus_open,
    .close = modbus_close_source,
    .run = modbus_run,
    .stop = modbus_stop,
    .decode = modbus_decode,
};
