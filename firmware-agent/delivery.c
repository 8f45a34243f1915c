// Bytes of an outbox record (version 1): u8 version, u64 sequence, u8 row kind, u64 id, i64 event ms, varint size and bytes of: name of the
// rule, topic; then the payload up to the end of the record. Little-endian. The generation is in the log's own header.
#include "firmware-agent/delivery.h"

#include <stdio.h>
#include <string.h>

#include "firmware-agent/platform/library.h"
#include "firmware-agent/platform/say.h"
#include "firmware-agent/platform/wait.h"

enum {
    RECORD_VERSION = 1,
    HEAD_MAX = 1 + 8 + 1 + 8 + 8 + 10,
    IN_FLIGHT_MAX = 4096, // results handed to the driver and not acknowledged
    IN_FLIGHT_FIRST = 64, // places for them, as many as it takes
    RETRY_MS_MIN = 200,
    RETRY_MS_MAX = 30000,
    NAP_MS = 1000,    // a driver that took nothing (LEAT_AGAIN) is asked again after this, if nobody wakes us before
    CROWDED_PART = 8, // of the outbox's bound: results of no checkpoint yet
    HELD_PART = 4,
};

typedef struct in_flight {
    uint64_t sequence, end; // end: of its record in the outbox
} in_flight;

struct leat_delivery_line {
    leat_sink_control control; // first: drivers get it
    leat_delivery_setup setup;
    const leat_plan_sink *plan;
    const char *directory;
    leat_arena arena;        // the agent's lifetime
    leat_arena driver_arena; // one driver instance
    leat_log *outbox;
    const leat_sink_ops *ops;
    leat_sink_setup sink_setup;
    leat_sink *driver; // open now, or NULL
    leat_log_reader *reader;
    leat_writer header;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t news;
    // -- under the lock
    bool stop, woken, driver_failed;
    char failure[160];
    _Atomic uint64_t committed; // may leave; also read without the lock
    leat_cursor cursor;
    uint64_t tokens, tokens_taken,
        tokens_kept;   // tokens that drivers gave at open; of these in the last cursor given out, and in a checkpoint
    in_flight *flight; // a ring
    uint32_t flight_first, flight_count, flight_capacity;
    uint64_t trim_limit;
    uint64_t sent, resent, refused, failures, highest_sent;
    bool connected, noted;
    char note[160];
    // -- the sink's task
    _Atomic uint64_t results, last_sequence;
    _Atomic uint64_t appended; // position behind the last result
    leat_slice kept;           // a record that the driver did not take yet; borrowed from the reader
    uint64_t kept_end;
    bool has_kept;
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

static void control_note(leat_sink_control *control, bool connected, const char *text)
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
                                                    .note = control_note,
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
static void tell_damage(leat_delivery_line *line, leat_log_gap gap)
{
    leat_ledger_add(line->setup.ledger, line->plan->name, "outbox-damage", 1, leat_wall_ms(line->setup.env));
    leat_say(LEAT_LEVEL_WARNING, "sink '%s': bytes %llu to %llu of the outbox are damaged: results lost",
             line->plan->name, (unsigned long long)gap.from, (unsigned long long)gap.to);
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
    for (unsigned i = 0; i < opened->gap_count; i++)
        if (opened->gaps[i].to > line->setup.cursor.position)
            tell_damage(line, opened->gaps[i]);
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

static bool parse_record(leat_slice record, leat_delivery *out_delivery, char out_rule[LEAT_NAME_SIZE])
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

// ---- the driver's instance

static const leat_sink_ops *library_ops(const leat_driver_library *library, const char *name)
{
    for (uint32_t i = 0; library->sinks && library->sinks[i]; i++)
        if (strcmp(library->sinks[i]->name, name) == 0)
            return library->sinks[i];
    return NULL;
}

static leat_code find_ops(leat_delivery_line *line, leat_error *out_error)
{
    const leat_sink_description *driver = line->plan->driver;
    line->ops = leat_sink_find(driver->name);
    if (!line->ops && driver->library) {
        const void *symbol;
        leat_code code =
            leat_library_driver(line->setup.env, driver->library, "leat_driver_library_entry", &symbol, out_error);
        if (code != LEAT_OK)
            return code;
        line->ops = library_ops(symbol, driver->name);
    }
    if (!line->ops)
        return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "driver '%s' is not built in", driver->name);
    if (line->ops->abi != LEAT_DRIVER_ABI || line->ops->size != sizeof *line->ops)
        return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "driver '%s' was built for another release of leat",
                              driver->name);
    return LEAT_OK;
}

