// Bytes of an outbox record (version 1): u8 version, u64 sequence, u8 row kind, u64 id, i64 event ms, varint size and bytes of: name of the
// rule, topic; then the payload up to the end of the record. Little-endian. The generation is in the log's own header.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/delivery_struct.h"
#include "firmware-agent/platform/library.h"
#include "firmware-agent/platform/say.h"
#include "firmware-agent/platform/wait.h"

enum {
    RECORD_VERSION = 1,
    HEAD_MAX = 1 + 8 + 1 + 8 + 8 + 10,
    CROWDED_PART = 8, // of the outbox's bound: results of no checkpoint yet
    HELD_PART = 4,
    DAMAGE_TOLD_MAX = 16, // damaged places that one run tells one by one
};

// ---- control: what the driver sees; any thread

static leat_delivery_line *line_of(const leat_sink_control *control) { return (leat_delivery_line *)control; }

// Under the lock.
static void wake(leat_delivery_line *line)
{
    line->woken = true;
    pthread_cond_signal(&line->news);
}

// Under the lock.
static void trim(leat_delivery_line *line, leat_log *outbox)
{
    leat_log_state state = leat_log_state_get(outbox);
    bool full = state == LEAT_LOG_FULL_DISK || state == LEAT_LOG_FULL_LIMIT;
    bool retained = !full && line->trim_limit < line->cursor.position;
    leat_log_trim(outbox, retained ? line->trim_limit : line->cursor.position);
}

// Under the lock: the results up to the sequence are through.
static void acknowledge(leat_delivery_line *line, uint64_t sequence)
{
    while (line->flight_count > 0) {
        const in_flight *first = &line->flight[line->flight_first];
        if (first->sequence > sequence)
            break;
        line->cursor.sequence = first->sequence;
        line->cursor.position = first->end;
        line->flight_first = (line->flight_first + 1) % line->flight_capacity;
        line->flight_count--;
    }
    trim(line, line->outbox);
}

static void control_acknowledged(leat_sink_control *control, uint64_t sequence, leat_slice token)
{
    leat_delivery_line *line = line_of(control);
    pthread_mutex_lock(&line->lock);
    acknowledge(line, sequence);
    line->tokens += !line->driver && token.size > 0 && line->plan->commit != LEAT_COMMIT_NONE;
    line->cursor.token_size = token.size < LEAT_TOKEN_MAX ? (uint32_t)token.size : LEAT_TOKEN_MAX;
    if (token.size > 0)
        memcpy(line->cursor.token, token.data, line->cursor.token_size);
    wake(line);
    pthread_mutex_unlock(&line->lock);
}

static void control_failed(leat_sink_control *control, const char *reason)
{
    leat_delivery_line *line = line_of(control);
    pthread_mutex_lock(&line->lock);
    line->driver_failed = true;
    snprintf(line->failure, sizeof line->failure, "%s", reason ? reason : "");
    wake(line);
    pthread_mutex_unlock(&line->lock);
}

static void control_refused(leat_sink_control *control, uint64_t sequence, const char *reason)
{
    leat_delivery_line *line = line_of(control);
    leat_say(LEAT_LEVEL_WARNING, "sink '%s': result %llu refused by the receiver: %s", line->plan->name,
             (unsigned long long)sequence, reason ? reason : "");
    leat_ledger_add(line->setup.ledger, line->plan->name, "refused", 1, leat_wall_ms(line->setup.env));
    pthread_mutex_lock(&line->lock);
    line->refused++;
    // It counts as through when those before it are.
    if (line->flight_count > 0 && line->flight[line->flight_first].sequence == sequence)
        acknowledge(line, sequence);
    wake(line);
    pthread_mutex_unlock(&line->lock);
}

