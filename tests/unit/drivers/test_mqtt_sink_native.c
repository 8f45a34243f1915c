// The MQTT sink against a real mosquitto: order, window, a broker that stops, what is refused; and beside a source.
#include "tests/unit/drivers/mqtt_support.h"

extern const leat_source_ops leat_source_mqtt_ops;
extern const leat_sink_ops leat_sink_mqtt_ops;

typedef struct probe_sink {
    leat_sink_control control; // first
    pthread_mutex_t lock;
    pthread_cond_t news;
    leat_sink *sink;
    leat_sink_setup setup;
    leat_arena arena;
    uint64_t acknowledged, refused_sequence, sent;
    uint32_t refused, failures, opens, window_seen;
    bool failed, woken, connected;
    char reason[160], note[160];
} probe_sink;

static void sink_acknowledged(leat_sink_control *control, uint64_t sequence, leat_slice token)
{
    probe_sink *probe = (probe_sink *)control;
    (void)token;
    pthread_mutex_lock(&probe->lock);
    if (sequence <= probe->acknowledged)
        abort();
    probe->acknowledged = sequence;
    pthread_mutex_unlock(&probe->lock);
}
static void sink_failed(leat_sink_control *control, const char *reason)
{
    probe_sink *probe = (probe_sink *)control;
    pthread_mutex_lock(&probe->lock);
    if (probe->failed)
        abort(); // once
    probe->failed = true;
    probe->failures++;
    snprintf(probe->reason, sizeof probe->reason, "%s", reason);
    pthread_mutex_unlock(&probe->lock);
}
static void sink_refused(leat_sink_control *control, uint64_t sequence, const char *reason)
{
    probe_sink *probe = (probe_sink *)control;
    pthread_mutex_lock(&probe->lock);
    if (sequence != probe->acknowledged + 1)
        abort(); // in order
    probe->acknowledged = sequence;
    probe->refused_sequence = sequence;
    probe->refused++;
    snprintf(probe->reason, sizeof probe->reason, "%s", reason);
    pthread_mutex_unlock(&probe->lock);
}
static void sink_note(leat_sink_control *control, bool connected, const char *text)
{
    probe_sink *probe = (probe_sink *)control;
    pthread_mutex_lock(&probe->lock);
    probe->connected = connected;
    snprintf(probe->note, sizeof probe->note, "%s", text);
    pthread_mutex_unlock(&probe->lock);
}
static void sink_count(leat_sink_control *control, const char *counter, uint64_t add)
{
    (void)control;
    (void)counter;
    (void)add;
}
static void sink_wake(leat_sink_control *control)
{
    probe_sink *probe = (probe_sink *)control;
    pthread_mutex_lock(&probe->lock);
    probe->woken = true;
    pthread_mutex_unlock(&probe->lock);
}
static bool sink_stopping(const leat_sink_control *control)
{
    (void)control;
    return false;
}

static void sink_prepare(probe_sink *probe)
{
    *probe = (probe_sink){
        .control = {sink_acknowledged, sink_failed, sink_refused, sink_note, sink_count, sink_wake, sink_stopping}};
    pthread_mutex_init(&probe->lock, NULL);
}

static void sink_open(probe_sink *probe, const leat_mqtt_sink_settings *settings)
{
    leat_error error;
    leat_arena_init(&probe->arena, env, 4096);
    probe->failed = false;
    probe->opens++;
    probe->setup = (leat_sink_setup){.env = env,
                                     .arena = &probe->arena,
                                     .name = "out",
                                     .agent_name = "probe",
                                     .settings = settings,
                                     .control = &probe->control,
                                     .acknowledged = probe->acknowledged};
    probe->sink = leat_arena_calloc(&probe->arena, leat_sink_mqtt_ops.instance_size);
    probe->sink->ops = &leat_sink_mqtt_ops;
    probe->sink->setup = &probe->setup;
    if (leat_sink_mqtt_ops.open(probe->sink, &probe->setup, &error) != LEAT_OK)
        fail_msg("open: %s", error.message);
}

static void sink_close(probe_sink *probe)
{
    leat_sink_mqtt_ops.close(probe->sink);
    leat_arena_fini(&probe->arena);
}