static leat_code make_header(leat_delivery_line *line, leat_error *out_error)
{
    leat_writer_init(&line->header, line->setup.env, 65536);
    if (!line->plan->format || line->plan->input_count == 0)
        return LEAT_OK;
    const leat_format_ops *ops = leat_format_find(line->plan->format->name);
    leat_format_setup setup = {.env = line->setup.env,
                               .arena = &line->arena,
                               .settings = line->plan->format_settings,
                               .schema = line->plan->inputs[0].schema,
                               .changelog_field = line->plan->changelog_field};
    if (!ops || !ops->encode_header)
        return LEAT_OK;
    leat_format *format = leat_arena_calloc(&line->arena, ops->instance_size);
    format->ops = ops;
    format->setup = &setup;
    leat_code code = ops->open(format, &setup, out_error);
    if (code != LEAT_OK)
        return code;
    ops->encode_header(format, &line->header);
    if (ops->close)
        ops->close(format);
    return LEAT_OK;
}

static leat_code open_driver(leat_delivery_line *line, leat_error *out_error)
{
    pthread_mutex_lock(&line->lock);
    leat_cursor cursor = line->cursor;
    line->flight_count = 0;
    line->driver_failed = false;
    pthread_mutex_unlock(&line->lock);
    leat_arena_reset(&line->driver_arena);
    uint8_t *token = leat_arena_calloc(&line->driver_arena, LEAT_TOKEN_MAX);
    memcpy(token, cursor.token, cursor.token_size);
    line->sink_setup = (leat_sink_setup){.env = line->setup.env,
                                         .arena = &line->driver_arena,
                                         .name = line->plan->name,
                                         .agent_name = line->setup.plan->agent->name,
                                         .settings = line->plan->settings,
                                         .control = &line->control,
                                         .token = leat_slice_of((char *)token, cursor.token_size),
                                         .acknowledged = cursor.sequence,
                                         .format_name = line->plan->format ? line->plan->format->name : "",
                                         .header = leat_writer_slice(&line->header),
                                         .bounded_run = line->setup.plan->bounded};
    leat_sink *driver = leat_arena_calloc(&line->driver_arena, line->ops->instance_size);
    driver->ops = line->ops;
    driver->setup = &line->sink_setup;
    leat_code code = line->ops->open(driver, &line->sink_setup, out_error);
    if (code == LEAT_OK)
        code = leat_log_reader_seek(line->reader, cursor.position, out_error);
    line->has_kept = false;
    if (code == LEAT_OK)
        line->driver = driver;
    return code;
}

static void close_driver(leat_delivery_line *line)
{
    if (line->driver)
        line->driver->ops->close(line->driver);
    line->driver = NULL;
}

// ---- the sink's thread

// Waits until somebody wakes us or the time is over. False: stop.
static bool rest(leat_delivery_line *line, int64_t ms)
{
    pthread_mutex_lock(&line->lock);
    if (!line->stop && !line->woken)
        leat_wait(&line->news, &line->lock, ms);
    line->woken = false;
    bool stop = line->stop;
    pthread_mutex_unlock(&line->lock);
    return !stop;
}