void leat_delivery_control_note(leat_sink_control *control, bool connected, const char *text)
{
    leat_delivery_line *line = line_of(control);
    pthread_mutex_lock(&line->lock);
    bool news = !line->noted || line->connected != connected;
    line->noted = true;
    line->connected = connected;
    snprintf(line->note, sizeof line->note, "%s", text ? text : "");
    pthread_mutex_unlock(&line->lock);
    if (news)
        leat_say(connected ? LEAT_LEVEL_INFO : LEAT_LEVEL_WARNING, "sink '%s': %s%s%s", line->plan->name,
                 connected ? "connected" : "not connected", text && *text ? ": " : "", text ? text : "");
}

static void control_count(leat_sink_control *control, const char *counter, uint64_t add)
{
    (void)control, (void)counter, (void)add;
}

static void control_wake(leat_sink_control *control)
{
    leat_delivery_line *line = line_of(control);
    pthread_mutex_lock(&line->lock);
    wake(line);
    pthread_mutex_unlock(&line->lock);
}

static bool control_stopping(const leat_sink_control *control)
{
    leat_delivery_line *line = line_of(control);
    pthread_mutex_lock(&line->lock);
    bool stop = line->stop;
    pthread_mutex_unlock(&line->lock);
    return stop;
}

static const leat_sink_control control_functions = {.acknowledged = control_acknowledged,
                                                    .failed = control_failed,
                                                    .refused = control_refused,
                                                    .note = leat_delivery_control_note,
                                                    .count = control_count,
                                                    .wake = control_wake,
                                                    .stopping = control_stopping};

// ---- outbox

static void outbox_moved(void *context, leat_log *log)
{
    leat_delivery_line *line = context;
    (void)log;
    pthread_mutex_lock(&line->lock);
    if (line->plan->commit == LEAT_COMMIT_NONE)
        wake(line);
    pthread_mutex_unlock(&line->lock);
    line->setup.room(line->setup.context, line->setup.sink);
}

static void outbox_state(void *context, leat_log *log, leat_log_state state, const leat_error *reason)
{
    leat_delivery_line *line = context;
    if (state == LEAT_LOG_POISONED) {
        leat_error error = *reason;
        leat_error_prefix(&error, "outbox of sink '%s'", line->plan->name);
        line->setup.fault(line->setup.context, &error);
    } else if (state == LEAT_LOG_ROOM) {
        leat_say(LEAT_LEVEL_INFO, "sink '%s': the outbox has room again", line->plan->name);
        line->setup.room(line->setup.context, line->setup.sink);
    } else {
        leat_say(LEAT_LEVEL_WARNING, "sink '%s': %s; intake is held back, what is acknowledged is kept",
                 line->plan->name,
                 state == LEAT_LOG_FULL_DISK ? "the disk is full" : "the outbox has reached its bound");
        pthread_mutex_lock(&line->lock);
        trim(line, log); // line->outbox is not there yet when the disk is full at start
        pthread_mutex_unlock(&line->lock);
    }
}

// Results that the receiver may not have are gone.
void leat_delivery_tell_damage(leat_delivery_line *line, leat_log_gap gap)
{
    leat_ledger_add(line->setup.ledger, line->plan->name, "outbox-damage", 1, leat_wall_ms(line->setup.env));
    if (line->damage_told == DAMAGE_TOLD_MAX)
        return;
    line->damage_told++;
    leat_say(LEAT_LEVEL_WARNING, "sink '%s': bytes %llu to %llu of the outbox are damaged: results lost%s",
             line->plan->name, (unsigned long long)gap.from, (unsigned long long)gap.to,
             line->damage_told == DAMAGE_TOLD_MAX ? "; more such places are only counted" : "");
}

// What may not leave yet does not count: the bound is for receivers that are away, and must not stop the checkpoint that lets it leave.
static void count_committed(leat_delivery_line *line)
{
    if (line->plan->commit != LEAT_COMMIT_NONE)
        leat_log_count_until(line->outbox, line->committed);
}

