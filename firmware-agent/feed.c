// Bytes of a journal record (version 1): u8 version, u64 hash of the source's name, u8 tag, u8 flags, u32 key, i64 arrival ms,
// varint size and bytes of the topic, then the payload up to the end of the record. Little-endian. The log's header guards it with a CRC.
#include "firmware-agent/feed.h"

#include <stdio.h>
#include <string.h>

#include "firmware-agent/platform/library.h"
#include "firmware-agent/platform/say.h"
#include "firmware-agent/platform/wait.h"
#include "operators/base/hash.h"

enum {
    RECORD_VERSION = 1,
    RECORD_HEAD = 1 + 8 + 1 + 1 + 4 + 8,
    RESTART_MS_MIN = 1000,
    RESTART_MS_MAX = 60000,
    HELD_ROOM = 2 * LEAT_PAYLOAD_BYTES_MAX, // below it the source stops reading; room for what is in flight stays
    POSITION_MAX = 512,
    ROOM_POLL_MS = 100,
    REASONS_TOLD = 3, // in the log, of one interruption; the status has the last one
};

struct leat_feed {
    leat_intake intake; // first: drivers get it
    leat_feed_setup setup;
    const leat_plan_source *plan;
    leat_arena arena;
    leat_source_setup reader_setup, decoder_setup;
    leat_source *reader, *decoder;
    uint64_t name_hash;
    leat_drops drops;
    // -- push
    pthread_t thread;
    bool running;
    leat_log_reader *journal;
    _Atomic bool stop;
    pthread_mutex_t lock; // of note, counters and the sleep
    pthread_cond_t stopped;
    char note[160];
    bool connected, noted;
    uint32_t reasons_told; // since it was connected last
    uint32_t counter_count;
    leat_feed_counter counters[24];
    _Atomic uint64_t arrivals;
    // One journal serves all sources, most of whose records are others'. In this order when appending: appending, the record, newest, appending.
    _Atomic uint32_t appending;
    _Atomic uint64_t newest; // end of the last record of this source
    uint64_t told;           // end of the journal when its task was woken last
    _Atomic bool held;
    uint8_t position[POSITION_MAX];
};

// ---- intake: what the driver sees

static leat_feed *feed_of(const leat_intake *intake) { return (leat_feed *)intake; }

// Of several threads.
static void note_newest(leat_feed *feed, uint64_t end)
{
    uint64_t before = atomic_load(&feed->newest);
    while (before < end && !atomic_compare_exchange_weak(&feed->newest, &before, end)) {
    }
}

static leat_code intake_append(leat_intake *intake, const leat_raw *raw, uint64_t *out_position)
{
    leat_feed *feed = feed_of(intake);
    uint8_t head[RECORD_HEAD + 10];
    uint8_t *cursor = head;
    *cursor++ = RECORD_VERSION;
    memcpy(cursor, &feed->name_hash, 8);
    cursor[8] = raw->tag;
    cursor[9] = raw->flags;
    memcpy(cursor + 10, &raw->key, 4);
    memcpy(cursor + 14, &raw->arrival_ms, 8);
    cursor += 22;
    uint64_t topic_size = raw->topic.size;
    for (; topic_size >= 0x80; topic_size >>= 7)
        *cursor++ = (uint8_t)(topic_size | 0x80);
    *cursor++ = (uint8_t)topic_size;
    leat_slice parts[] = {leat_slice_of((char *)head, (size_t)(cursor - head)), raw->topic, raw->payload};
    leat_code code;
    uint64_t end = 0;
    atomic_fetch_add(&feed->appending, 1);
    // The log's memory is full for an instant when its thread is behind: that is not a full journal.
    while ((code = leat_log_append(feed->setup.journal, parts, 3, NULL, &end)) == LEAT_AGAIN &&
           !atomic_load(&feed->stop))
        if (intake->sleep(intake, 1))
            break;
    if (code == LEAT_OK) {
        note_newest(feed, end);
        if (out_position)
            *out_position = end; // the record is durable when everything before this is
        atomic_fetch_add_explicit(&feed->arrivals, 1, memory_order_relaxed);
    }
    atomic_fetch_sub(&feed->appending, 1);
    return code == LEAT_AGAIN ? LEAT_E_CLOSED : code;
}

static leat_code intake_wait_durable(leat_intake *intake, uint64_t position, int64_t timeout_ms)
{
    leat_feed *feed = feed_of(intake);
    leat_log_request_sync(feed->setup.journal, position);
    return leat_log_wait_durable(feed->setup.journal, position, timeout_ms);
}