static bool pause_after_failure(leat_delivery_line *line, int64_t *retry_ms, const char *reason)
{
    pthread_mutex_lock(&line->lock);
    line->failures++;
    int64_t until_ms = leat_boot_ms(line->setup.env) + *retry_ms, left_ms = *retry_ms;
    while (!line->stop && left_ms > 0) {
        leat_wait(&line->news, &line->lock, left_ms);
        left_ms = until_ms - leat_boot_ms(line->setup.env);
    }
    bool stop = line->stop;
    pthread_mutex_unlock(&line->lock);
    leat_say(LEAT_LEVEL_DEBUG, "sink '%s': %s; tried again", line->plan->name, reason);
    *retry_ms = *retry_ms * 2 < RETRY_MS_MAX ? *retry_ms * 2 : RETRY_MS_MAX;
    return !stop;
}

static uint64_t may_leave(leat_delivery_line *line)
{
    if (line->plan->commit == LEAT_COMMIT_NONE)
        return leat_log_written_end(line->outbox);
    pthread_mutex_lock(&line->lock);
    uint64_t committed = line->committed;
    pthread_mutex_unlock(&line->lock);
    return committed;
}

// Everything that may leave was given out and answered: what the cursor has not passed yet is damage.
static void pass_damage(leat_delivery_line *line)
{
    uint64_t position = leat_log_reader_position(line->reader);
    pthread_mutex_lock(&line->lock);
    if (line->flight_count == 0 && line->cursor.position < position)
        line->cursor.position = position;
    pthread_mutex_unlock(&line->lock);
}

// The next record that may leave into `kept`. LEAT_AGAIN: none.
static leat_code next_record(leat_delivery_line *line, leat_error *out_error)
{
    if (line->has_kept)
        return LEAT_OK;
    if (leat_delivery_needs_commit(line))
        return LEAT_AGAIN; // the commit wakes us
    if (leat_log_reader_position(line->reader) >= may_leave(line)) {
        pass_damage(line);
        return LEAT_AGAIN;
    }
    uint64_t position;
    leat_log_gap gap;
    leat_code code = leat_log_reader_next(line->reader, &line->kept, &position, &gap, out_error);
    if (code == LEAT_E_CORRUPT) {
        tell_damage(line, gap);
        return next_record(line, out_error);
    }
    if (code != LEAT_OK)
        return code;
    line->kept_end = leat_log_reader_position(line->reader);
    line->has_kept = true;
    return LEAT_OK;
}

// Under the lock. Without memory the driver waits for what it has.
static bool more_flights(leat_delivery_line *line)
{
    uint32_t capacity = line->flight_capacity ? line->flight_capacity * 2 : IN_FLIGHT_FIRST;
    in_flight *grown =
        capacity > IN_FLIGHT_MAX ? NULL : leat_env_alloc(line->setup.env, capacity * sizeof *line->flight);
    if (!grown)
        return false;
    LEAT_ASSERT(line->flight_capacity || !line->flight_count);
    for (uint32_t i = 0; i < line->flight_count; i++)
        grown[i] = line->flight[(line->flight_first + i) % line->flight_capacity];
    leat_env_free(line->setup.env, line->flight, line->flight_capacity * sizeof *line->flight);
    line->flight = grown;
    line->flight_first = 0;
    line->flight_capacity = capacity;
    return true;
}

static bool note_flight(leat_delivery_line *line, uint64_t sequence)
{
    pthread_mutex_lock(&line->lock);
    bool room = line->flight_count < line->flight_capacity || more_flights(line);
    if (room) {
        uint32_t place = (line->flight_first + line->flight_count++) % line->flight_capacity;
        line->flight[place] = (in_flight){sequence, line->kept_end};
    }
    pthread_mutex_unlock(&line->lock);
    return room;
}

// The driver did not take it after all.
static void forget_flight(leat_delivery_line *line, uint64_t sequence)
{
    pthread_mutex_lock(&line->lock);
    if (line->flight_count > 0) {
        uint32_t last = (line->flight_first + line->flight_count - 1) % line->flight_capacity;
        line->flight_count -= line->flight[last].sequence == sequence;
    }
    pthread_mutex_unlock(&line->lock);
}