static uint64_t acknowledged(probe_sink *probe)
{
    pthread_mutex_lock(&probe->lock);
    uint64_t sequence = probe->acknowledged;
    pthread_mutex_unlock(&probe->lock);
    return sequence;
}

static bool has_failed(probe_sink *probe)
{
    pthread_mutex_lock(&probe->lock);
    bool failed = probe->failed;
    pthread_mutex_unlock(&probe->lock);
    return failed;
}

typedef void (*make_delivery)(uint64_t sequence, leat_delivery *out_delivery);

static void plain_delivery(uint64_t sequence, leat_delivery *out_delivery)
{
    static char payload[32];
    snprintf(payload, sizeof payload, "m-%llu", (unsigned long long)sequence);
    *out_delivery = (leat_delivery){.sequence = sequence,
                                    .generation = 3,
                                    .rule = "r",
                                    .topic = leat_slice_text("out/x"),
                                    .payload = leat_slice_text(payload)};
    snprintf(out_delivery->id, sizeof out_delivery->id, "%016llx",
             (unsigned long long)(sequence * 0x9e3779b97f4a7c15ULL));
}

// As delivery.c does: in order, opened again after a failure. Calls at_half once when half is acknowledged.
static void deliver_all(probe_sink *probe, const leat_mqtt_sink_settings *settings, uint64_t count, make_delivery make,
                        void (*at_half)(void))
{
    int64_t until_ms = probe_now_ms() + 90000;
    sink_open(probe, settings);
    uint64_t next = acknowledged(probe) + 1;
    while (acknowledged(probe) < count) {
        leat_delivery delivery;
        leat_error error;
        leat_code code = LEAT_AGAIN;
        if (probe_now_ms() > until_ms)
            fail_msg("delivered %llu of %llu; %s; %s", (unsigned long long)acknowledged(probe),
                     (unsigned long long)count, probe->reason, probe->note);
        if (at_half && acknowledged(probe) >= count / 2) {
            at_half();
            at_half = NULL;
        }
        if (next <= count) {
            make(next, &delivery);
            code = probe->sink->ops->send(probe->sink, &delivery, &error);
        } else {
            code = probe->sink->ops->flush(probe->sink, &error);
            code = code == LEAT_OK ? LEAT_AGAIN : code; // nothing to send now
        }
        if (code == LEAT_OK) {
            uint64_t under_way = next - acknowledged(probe);
            next++;
            if (under_way > probe->window_seen)
                probe->window_seen = (uint32_t)under_way;
        }
        if (has_failed(probe) || (code != LEAT_OK && code != LEAT_AGAIN)) {
            sink_close(probe);
            sink_open(probe, settings);
            next = acknowledged(probe) + 1;
        } else if (code == LEAT_AGAIN) {
            usleep(1000);
        }
    }
    sink_close(probe);
}

// A subscriber with a session of its own; a line a message: user properties, then the payload. QoS 1: with 2, mosquitto_sub 2.0.11 ends
// with a protocol error when its broker comes back.
static pid_t subscriber(char path[PROBE_PATH + 40])
{
    char port[16], log_path[PROBE_PATH + 40], command[PROBE_PATH + 120];
    snprintf(path, PROBE_PATH + 40, "%s/received", broker.directory);
    snprintf(log_path, sizeof log_path, "%s/log", broker.directory);
    const char *arguments[] = {"mosquitto_sub",
                               "-h",
                               "127.0.0.1",
                               "-p",
                               text_of(port, broker.port),
                               "-q",
                               "1",
                               "-t",
                               "out/#",
                               "-i",
                               "watcher",
                               "-c",
                               "-V",
                               "5",
                               "-F",
                               "%P %p",
                               NULL};
    pid_t pid = probe_spawn(arguments, NULL, path);
    snprintf(command, sizeof command, "grep -q 'Sending SUBACK to watcher' %s", log_path);
    PROBE_UNTIL(system(command) == 0, 20);
    return pid;
}

typedef struct received {
    uint32_t lines, distinct, doubled, wrong_id, out_of_order;
} received;