static bool intake_held(leat_intake *intake)
{
    leat_feed *feed = feed_of(intake);
    leat_log_state state = leat_log_state_get(feed->setup.journal);
    bool full = state == LEAT_LOG_FULL_DISK || state == LEAT_LOG_FULL_LIMIT || state == LEAT_LOG_POISONED;
    bool held = full && leat_log_room(feed->setup.journal) < HELD_ROOM;
    atomic_store(&feed->held, held);
    return held;
}

static leat_code intake_wait_room(leat_intake *intake, int64_t timeout_ms)
{
    for (int64_t waited = 0; intake_held(intake); waited += ROOM_POLL_MS) {
        if (timeout_ms >= 0 && waited >= timeout_ms)
            return LEAT_E_TIMEOUT;
        if (intake->sleep(intake, ROOM_POLL_MS))
            return LEAT_E_CLOSED;
    }
    return LEAT_OK;
}

bool leat_feed_read_record(leat_slice record, uint64_t *out_name_hash, leat_raw *out_raw)
{
    leat_reader reader;
    leat_reader_init(&reader, record.data, record.size);
    if (leat_read_u8(&reader) != RECORD_VERSION)
        return false;
    *out_name_hash = leat_read_u64(&reader);
    out_raw->tag = leat_read_u8(&reader);
    out_raw->flags = leat_read_u8(&reader);
    out_raw->key = leat_read_u32(&reader);
    out_raw->arrival_ms = (int64_t)leat_read_u64(&reader);
    out_raw->topic = leat_read_sized(&reader);
    out_raw->payload = leat_read_bytes(&reader, leat_reader_left(&reader));
    return !reader.failed;
}

static bool parse_record(const leat_feed *feed, leat_slice record, uint64_t position, leat_raw *out_raw)
{
    uint64_t name_hash;
    out_raw->position = position;
    return leat_feed_read_record(record, &name_hash, out_raw) && name_hash == feed->name_hash;
}

static leat_code intake_visit(leat_intake *intake, void (*visit)(void *context, const leat_raw *raw), void *context)
{
    leat_feed *feed = feed_of(intake);
    leat_log_reader *reader;
    leat_error error;
    leat_code code = leat_log_reader_open(feed->setup.journal, LEAT_LOG_OLDEST, &reader, &error);
    if (code != LEAT_OK)
        return code;
    leat_slice record;
    uint64_t position;
    while ((code = leat_log_reader_next(reader, &record, &position, NULL, &error)) == LEAT_OK ||
           code == LEAT_E_CORRUPT) {
        leat_raw raw;
        if (code == LEAT_OK && parse_record(feed, record, position, &raw))
            visit(context, &raw);
    }
    leat_log_reader_close(reader);
    return code == LEAT_AGAIN ? LEAT_OK : code;
}

static void intake_gap(leat_intake *intake, const char *cause, int64_t from_ms, int64_t to_ms, uint64_t count)
{
    leat_feed *feed = feed_of(intake);
    (void)from_ms;
    leat_ledger_add(feed->setup.ledger, feed->plan->name, cause, count ? count : 1, to_ms);
    leat_say(LEAT_LEVEL_WARNING, "source '%s': gap (%s), %llu readings lost or possibly lost in %lld ms",
             feed->plan->name, cause, (unsigned long long)count, (long long)(to_ms - from_ms));
}

static void intake_note(leat_intake *intake, bool connected, const char *text)
{
    leat_feed *feed = feed_of(intake);
    pthread_mutex_lock(&feed->lock);
    bool change = !feed->noted || feed->connected != connected;
    // "connection lost" is followed by why no new one comes.
    bool reason = !connected && text && strcmp(text, feed->note) != 0 && feed->reasons_told < REASONS_TOLD;
    feed->reasons_told = change ? 0 : feed->reasons_told + reason;
    bool news = change || reason;
    feed->noted = true;
    feed->connected = connected;
    snprintf(feed->note, sizeof feed->note, "%s", text ? text : "");
    pthread_mutex_unlock(&feed->lock);
    if (news)
        leat_say(connected ? LEAT_LEVEL_INFO : LEAT_LEVEL_WARNING, "source '%s': %s%s%s", feed->plan->name,
                 connected ? "connected" : "not connected", text && *text ? ": " : "", text ? text : "");
}