static void count_sent(leat_delivery_line *line, uint64_t sequence)
{
    pthread_mutex_lock(&line->lock);
    line->sent++;
    line->resent += sequence <= line->highest_sent;
    line->highest_sent = sequence > line->highest_sent ? sequence : line->highest_sent;
    pthread_mutex_unlock(&line->lock);
}

static leat_code send_kept(leat_delivery_line *line, leat_error *out_error)
{
    leat_delivery delivery = {.generation = leat_log_generation(line->outbox)};
    char rule[LEAT_NAME_SIZE];
    if (!parse_record(line->kept, &delivery, rule)) {
        leat_ledger_add(line->setup.ledger, line->plan->name, "outbox-damage", 1, leat_wall_ms(line->setup.env));
        line->has_kept = false;
        return LEAT_OK;
    }
    if (!note_flight(line, delivery.sequence))
        return LEAT_AGAIN;
    leat_code code = line->driver->ops->send(line->driver, &delivery, out_error);
    if (code != LEAT_OK) {
        forget_flight(line, delivery.sequence);
        return code;
    }
    line->has_kept = false;
    count_sent(line, delivery.sequence);
    return LEAT_OK;
}

// Sends what may leave. LEAT_AGAIN: nothing more now, or the driver takes no more. out_again: it wants to be asked again (it is not connected, say).
static leat_code send_all(leat_delivery_line *line, bool *out_progress, bool *out_again, leat_error *out_error)
{
    leat_code code;
    while ((code = next_record(line, out_error)) == LEAT_OK) {
        code = send_kept(line, out_error);
        if (code != LEAT_OK)
            break;
        *out_progress = true;
        pthread_mutex_lock(&line->lock);
        bool leave = line->stop || line->driver_failed;
        pthread_mutex_unlock(&line->lock);
        if (leave)
            return LEAT_AGAIN;
    }
    if (code == LEAT_AGAIN && line->driver->ops->flush) {
        code = line->driver->ops->flush(line->driver, out_error);
        *out_again = code == LEAT_AGAIN;
    }
    return code == LEAT_OK ? LEAT_AGAIN : code;
}

static bool has_failed(leat_delivery_line *line, leat_error *out_error)
{
    pthread_mutex_lock(&line->lock);
    bool failed = line->driver_failed;
    if (failed)
        leat_error_set(out_error, LEAT_E_CLOSED, "%s", line->failure);
    pthread_mutex_unlock(&line->lock);
    return failed;
}

// One life of the driver: until it fails (true) or the line stops (false).
static bool run_once(leat_delivery_line *line, int64_t *retry_ms, leat_error *out_error)
{
    if (open_driver(line, out_error) != LEAT_OK)
        return true;
    if (leat_delivery_needs_commit(line))
        line->setup.checkpoint(line->setup.context);
    for (;;) {
        bool progress = false, again = false;
        leat_code code = send_all(line, &progress, &again, out_error);
        if (progress)
            *retry_ms = RETRY_MS_MIN;
        if (code != LEAT_AGAIN || has_failed(line, out_error))
            return true;
        // What was kept waits for the driver's window; otherwise only news can bring something.
        if (!rest(line, line->has_kept || again ? NAP_MS : -1))
            return false;
    }
}

static void *deliver(void *argument)
{
    leat_delivery_line *line = argument;
    int64_t retry_ms = RETRY_MS_MIN;
    for (;;) {
        leat_error error = {0};
        bool failed = run_once(line, &retry_ms, &error);
        close_driver(line);
        if (!failed)
            return NULL;
        control_note(&line->control, false, error.message);
        if (!pause_after_failure(line, &retry_ms, error.message))
            return NULL;
    }
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
    leat_code code = find_ops(line, out_error);
    if (code == LEAT_OK)
        code = make_header(line, out_error);
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
    int failed = pthread_create(&line->thread, NULL, deliver, line);
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
