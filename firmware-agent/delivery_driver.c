// The sink's thread: what is committed goes from the outbox to the driver, which may fail, refuse and take its time.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/delivery_struct.h"
#include "firmware-agent/platform/library.h"
#include "firmware-agent/platform/say.h"
#include "firmware-agent/platform/wait.h"

enum {
    IN_FLIGHT_MAX = 4096, // results handed to the driver and not acknowledged
    IN_FLIGHT_FIRST = 64, // places for them, as many as it takes
    RETRY_MS_MIN = 200,
    RETRY_MS_MAX = 30000,
    NAP_MS = 1000, // a driver that took nothing (LEAT_AGAIN) is asked again after this, if nobody wakes us before
};

// ---- the driver's instance

static const leat_sink_ops *library_ops(const leat_driver_library *library, const char *name)
{
    for (uint32_t i = 0; library->sinks && library->sinks[i]; i++)
        if (strcmp(library->sinks[i]->name, name) == 0)
            return library->sinks[i];
    return NULL;
}

leat_code leat_delivery_find_ops(leat_delivery_line *line, leat_error *out_error)
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

leat_code leat_delivery_make_header(leat_delivery_line *line, leat_error *out_error)
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
    leat_code code = LEAT_OK;
    while (!line->has_kept) {
        if (leat_delivery_needs_commit(line))
            return LEAT_AGAIN; // the commit wakes us
        if (leat_log_reader_position(line->reader) >= may_leave(line)) {
            pass_damage(line);
            return LEAT_AGAIN;
        }
        uint64_t position;
        leat_log_gap gap;
        code = leat_log_reader_next(line->reader, &line->kept, &position, &gap, out_error);
        if (code == LEAT_E_CORRUPT)
            leat_delivery_tell_damage(line, gap);
        else if (code != LEAT_OK)
            return code;
        else
            line->has_kept = true;
        line->kept_end = leat_log_reader_position(line->reader);
    }
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
    if (!leat_delivery_parse_record(line->kept, &delivery, rule)) {
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

void *leat_delivery_thread(void *argument)
{
    leat_delivery_line *line = argument;
    int64_t retry_ms = RETRY_MS_MIN;
    for (;;) {
        leat_error error = {0};
        bool failed = run_once(line, &retry_ms, &error);
        close_driver(line);
        if (!failed)
            return NULL;
        leat_delivery_control_note(&line->control, false, error.message);
        if (!pause_after_failure(line, &retry_ms, error.message))
            return NULL;
    }
}