static void intake_count(leat_intake *intake, const char *counter, uint64_t add)
{
    leat_feed *feed = feed_of(intake);
    uint32_t most = sizeof feed->counters / sizeof *feed->counters, i = 0;
    pthread_mutex_lock(&feed->lock);
    while (i < feed->counter_count && strcmp(feed->counters[i].name, counter) != 0)
        i++;
    if (i == feed->counter_count && i < most)
        feed->counters[feed->counter_count++] = (leat_feed_counter){counter, 0};
    if (i < most)
        feed->counters[i].value += add;
    pthread_mutex_unlock(&feed->lock);
}

static bool intake_sleep(leat_intake *intake, int64_t ms)
{
    leat_feed *feed = feed_of(intake);
    int64_t until_ms = leat_boot_ms(feed->setup.env) + ms, left_ms = ms;
    pthread_mutex_lock(&feed->lock);
    while (!atomic_load(&feed->stop) && left_ms > 0) {
        leat_wait(&feed->stopped, &feed->lock, left_ms);
        left_ms = until_ms - leat_boot_ms(feed->setup.env);
    }
    pthread_mutex_unlock(&feed->lock);
    return atomic_load(&feed->stop);
}

static bool intake_stopping(const leat_intake *intake) { return atomic_load(&feed_of(intake)->stop); }

static const leat_intake intake_functions = {.append = intake_append,
                                             .wait_durable = intake_wait_durable,
                                             .held = intake_held,
                                             .wait_room = intake_wait_room,
                                             .visit = intake_visit,
                                             .gap = intake_gap,
                                             .note = intake_note,
                                             .count = intake_count,
                                             .sleep = intake_sleep,
                                             .stopping = intake_stopping};

// ---- life

static const leat_source_ops *library_ops(const leat_driver_library *library, const char *name)
{
    for (uint32_t i = 0; library->sources && library->sources[i]; i++)
        if (strcmp(library->sources[i]->name, name) == 0)
            return library->sources[i];
    return NULL;
}

static leat_code find_ops(leat_feed *feed, const leat_source_ops **out_ops, leat_error *out_error)
{
    const leat_source_description *driver = feed->plan->driver;
    *out_ops = leat_source_find(driver->name);
    if (!*out_ops && driver->library) {
        const void *symbol;
        leat_code code =
            leat_library_driver(feed->setup.env, driver->library, "leat_driver_library_entry", &symbol, out_error);
        if (code != LEAT_OK)
            return code;
        *out_ops = library_ops(symbol, driver->name);
    }
    if (!*out_ops)
        return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "driver '%s' is not built in", driver->name);
    if ((*out_ops)->abi != LEAT_DRIVER_ABI || (*out_ops)->size != sizeof **out_ops)
        return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "driver '%s' was built for another release of leat",
                              driver->name);
    return LEAT_OK;
}

static leat_code open_instance(leat_feed *feed, const leat_source_ops *ops, bool is_decoder, leat_source_setup *setup,
                               leat_source **out_source, leat_error *out_error)
{
    *setup = (leat_source_setup){.env = feed->setup.env,
                                 .arena = &feed->arena,
                                 .name = feed->plan->name,
                                 .agent_name = feed->setup.plan->agent->name,
                                 .settings = feed->plan->settings,
                                 .fields = feed->plan->fields,
                                 .field_count = feed->plan->field_count,
                                 .schema = feed->plan->schema,
                                 .implicit = feed->plan->implicit,
                                 .intake = is_decoder ? NULL : &feed->intake,
                                 .is_decoder = is_decoder,
                                 .drops = &feed->drops};
    leat_source *source = leat_arena_calloc(&feed->arena, ops->instance_size);
    source->ops = ops;
    source->setup = setup;
    leat_code code = ops->open(source, setup, out_error);
    if (code == LEAT_OK)
        *out_source = source;
    return code;
}

static leat_code open_driver(leat_feed *feed, leat_error *out_error)
{
    const leat_source_ops *ops;
    leat_code code = find_ops(feed, &ops, out_error);
    if (code == LEAT_OK)
        code = open_instance(feed, ops, false, &feed->reader_setup, &feed->reader, out_error);
    if (code == LEAT_OK && feed->plan->driver->decodes)
        code = open_instance(feed, ops, true, &feed->decoder_setup, &feed->decoder, out_error);
    if (code == LEAT_OK && leat_feed_is_push(feed))
        code = leat_log_reader_open(feed->setup.journal, LEAT_LOG_OLDEST, &feed->journal, out_error);
    if (code == LEAT_OK && leat_feed_is_push(feed))
        atomic_store(&feed->newest, leat_log_append_end(feed->setup.journal)); // any of these may be its own
    return code;
}