static received read_received(const char *path, uint64_t count, bool v5)
{
    static uint8_t seen[8192];
    received sum = {0};
    char line[512];
    uint64_t highest = 0;
    FILE *file = fopen(path, "r");
    memset(seen, 0, sizeof seen);
    while (file && fgets(line, sizeof line, file)) {
        const char *payload = strstr(line, "m-");
        unsigned long long number = payload ? strtoull(payload + 2, NULL, 10) : 0;
        if (number == 0 || number > count)
            continue;
        char wanted[128];
        snprintf(wanted, sizeof wanted, "id:%016llx", (unsigned long long)(number * 0x9e3779b97f4a7c15ULL));
        sum.lines++;
        sum.wrong_id += v5 && !strstr(line, wanted);
        sum.doubled += seen[number];
        sum.distinct += !seen[number];
        // First appearances are in order; a repetition starts again from what was not acknowledged.
        sum.out_of_order += !seen[number] && number != highest + 1;
        highest = number > highest ? number : highest;
        seen[number] = 1;
    }
    if (file)
        fclose(file);
    return sum;
}

static void stop_and_restart(void)
{
    probe_broker_end(&broker, SIGTERM); // saves what it took
    probe_broker_start(&broker, NULL);
}

static void check_sink(int64_t qos, leat_mqtt_version version, bool restart)
{
    enum { COUNT = 2000 };
    char url[64], path[PROBE_PATH + 40];
    probe_broker_start(&broker, NULL);
    pid_t watcher = subscriber(path);
    leat_mqtt_sink_settings settings = {.connection = connection_to(&broker, url), .qos = qos, .in_flight = 20};
    settings.connection.version = version;
    probe_sink probe;
    sink_prepare(&probe);
    deliver_all(&probe, &settings, COUNT, plain_delivery, restart ? stop_and_restart : NULL);
    received sum;
    PROBE_UNTIL((sum = read_received(path, COUNT, version == LEAT_MQTT_5), sum.distinct == COUNT), 40);
    kill(watcher, SIGTERM);
    probe_wait(watcher);
    sum = read_received(path, COUNT, version == LEAT_MQTT_5);
    print_message("           qos %d, %s%s: %u of %d, %u doubled, %u opens, window %u\n", (int)qos,
                  leat_mqtt_versions[version], restart ? ", broker restarted" : "", sum.distinct, COUNT, sum.doubled,
                  probe.opens, probe.window_seen);
    assert_int_equal(sum.wrong_id, 0);
    assert_int_equal(sum.out_of_order, 0);
    assert_true(probe.window_seen <= 20);
    if (!restart)
        assert_int_equal(sum.doubled, 0);
    pthread_mutex_destroy(&probe.lock);
}

static void test_sink(void **state)
{
    (void)state;
    for (int64_t qos = 0; qos <= 2; qos++)
        for (int version = 0; version < 2; version++)
            for (int restart = 0; restart < (qos ? 2 : 1); restart++) {
                tear_down(NULL);
                set_up(NULL);
                check_sink(qos, (leat_mqtt_version)version, restart);
            }
}

static char large_payload[20000];

static void some_refused(uint64_t sequence, leat_delivery *out_delivery)
{
    plain_delivery(sequence, out_delivery);
    if (sequence % 10 == 3)
        out_delivery->topic = leat_slice_text("out/+");
    if (sequence % 10 == 5)
        out_delivery->payload = leat_slice_of(large_payload, sizeof large_payload);
    if (sequence % 10 == 7)
        out_delivery->topic = leat_slice_of("out/\xff", 5);
    if (sequence % 10 == 8)
        out_delivery->payload = leat_slice_of("", 0);
    if (sequence % 10 == 9)
        out_delivery->topic = leat_slice_text("forbidden/x");
}

static void test_sink_refused(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    char url[64], path[PROBE_PATH + 40], acl[PROBE_PATH + 40], more[3 * PROBE_PATH];
    memset(large_payload, 'x', sizeof large_payload);
    snprintf(acl, sizeof acl, "%s/acl", broker.directory);
    FILE *file = fopen(acl, "w");
    fputs("topic readwrite out/#\n", file);
    fclose(file);
    snprintf(more, sizeof more, "max_packet_size 10000\nacl_file %s", acl);
    probe_broker_start(&broker, more);
    pid_t watcher = subscriber(path);
    leat_mqtt_sink_settings settings = {.connection = connection_to(&broker, url), .qos = 1, .in_flight = 20};
    probe_sink probe;
    sink_prepare(&probe);
    deliver_all(&probe, &settings, COUNT, some_refused, NULL);
    assert_int_equal(probe.refused, 40); // + in the topic, too large, no UTF-8, forbidden
    received sum;
    PROBE_UNTIL((sum = read_received(path, COUNT, true), sum.distinct == COUNT - 50), 20);
    kill(watcher, SIGTERM);
    probe_wait(watcher);
}