static leat_code open_outbox(leat_delivery_line *line, leat_error *out_error)
{
    leat_log_options options = {.directory = line->directory,
                                .max_bytes = (uint64_t)line->plan->outbox_max_bytes,
                                .headroom_bytes = leat_log_headroom(line->setup.env, line->setup.plan->agent->state),
                                .position_min = line->setup.cut == UINT64_MAX ? 0 : line->setup.cut,
                                .generation_min = (uint32_t)line->setup.generation,
                                .scan_from = line->setup.cursor.position,
                                .on_state = outbox_state,
                                .context = line};
    leat_log_opened *opened = leat_arena_new(&line->arena, leat_log_opened);
    leat_code code = leat_log_open(line->setup.writer, &options, &line->outbox, opened, out_error);
    if (code != LEAT_OK)
        return code;
    uint64_t cut = line->setup.cut == UINT64_MAX ? opened->oldest : line->setup.cut;
    code = leat_log_truncate(line->outbox, cut, out_error);
    if (code != LEAT_OK && code != LEAT_E_NOT_FOUND)
        return code;
    line->committed = line->appended = leat_log_append_end(line->outbox);
    count_committed(line);
    // Behind the cut nothing was promised: a power cut tears what was not synced, and it is made once more.
    for (unsigned i = 0; i < opened->gap_count; i++)
        if (opened->gaps[i].to > line->setup.cursor.position && opened->gaps[i].from < cut)
            leat_delivery_tell_damage(line, opened->gaps[i]);
    leat_log_subscribe(line->outbox, outbox_moved, line);
    uint64_t from = line->setup.cursor.position;
    if (from < leat_log_oldest(line->outbox) || from > line->committed)
        from = leat_log_oldest(line->outbox);
    line->cursor.position = from;
    return leat_log_reader_open(line->outbox, from, &line->reader, out_error);
}

leat_code leat_delivery_result(leat_delivery_line *line, const leat_flow_result *result, leat_error *out_error)
{
    uint8_t head[HEAD_MAX + LEAT_NAME_SIZE + 16];
    uint8_t *cursor = head;
    uint8_t kind = (uint8_t)result->kind;
    size_t rule_size = strnlen(result->rule, LEAT_NAME_SIZE);
    *cursor++ = RECORD_VERSION;
    memcpy(cursor, &result->sequence, 8);
    cursor[8] = kind;
    memcpy(cursor + 9, &result->id, 8);
    memcpy(cursor + 17, &result->event_ms, 8);
    cursor += 25;
    *cursor++ = (uint8_t)rule_size; // below 128: one byte of varint
    memcpy(cursor, result->rule, rule_size);
    cursor += rule_size;
    uint64_t topic_size = result->topic.size;
    for (; topic_size >= 0x80; topic_size >>= 7)
        *cursor++ = (uint8_t)(topic_size | 0x80);
    *cursor++ = (uint8_t)topic_size;
    leat_slice parts[] = {leat_slice_of((char *)head, (size_t)(cursor - head)), result->topic, result->payload};
    uint64_t end = 0;
    leat_code code = leat_log_append(line->outbox, parts, 3, NULL, &end);
    if (code == LEAT_AGAIN || code == LEAT_E_LIMIT || code == LEAT_E_NO_SPACE)
        return LEAT_AGAIN;
    if (code != LEAT_OK)
        return leat_error_set(out_error, code, "outbox of sink '%s' cannot be written", line->plan->name);
    atomic_fetch_add_explicit(&line->results, 1, memory_order_relaxed);
    atomic_store_explicit(&line->last_sequence, result->sequence, memory_order_relaxed);
    atomic_store_explicit(&line->appended, end, memory_order_relaxed);
    return LEAT_OK;
}