leat_code leat_feed_create(const leat_feed_setup *setup, leat_feed **out_feed, leat_error *out_error)
{
    leat_feed *feed = leat_env_calloc(setup->env, sizeof *feed);
    if (!feed)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for a source");
    feed->intake = intake_functions;
    feed->setup = *setup;
    feed->plan = &setup->plan->sources[setup->source];
    feed->name_hash = leat_hash(feed->plan->name, strlen(feed->plan->name));
    leat_arena_init(&feed->arena, setup->env, 4096);
    pthread_mutex_init(&feed->lock, NULL);
    leat_wait_init(&feed->stopped);
    leat_code code = open_driver(feed, out_error);
    if (code != LEAT_OK) {
        leat_error_prefix(out_error, "source '%s'", feed->plan->name);
        leat_feed_destroy(feed);
        return code;
    }
    *out_feed = feed;
    return LEAT_OK;
}

void leat_feed_destroy(leat_feed *feed)
{
    if (!feed)
        return;
    leat_feed_stop(feed);
    leat_log_reader_close(feed->journal);
    if (feed->decoder && feed->decoder->ops->close)
        feed->decoder->ops->close(feed->decoder);
    if (feed->reader && feed->reader->ops->close)
        feed->reader->ops->close(feed->reader);
    pthread_cond_destroy(&feed->stopped);
    pthread_mutex_destroy(&feed->lock);
    leat_env *env = feed->setup.env;
    leat_arena_fini(&feed->arena);
    leat_env_free(env, feed, sizeof *feed);
}

static leat_code seek_journal(leat_feed *feed, leat_slice position, leat_error *out_error)
{
    uint64_t end = LEAT_LOG_OLDEST;
    if (position.size == sizeof end)
        memcpy(&end, position.data, sizeof end);
    leat_code code = leat_log_reader_seek(feed->journal, end, out_error);
    if (code != LEAT_E_NOT_FOUND)
        return code;
    // What lay between is gone: a recorded gap, and the source goes on with the oldest that is there.
    leat_ledger_add(feed->setup.ledger, feed->plan->name, "journal-gap", 1, leat_wall_ms(feed->setup.env));
    leat_say(LEAT_LEVEL_WARNING, "source '%s': the journal does not reach back to the checkpoint", feed->plan->name);
    return leat_log_reader_seek(feed->journal, leat_log_oldest(feed->setup.journal), out_error);
}

leat_code leat_feed_seek(leat_feed *feed, leat_slice position, leat_error *out_error)
{
    return leat_feed_is_push(feed) ? seek_journal(feed, position, out_error)
                                   : feed->reader->ops->seek(feed->reader, position, out_error);
}

// ---- the driver's thread

static void *run_driver(void *argument)
{
    leat_feed *feed = argument;
    int64_t restart_ms = RESTART_MS_MIN;
    while (!atomic_load(&feed->stop)) {
        leat_error error = {0};
        int64_t start_ms = leat_boot_ms(feed->setup.env);
        leat_code code = feed->reader->ops->run(feed->reader, &error);
        if (atomic_load(&feed->stop))
            break;
        if (code == LEAT_OK)
            leat_error_set(&error, LEAT_E_CLOSED, "the driver returned");
        leat_error_prefix(&error, "source '%s'", feed->plan->name);
        leat_say_error(LEAT_LEVEL_WARNING, "driver runs again after a pause", &error);
        restart_ms = leat_boot_ms(feed->setup.env) - start_ms > RESTART_MS_MAX ? RESTART_MS_MIN : restart_ms;
        intake_sleep(&feed->intake, restart_ms);
        restart_ms = restart_ms * 2 < RESTART_MS_MAX ? restart_ms * 2 : RESTART_MS_MAX;
    }
    return NULL;
}

leat_code leat_feed_start(leat_feed *feed, leat_error *out_error)
{
    if (!leat_feed_is_push(feed))
        return LEAT_OK;
    int failed = pthread_create(&feed->thread, NULL, run_driver, feed);
    if (failed)
        return leat_error_errno(out_error, failed, "source '%s': thread", feed->plan->name);
    char name[16];
    snprintf(name, sizeof name, "%.15s", feed->plan->name);
    pthread_setname_np(feed->thread, name);
    feed->running = true;
    return LEAT_OK;
}