// Nobody there at first; idle when the broker goes and comes.
static void test_sink_alone(void **state)
{
    (void)state;
    char url[64], path[PROBE_PATH + 40];
    leat_error error;
    leat_delivery delivery;
    leat_mqtt_sink_settings settings = {.connection = connection_to(&broker, url), .qos = 1, .in_flight = 20};
    probe_sink probe;
    sink_prepare(&probe);
    sink_open(&probe, &settings);
    plain_delivery(1, &delivery);
    for (int64_t until_ms = probe_now_ms() + 500; probe_now_ms() < until_ms; usleep(10000))
        assert_int_equal(probe.sink->ops->send(probe.sink, &delivery, &error), LEAT_AGAIN);
    probe_broker_start(&broker, NULL);
    pid_t watcher = subscriber(path);
    PROBE_UNTIL(probe.sink->ops->send(probe.sink, &delivery, &error) == LEAT_OK, 20);
    PROBE_UNTIL(acknowledged(&probe) == 1, 20);
    probe_broker_end(&broker, SIGTERM);
    PROBE_UNTIL(probe.sink->ops->flush(probe.sink, &error) == LEAT_AGAIN, 20);
    probe_broker_start(&broker, NULL);
    PROBE_UNTIL(probe.sink->ops->flush(probe.sink, &error) == LEAT_OK, 20);
    assert_int_equal(probe.failures, 0);
    plain_delivery(2, &delivery);
    PROBE_UNTIL(probe.sink->ops->send(probe.sink, &delivery, &error) == LEAT_OK, 20);
    PROBE_UNTIL(acknowledged(&probe) == 2, 20);
    sink_close(&probe);
    kill(watcher, SIGTERM);
    probe_wait(watcher);
}

// Source and sink share paho's threads: one sends what the other receives.
static void through_delivery(uint64_t sequence, leat_delivery *out_delivery)
{
    plain_delivery(sequence, out_delivery);
    out_delivery->topic = leat_slice_text("t/loop");
}

static void mark_record(void *context, const leat_raw *raw)
{
    uint8_t *counts = context;
    char text[16];
    snprintf(text, sizeof text, "%.*s", (int)(raw->payload.size < 15 ? raw->payload.size : 15), raw->payload.data);
    unsigned long number = text[0] ? strtoul(text + 2, NULL, 10) : 0;
    if (!(raw->flags & LEAT_RAW_CONTROL) && number < 2000)
        counts[number]++;
}

static void test_source_and_sink(void **state)
{
    (void)state;
    enum { COUNT = 1500 };
    static const char *const filters[] = {"t/+"};
    char url[64];
    probe_broker_start(&broker, NULL);
    leat_mqtt_source_settings in = {
        .connection = connection_to(&broker, url), .topics = {filters, 1}, .qos = 2, .session_expiry_ms = 60000};
    leat_mqtt_sink_settings out = {.connection = connection_to(&broker, url), .qos = 2, .in_flight = 50};
    probe_journal journal;
    probe_source source;
    probe_sink probe;
    probe_journal_open(&journal, env, journal_path);
    probe_source_start(&source, &leat_source_mqtt_ops, "in", &in, &journal);
    PROBE_UNTIL(journal.connected, 20);
    sink_prepare(&probe);
    deliver_all(&probe, &out, COUNT, through_delivery, NULL);
    PROBE_UNTIL(journal.messages == COUNT, 30);
    probe_source_stop(&source);
    probe_journal_close(&journal);
    uint8_t counts[2000] = {0};
    probe_journal_read(journal_path, mark_record, counts);
    for (uint32_t i = 1; i <= COUNT; i++)
        assert_int_equal(counts[i], 1);
}

int main(int count, char **arguments)
{
    env = leat_env_posix(0);
    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        CASE(test_sink),
        CASE(test_sink_refused),
        CASE(test_sink_alone),
        CASE(test_source_and_sink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