bool leat_delivery_parse_record(leat_slice record, leat_delivery *out_delivery, char out_rule[LEAT_NAME_SIZE])
{
    leat_reader reader;
    leat_reader_init(&reader, record.data, record.size);
    if (leat_read_u8(&reader) != RECORD_VERSION)
        return false;
    out_delivery->sequence = leat_read_u64(&reader);
    out_delivery->kind = (leat_row_kind)leat_read_u8(&reader);
    uint64_t id = leat_read_u64(&reader);
    out_delivery->event_ms = (int64_t)leat_read_u64(&reader);
    leat_slice rule = leat_read_sized(&reader);
    out_delivery->topic = leat_read_sized(&reader);
    out_delivery->payload = leat_read_bytes(&reader, leat_reader_left(&reader));
    snprintf(out_delivery->id, sizeof out_delivery->id, "%016llx", (unsigned long long)id);
    snprintf(out_rule, LEAT_NAME_SIZE, "%.*s", (int)rule.size, rule.data ? rule.data : "");
    out_delivery->rule = out_rule;
    return !reader.failed;
}

// ---- life

leat_code leat_delivery_create(const leat_delivery_setup *setup, leat_delivery_line **out_line, leat_error *out_error)
{
    leat_delivery_line *line = leat_env_calloc(setup->env, sizeof *line);
    if (!line)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for a sink");
    line->control = control_functions;
    line->setup = *setup;
    line->plan = &setup->plan->sinks[setup->sink];
    line->cursor = setup->cursor;
    line->highest_sent = setup->cursor.sequence;
    atomic_init(&line->last_sequence, setup->cursor.sequence);
    leat_arena_init(&line->arena, setup->env, 4096);
    leat_arena_init(&line->driver_arena, setup->env, 4096);
    line->directory = leat_arena_format(&line->arena, "%s", setup->directory);
    pthread_mutex_init(&line->lock, NULL);
    leat_wait_init(&line->news);
    leat_code code = leat_delivery_find_ops(line, out_error);
    if (code == LEAT_OK)
        code = leat_delivery_make_header(line, out_error);
    if (code == LEAT_OK)
        code = open_outbox(line, out_error);
    if (code != LEAT_OK) {
        leat_error_prefix(out_error, "sink '%s'", line->plan->name);
        leat_delivery_destroy(line);
        return code;
    }
    *out_line = line;
    return LEAT_OK;
}

leat_code leat_delivery_start(leat_delivery_line *line, leat_error *out_error)
{
    int failed = pthread_create(&line->thread, NULL, leat_delivery_thread, line);
    if (failed)
        return leat_error_errno(out_error, failed, "sink '%s': thread", line->plan->name);
    char name[16];
    snprintf(name, sizeof name, "%.15s", line->plan->name);
    pthread_setname_np(line->thread, name);
    line->running = true;
    return LEAT_OK;
}

void leat_delivery_stop(leat_delivery_line *line)
{
    pthread_mutex_lock(&line->lock);
    line->stop = true;
    pthread_cond_broadcast(&line->news);
    pthread_mutex_unlock(&line->lock);
    if (line->running)
        pthread_join(line->thread, NULL);
    line->running = false;
}

void leat_delivery_destroy(leat_delivery_line *line)
{
    if (!line)
        return;
    leat_delivery_stop(line);
    leat_log_reader_close(line->reader);
    leat_error error;
    if (line->outbox && leat_log_close(line->outbox, &error) != LEAT_OK)
        leat_say_error(LEAT_LEVEL_ERROR, "outbox", &error);
    leat_writer_fini(&line->header);
    leat_env_free(line->setup.env, line->flight, line->flight_capacity * sizeof *line->flight);
    pthread_cond_destroy(&line->news);
    pthread_mutex_destroy(&line->lock);
    leat_env *env = line->setup.env;
    leat_arena_fini(&line->driver_arena);
    leat_arena_fini(&line->arena);
    leat_env_free(env, line, sizeof *line);
}

// ---- checkpoints

static bool uncommitted_exceeds(const leat_delivery_line *line, uint64_t part)
{
    uint64_t appended = atomic_load_explicit(&line->appended, memory_order_relaxed);
    uint64_t committed = atomic_load_explicit(&line->committed, memory_order_relaxed);
    return line->plan->commit != LEAT_COMMIT_NONE && appended > committed &&
           appended - committed > (uint64_t)line->plan->outbox_max_bytes / part;
}