void leat_feed_request_stop(leat_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    bool first = !atomic_exchange(&feed->stop, true);
    pthread_cond_broadcast(&feed->stopped);
    pthread_mutex_unlock(&feed->lock);
    if (first && feed->running && feed->reader->ops->stop)
        feed->reader->ops->stop(feed->reader);
}

void leat_feed_stop(leat_feed *feed)
{
    leat_feed_request_stop(feed);
    if (feed->running)
        pthread_join(feed->thread, NULL);
    feed->running = false;
}

// ---- the task's side

bool leat_feed_is_push(const leat_feed *feed) { return !feed->plan->driver->replayable; }

leat_source *leat_feed_decoder(leat_feed *feed) { return feed->decoder; }

void leat_feed_note(leat_feed *feed, bool good, const char *text) { intake_note(&feed->intake, good, text); }

leat_drops *leat_feed_drops(leat_feed *feed) { return &feed->drops; }

bool leat_feed_has_news(leat_feed *feed, uint64_t written_end)
{
    bool news = atomic_load(&feed->appending) > 0 || atomic_load(&feed->newest) > feed->told;
    feed->told = written_end;
    return news;
}

// Records of others only lie between here and the end that was read before: a source that is silent holds no segment back.
static void pass_others(leat_feed *feed)
{
    leat_error ignored;
    uint64_t end = leat_log_written_end(feed->setup.journal);
    bool own =
        atomic_load(&feed->appending) > 0 || atomic_load(&feed->newest) > leat_log_reader_position(feed->journal);
    if (!own && end > leat_log_reader_position(feed->journal) &&
        leat_log_reader_seek(feed->journal, end, &ignored) != LEAT_OK)
        return; // the reader stays where it is
}

static leat_code next_from_journal(leat_feed *feed, leat_raw *out_raw, int64_t *out_wait_ms, leat_error *out_error)
{
    *out_wait_ms = -1;
    for (;;) {
        leat_slice record;
        uint64_t position;
        leat_code code = leat_log_reader_next(feed->journal, &record, &position, NULL, out_error);
        if (code == LEAT_OK && parse_record(feed, record, position, out_raw)) {
            if (out_raw->flags & LEAT_RAW_CONTROL)
                continue;
            return LEAT_OK;
        }
        if (code == LEAT_OK)
            continue; // another source's
        if (code != LEAT_E_CORRUPT && code != LEAT_E_NOT_FOUND)
            return code;
        leat_ledger_add(feed->setup.ledger, feed->plan->name, "journal-damage", 1, leat_wall_ms(feed->setup.env));
        leat_say(LEAT_LEVEL_WARNING, "source '%s': a damaged part of the journal is left out", feed->plan->name);
        if (code == LEAT_E_NOT_FOUND &&
            leat_log_reader_seek(feed->journal, leat_log_oldest(feed->setup.journal), out_error) != LEAT_OK)
            return code;
    }
}

leat_code leat_feed_next(leat_feed *feed, leat_raw *out_raw, int64_t *out_wait_ms, leat_error *out_error)
{
    if (leat_feed_is_push(feed))
        return next_from_journal(feed, out_raw, out_wait_ms, out_error);
    leat_code code = feed->reader->ops->pull(feed->reader, out_raw, out_wait_ms, out_error);
    if (code == LEAT_OK)
        atomic_fetch_add_explicit(&feed->arrivals, 1, memory_order_relaxed);
    return code;
}

leat_slice leat_feed_position(leat_feed *feed, uint64_t *out_journal_end)
{
    *out_journal_end = 0;
    if (!leat_feed_is_push(feed))
        return feed->reader->ops->position(feed->reader);
    pass_others(feed);
    *out_journal_end = leat_log_reader_position(feed->journal);
    memcpy(feed->position, out_journal_end, sizeof *out_journal_end);
    return leat_slice_of((char *)feed->position, sizeof *out_journal_end);
}

void leat_feed_measure(const leat_feed *feed, leat_feed_figures *out_figures)
{
    leat_feed *own = (leat_feed *)feed;
    pthread_mutex_lock(&own->lock);
    *out_figures = (leat_feed_figures){.connected = own->connected,
                                       .noted = own->noted,
                                       .arrivals = atomic_load(&own->arrivals),
                                       .held = atomic_load(&own->held),
                                       .counter_count = own->counter_count};
    memcpy(out_figures->note, own->note, sizeof out_figures->note);
    memcpy(out_figures->counters, own->counters, sizeof out_figures->counters);
    pthread_mutex_unlock(&own->lock);
}