bool leat_delivery_is_crowded(const leat_delivery_line *line) { return uncommitted_exceeds(line, CROWDED_PART); }

bool leat_delivery_wants_hold(const leat_delivery_line *line, bool tight)
{
    if (leat_log_state_get(line->outbox) != LEAT_LOG_ROOM || uncommitted_exceeds(line, HELD_PART))
        return true;
    return tight && leat_log_reserved(line->outbox) < leat_log_segment_bytes(line->outbox);
}

uint64_t leat_delivery_end(const leat_delivery_line *line) { return leat_log_append_end(line->outbox); }

leat_log *leat_delivery_outbox(leat_delivery_line *line) { return line->outbox; }

leat_code leat_delivery_sync(leat_delivery_line *line, uint64_t position, int64_t timeout_ms)
{
    if (leat_log_durable_end(line->outbox) >= position)
        return LEAT_OK;
    leat_log_request_sync(line->outbox, position);
    return leat_log_wait_durable(line->outbox, position, timeout_ms);
}

void leat_delivery_commit(leat_delivery_line *line, uint64_t position, bool written)
{
    pthread_mutex_lock(&line->lock);
    bool news = position > line->committed;
    if (written && line->tokens_kept != line->tokens_taken) {
        line->tokens_kept = line->tokens_taken;
        news = true;
    }
    if (position > line->committed)
        line->committed = position;
    count_committed(line);
    if (news)
        wake(line);
    pthread_mutex_unlock(&line->lock);
}

bool leat_delivery_needs_commit(leat_delivery_line *line)
{
    pthread_mutex_lock(&line->lock);
    bool needs = line->tokens != line->tokens_kept;
    pthread_mutex_unlock(&line->lock);
    return needs;
}

void leat_delivery_cursor(leat_delivery_line *line, leat_cursor *out_cursor)
{
    pthread_mutex_lock(&line->lock);
    *out_cursor = line->cursor;
    line->tokens_taken = line->tokens;
    pthread_mutex_unlock(&line->lock);
}

void leat_delivery_trim(leat_delivery_line *line, uint64_t position)
{
    pthread_mutex_lock(&line->lock);
    line->trim_limit = position;
    trim(line, line->outbox);
    pthread_mutex_unlock(&line->lock);
}

// ---- figures

void leat_delivery_measure(const leat_delivery_line *line, leat_delivery_figures *out_figures)
{
    leat_delivery_line *own = (leat_delivery_line *)line;
    uint64_t end = leat_log_append_end(own->outbox), last = atomic_load(&own->last_sequence);
    pthread_mutex_lock(&own->lock);
    *out_figures = (leat_delivery_figures){.results = atomic_load(&own->results),
                                           .sequence = own->cursor.sequence,
                                           .backlog = last > own->cursor.sequence ? last - own->cursor.sequence : 0,
                                           .backlog_bytes = end - own->cursor.position,
                                           .sent = own->sent,
                                           .resent = own->resent,
                                           .refused = own->refused,
                                           .failures = own->failures,
                                           .connected = own->connected,
                                           .noted = own->noted};
    memcpy(out_figures->note, own->note, sizeof out_figures->note);
    pthread_mutex_unlock(&own->lock);
    leat_log_state state = leat_log_state_get(own->outbox);
    out_figures->full = state == LEAT_LOG_FULL_DISK || state == LEAT_LOG_FULL_LIMIT;
    out_figures->log = leat_log_stats_get(own->outbox);
}

bool leat_delivery_is_done(const leat_delivery_line *line)
{
    leat_delivery_line *own = (leat_delivery_line *)line;
    uint64_t end = leat_log_append_end(own->outbox);
    pthread_mutex_lock(&own->lock);
    bool done = own->cursor.position >= end;
    pthread_mutex_unlock(&own->lock);
    return done;
}
