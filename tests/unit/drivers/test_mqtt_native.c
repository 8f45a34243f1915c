// The MQTT source against a real mosquitto: kills, restarts, a journal without room, TLS.
//
// The module's own functions are linked (leat_mqtt_parts); the shared object is only looked at for its entry. This program is also the process
// that is killed: with --source it runs one source until SIGKILL.
#include <dlfcn.h>
#include <sys/stat.h>

#include "drivers/bus/mqtt_packet.h"
#include "tests/unit/drivers/mqtt_support.h"

extern const leat_source_ops leat_source_mqtt_ops;
extern const leat_source_description leat_source_mqtt_description;
extern const leat_sink_description leat_sink_mqtt_description;

enum { MESSAGES = 500, KILLS = 45 };

static const char *const filters[] = {"t/+"};

static leat_mqtt_source_settings source_settings(char url[64], int64_t qos, leat_mqtt_version version)
{
    leat_mqtt_source_settings settings = {
        .connection = connection_to(&broker, url), .topics = {filters, 1}, .qos = qos, .session_expiry_ms = 3600000};
    settings.connection.version = version;
    return settings;
}

// mosquitto_pub that publishes every line it is given.
static pid_t publisher(const char *topic, int qos, int *out_input)
{
    char port[16], quality[16], id[32];
    static int number;
    snprintf(id, sizeof id, "pub%d-%d", (int)getpid(), number++);
    const char *arguments[] = {"mosquitto_pub",
                               "-h",
                               "127.0.0.1",
                               "-p",
                               text_of(port, broker.port),
                               "-q",
                               text_of(quality, qos),
                               "-t",
                               topic,
                               "-i",
                               id,
                               "-V",
                               "5",
                               "-l",
                               NULL};
    return probe_spawn(arguments, out_input, NULL);
}

static void publish_lines(const char *topic, int qos, int from, int to)
{
    int input;
    pid_t pid = publisher(topic, qos, &input);
    for (int i = from; i < to; i++)
        dprintf(input, "m-%d\n", i);
    close(input);
    assert_int_equal(probe_wait(pid), 0);
}

typedef struct tally {
    uint32_t counts[4 * MESSAGES];
    uint32_t messages, control, strange;
    int first_again; // number of messages that came after a greater one
    int highest;
} tally;

static void add_record(void *context, const leat_raw *raw)
{
    tally *sum = context;
    char text[32];
    int number;
    if (raw->flags & LEAT_RAW_CONTROL) {
        sum->control++;
        return;
    }
    sum->messages++;
    snprintf(text, sizeof text, "%.*s", (int)(raw->payload.size < 31 ? raw->payload.size : 31), raw->payload.data);
    if (sscanf(text, "m-%d", &number) != 1 || number < 0 || number >= 4 * MESSAGES || raw->tag != 1) {
        sum->strange++;
        return;
    }
    sum->counts[number]++;
    sum->first_again += number < sum->highest;
    sum->highest = number > sum->highest ? number : sum->highest;
}

static tally read_tally(void)
{
    tally sum = {0};
    probe_journal_read(journal_path, add_record, &sum);
    return sum;
}

static uint32_t distinct(const tally *sum, int to)
{
    uint32_t count = 0;
    for (int i = 0; i < to; i++)
        count += sum->counts[i] > 0;
    return count;
}

// ---- a source that is killed

static _Noreturn void source_process(char **arguments)
{
    char url[64];
    broker.port = atoi(arguments[0]);
    leat_mqtt_source_settings settings =
        source_settings(url, atoi(arguments[1]), (leat_mqtt_version)atoi(arguments[2]));
    probe_journal journal;
    probe_source probe;
    probe_journal_open(&journal, env, arguments[3]);
    probe_source_start(&probe, &leat_source_mqtt_ops, "killed", &settings, &journal);
    for (;;)
        pause();
}

static pid_t start_process(int qos, leat_mqtt_version version)
{
    char port[16], quality[16], protocol[16];
    const char *arguments[] = {
        "/proc/self/exe", "--source", text_of(port, broker.port), text_of(quality, qos), text_of(protocol, version),
        journal_path,     NULL};
    return probe_spawn(arguments, NULL, NULL);
}

static void kill_process(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(probe_wait(pid), 128 + SIGKILL);
}

static void run_under_kills(int qos, leat_mqtt_version version)
{
    int input, sent = 0, kills = 0;
    unsigned chance = 12345u + (unsigned)test_number;
    probe_broker_start(&broker, NULL);
    pid_t pid = start_process(qos, version);
    // The session must be there before the first message is.
    char log_path[PROBE_PATH + 40], command[PROBE_PATH + 120];
    snprintf(log_path, sizeof log_path, "%s/log", broker.directory);
    snprintf(command, sizeof command, "grep -q 'Sending SUBACK' %s", log_path);
    PROBE_UNTIL(system(command) == 0, 20);
    pid_t publishing = publisher("t/x", 2, &input);
    while (kills < KILLS || sent < MESSAGES) {
        int64_t until_ms = probe_now_ms() + 30 + (int64_t)(rand_r(&chance) % 220);
        while (probe_now_ms() < until_ms) {
            if (sent < MESSAGES && sent < (kills + 1) * MESSAGES / KILLS)
                dprintf(input, "m-%d\n", sent++);
            usleep(1000 + rand_r(&chance) % 4000);
        }
        kill_process(pid);
        kills++;
        pid = start_process(qos, version);
    }
    close(input);
    assert_int_equal(probe_wait(publishing), 0);
    tally sum = read_tally();
    PROBE_UNTIL((sum = read_tally(), distinct(&sum, MESSAGES) == MESSAGES), 60);
    kill_process(pid);
    sum = read_tally();
    uint32_t doubled = sum.messages - distinct(&sum, MESSAGES);
    print_message("           qos %d, %s: %d messages, %d kills, %u lost, %u doubled, %u control records\n", qos,
                  leat_mqtt_versions[version], MESSAGES, kills, MESSAGES - distinct(&sum, MESSAGES), doubled,
                  sum.control);
    assert_int_equal(sum.strange, 0);
    if (qos == 2)
        assert_int_equal(doubled, 0);
}

static void test_kills_qos2_v5(void **state)
{
    (void)state;
    run_under_kills(2, LEAT_MQTT_5);
}
static void test_kills_qos2_v311(void **state)
{
    (void)state;
    run_under_kills(2, LEAT_MQTT_3_1_1);
}
static void test_kills_qos1_v5(void **state)
{
    (void)state;
    run_under_kills(1, LEAT_MQTT_5);
}
static void test_kills_qos1_v311(void **state)
{
    (void)state;
    run_under_kills(1, LEAT_MQTT_3_1_1);
}

// ---- the source in this process

typedef struct running {
    char url[64];
    leat_mqtt_source_settings settings;
    probe_journal journal;
    probe_source source;
} running;

static void start(running *run)
{
    probe_journal_open(&run->journal, env, journal_path);
    probe_source_start(&run->source, &leat_source_mqtt_ops, "in", &run->settings, &run->journal);
}

static void stop(running *run)
{
    probe_source_stop(&run->source);
    probe_journal_close(&run->journal);
}

static running prepare(int64_t qos, leat_mqtt_version version)
{
    running run = {0};
    run.settings = source_settings(run.url, qos, version);
    return run;
}

#define START(name, qos, version)                                                                                      \
    running name = prepare(qos, version);                                                                              \
    name.settings.connection.url = name.url;                                                                           \
    start(&name)

static bool has_gap(running *run, const char *cause)
{
    bool found = false;
    pthread_mutex_lock(&run->journal.lock);
    for (uint32_t i = 0; i < run->journal.gap_count && i < PROBE_GAPS; i++)
        found |= strcmp(run->journal.gaps[i], cause) == 0;
    pthread_mutex_unlock(&run->journal.lock);
    return found;
}

static void check_delivery(int64_t qos, leat_mqtt_version version)
{
    probe_broker_start(&broker, NULL);
    START(run, qos, version);
    PROBE_UNTIL(run.journal.connected, 20);
    publish_lines("t/a", 2, 0, 200);
    PROBE_UNTIL(run.journal.messages == 200, 20);
    PROBE_UNTIL(qos < 2 || run.journal.appended == 400, 20); // each with its tombstone
    stop(&run);
    tally sum = read_tally();
    assert_int_equal(sum.messages, 200);
    assert_int_equal(distinct(&sum, 200), 200);
    assert_int_equal(sum.first_again, 0); // in order
    assert_int_equal(sum.control, qos == 2 ? 200 : 0);
}

static void test_delivery(void **state)
{
    (void)state;
    for (int64_t qos = 0; qos <= 2; qos++)
        for (int version = 0; version < 2; version++) {
            tear_down(NULL);
            set_up(NULL);
            check_delivery(qos, (leat_mqtt_version)version);
        }
}

static void see_first(void *context, const leat_raw *raw)
{
    if (!(raw->flags & LEAT_RAW_CONTROL))
        snprintf(context, 64, "%.*s=%.*s %d", (int)raw->topic.size, raw->topic.data, (int)raw->payload.size,
                 raw->payload.data, raw->flags);
}

static void publish_once(const char *topic, const char *text, bool retain)
{
    char port[16];
    const char *arguments[] = {
        "mosquitto_pub",      "-h", "127.0.0.1", "-p", text_of(port, broker.port), "-q", "1", "-t", topic, "-m", text,
        retain ? "-r" : NULL, NULL};
    assert_int_equal(probe_wait(probe_spawn(arguments, NULL, NULL)), 0);
}

static void test_topic_and_retained(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++)
        for (int64_t qos = 0; qos <= 2; qos++)
            for (int ignore = 0; ignore < 2; ignore++) {
                tear_down(NULL);
                set_up(NULL);
                probe_broker_start(&broker, NULL);
                publish_once("t/kept", "old", true);
                running run = prepare(qos, (leat_mqtt_version)version);
                run.settings.connection.url = run.url;
                run.settings.retained = ignore;
                start(&run);
                PROBE_UNTIL(run.journal.connected, 20);
                PROBE_UNTIL(ignore || run.journal.messages == 1, 20);
                publish_once("t/new", "now", false);
                PROBE_UNTIL(run.journal.messages == (ignore ? 1 : 2), 20);
                stop(&run);
                char last[64] = "";
                probe_journal_read(journal_path, see_first, last);
                assert_string_equal(last, "t/new=now 0");
            }
}

static void test_too_large_and_empty(void **state)
{
    (void)state;
    char path[PROBE_PATH + 40], port[16];
    probe_broker_start(&broker, NULL);
    snprintf(path, sizeof path, "%s/large", broker.directory);
    FILE *file = fopen(path, "w");
    for (int i = 0; i <= LEAT_PAYLOAD_BYTES_MAX; i++)
        fputc('x', file);
    fclose(file);
    const char *arguments[] = {"mosquitto_pub", "-h", "127.0.0.1", "-p", text_of(port, broker.port), "-q", "2", "-t",
                               "t/l",           "-f", path,        NULL};
    for (int64_t qos = 1; qos <= 2; qos++) {
        START(run, qos, LEAT_MQTT_5);
        uint32_t before = run.journal.messages;
        PROBE_UNTIL(run.journal.connected, 20);
        assert_int_equal(probe_wait(probe_spawn(arguments, NULL, NULL)), 0);
        publish_once("t/e", "", false);
        PROBE_UNTIL(run.journal.messages == before + 1, 20);
        assert_int_equal(run.journal.too_large, 1);
        assert_true(has_gap(&run, "too-large"));
        stop(&run);
    }
}

// No room: nothing is acknowledged, so all of it comes once there is room again.
static void check_no_room(int64_t qos, leat_mqtt_version version)
{
    probe_broker_start(&broker, NULL);
    START(run, qos, version);
    PROBE_UNTIL(run.journal.connected, 20);
    publish_lines("t/a", 2, 0, 50);
    PROBE_UNTIL(run.journal.messages == 50, 20);
    run.journal.full = true;
    publish_lines("t/a", 2, 50, 100);
    // Refused within the callback, or left already because a tombstone found no room.
    PROBE_UNTIL(!run.journal.connected, 20);
    assert_int_equal(run.journal.messages, 50);
    run.journal.full = false;
    PROBE_UNTIL(run.journal.messages >= 100, 20);
    // High water: what is under way is still taken, then we leave.
    run.journal.high = true;
    publish_lines("t/a", 2, 100, 150);
    PROBE_UNTIL(!run.journal.connected, 20);
    run.journal.high = false;
    tally sum;
    PROBE_UNTIL(run.journal.messages >= 150, 20);
    // A disk that does not answer: the socket is cut after block_ms, the message comes again.
    PROBE_UNTIL(run.journal.connected, 20);
    uint32_t before = run.journal.not_kept;
    run.journal.stuck = true;
    publish_lines("t/a", 2, 150, 160);
    PROBE_UNTIL(run.journal.not_kept > before, 30);
    run.journal.stuck = false;
    PROBE_UNTIL(run.journal.messages >= 160 && run.journal.connected, 30);
    publish_lines("t/a", 2, 160, 170);
    PROBE_UNTIL(run.journal.messages >= 170, 20);
    stop(&run);
    sum = read_tally();
    assert_int_equal(distinct(&sum, 170), 170);
    assert_false(has_gap(&run, "session-lost"));
    if (qos == 2)
        assert_int_equal(sum.messages, 170);
}

static void test_no_room(void **state)
{
    (void)state;
    for (int64_t qos = 1; qos <= 2; qos++)
        for (int version = 0; version < 2; version++) {
            tear_down(NULL);
            set_up(NULL);
            check_no_room(qos, (leat_mqtt_version)version);
        }
}

// Changes with every save of the broker's database.
static int64_t database_version(void)
{
    char path[PROBE_PATH + 40];
    struct stat stat_of;
    snprintf(path, sizeof path, "%s/mosquitto.db", broker.directory);
    return stat(path, &stat_of) == 0 ? stat_of.st_mtim.tv_sec * 1000000000LL + stat_of.st_mtim.tv_nsec : 0;
}

// Killed with its sessions on disk: we come back and get what was kept for us. Killed without: a gap is recorded.
static void check_broker_killed(int64_t qos)
{
    probe_broker_start(&broker, NULL);
    START(run, qos, LEAT_MQTT_5);
    PROBE_UNTIL(run.journal.connected, 20);
    publish_lines("t/a", 2, 0, 100);
    PROBE_UNTIL(run.journal.messages == 100, 20);
    stop(&run);
    publish_lines("t/a", 2, 100, 200);
    int64_t before = database_version();
    kill(broker.pid, SIGUSR1); // save now
    PROBE_UNTIL(database_version() != before, 20);
    probe_broker_end(&broker, SIGKILL);
    start(&run);
    PROBE_UNTIL(run.journal.note[0], 20);
    assert_false(run.journal.connected);
    probe_broker_start(&broker, NULL);
    PROBE_UNTIL(run.journal.messages >= 100, 30);
    publish_lines("t/a", 2, 200, 250);
    PROBE_UNTIL(run.journal.messages >= 150, 30);
    assert_false(has_gap(&run, "session-lost"));
    // Without its memory.
    char path[PROBE_PATH + 40];
    probe_broker_end(&broker, SIGKILL);
    PROBE_UNTIL(!run.journal.connected, 20);
    snprintf(path, sizeof path, "%s/mosquitto.db", broker.directory);
    unlink(path);
    probe_broker_start(&broker, NULL);
    PROBE_UNTIL(run.journal.connected, 20);
    assert_true(has_gap(&run, "session-lost"));
    publish_lines("t/a", 2, 250, 300);
    tally sum;
    PROBE_UNTIL((sum = read_tally(), distinct(&sum, 300) == 300), 20);
    stop(&run);
    assert_int_equal(sum.strange, 0);
}

static void test_broker_killed(void **state)
{
    (void)state;
    for (int64_t qos = 1; qos <= 2; qos++) {
        tear_down(NULL);
        set_up(NULL);
        check_broker_killed(qos);
    }
}

// ---- TLS

static void make_certificates(void)
{
    char command[2048];
    const char *d = broker.directory;
    snprintf(command, sizeof command,
             "cd %s && exec >/dev/null 2>&1 && "
             "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=probe-ca && "
             "openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 2 -subj /CN=other-ca && "
             "openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost && "
             "printf 'subjectAltName=DNS:localhost' > san && "
             "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out "
             "server.pem && "
             "openssl req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=gateway && "
             "openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out client.pem && "
             "chmod a+r *",
             d);
    assert_int_equal(system(command), 0);
}

static void see_connect(running *run, const char *host, const char *ca, bool verify, bool connects, const char *why)
{
    char path[PROBE_PATH + 20], certificate[PROBE_PATH + 20], key[PROBE_PATH + 20];
    snprintf(path, sizeof path, "%s/%s", broker.directory, ca);
    snprintf(certificate, sizeof certificate, "%s/client.pem", broker.directory);
    snprintf(key, sizeof key, "%s/client.key", broker.directory);
    *run = prepare(1, LEAT_MQTT_5);
    snprintf(run->url, sizeof run->url, "mqtts://%s:%d", host, broker.tls_port);
    run->settings.connection.url = run->url;
    run->settings.connection.ca = path;
    run->settings.connection.certificate = certificate;
    run->settings.connection.key = key;
    run->settings.connection.verify = verify;
    start(run);
    if (connects) {
        PROBE_UNTIL(run->journal.connected, 20);
        publish_once("t/tls", "secret", false);
        PROBE_UNTIL(run->journal.messages == 1, 20);
    } else {
        PROBE_UNTIL(run->journal.note[0], 20);
        print_message("           %s\n", run->journal.note);
        assert_false(run->journal.connected);
        assert_non_null(strstr(run->journal.note, why));
    }
    stop(run);
}

static void test_tls(void **state)
{
    (void)state;
    char more[4 * PROBE_PATH];
    const char *d = broker.directory;
    running run;
    make_certificates();
    snprintf(more, sizeof more,
             "listener %d 127.0.0.1\ncafile %s/ca.pem\ncertfile %s/server.pem\nkeyfile "
             "%s/server.key\nrequire_certificate true",
             broker.tls_port, d, d, d);
    probe_broker_start(&broker, more);
    see_connect(&run, "localhost", "ca.pem", true, true, NULL);
    see_connect(&run, "127.0.0.1", "ca.pem", true, false, "cannot connect"); // not in the certificate
    see_connect(&run, "localhost", "other.pem", true, false, "certificate"); // signed by somebody else
    see_connect(&run, "127.0.0.1", "other.pem", false, true, NULL);
}

static void test_refused_login(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        tear_down(NULL);
        set_up(NULL);
        char more[2 * PROBE_PATH], path[PROBE_PATH + 40];
        snprintf(path, sizeof path, "%s/passwords", broker.directory);
        fclose(fopen(path, "w"));
        chmod(path, 0644);
        snprintf(more, sizeof more, "allow_anonymous false\npassword_file %s", path);
        probe_broker_start(&broker, more);
        running run = prepare(1, (leat_mqtt_version)version);
        run.settings.connection.url = run.url;
        run.settings.connection.user = "x";
        run.settings.connection.password = "top-secret-word";
        start(&run);
        PROBE_UNTIL(run.journal.note[0], 20);
        print_message("           %s\n", run.journal.note);
        assert_non_null(strstr(run.journal.note, "the broker refused"));
        assert_null(strstr(run.journal.note, "secret"));
        stop(&run);
    }
}

// ---- without a broker

static void test_settings(void **state)
{
    (void)state;
    static const struct {
        const char *url, *address;
    } cases[] = {{"mqtt://h", "tcp://h:1883"},
                 {"mqtts://h", "ssl://h:8883"},
                 {"mqtt://h:99", "tcp://h:99"},
                 {"mqtt://[::1]:5", "tcp://[::1]:5"},
                 {"mqtts://[fe80::1]", "ssl://[fe80::1]:8883"},
                 {"http://h", NULL},
                 {"mqtt://", NULL},
                 {"mqtt://h:0", NULL},
                 {"mqtt://h:65536", NULL},
                 {"mqtt://h:", NULL},
                 {"mqtt://h:1x", NULL},
                 {"mqtt://u:p@h", NULL},
                 {"mqtt://h/x", NULL},
                 {"mqtt://h:99999999999999", NULL},
                 {"mqtt://[::1", NULL},
                 {"", NULL},
                 {"mqtt://[::1]x", NULL}};
    char address[LEAT_MQTT_ADDRESS_SIZE];
    leat_error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_code code = leat_mqtt_address(cases[i].url, address, &error);
        if (code != (cases[i].address ? LEAT_OK : LEAT_E_INVALID))
            fail_msg("%s", cases[i].url);
        if (cases[i].address)
            assert_string_equal(address, cases[i].address);
    }
    static const struct {
        const char *filter;
        bool good;
    } topics[] = {{"a", true}, {"a/+/b", true}, {"#", true},      {"a/#", true}, {"+", true},     {"/", true},
                  {"", false}, {"a+", false},   {"a/#/b", false}, {"a#", false}, {"+a/b", false}, {"a/b#", false}};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        char url[64];
        leat_mqtt_source_settings settings = source_settings(url, 1, LEAT_MQTT_5);
        settings.connection.url = "mqtt://h";
        settings.topics = (leat_text_list){&topics[i].filter, 1};
        if ((leat_source_mqtt_description.check(&settings, NULL, 0, &error) == LEAT_OK) != topics[i].good)
            fail_msg("%s", topics[i].filter);
    }
    assert_string_equal(leat_sink_mqtt_description.library, "leat_mqtt.so");
}

static void test_packets(void **state)
{
    (void)state;
    leat_mqtt_publish publish;
    const char fixed = 0x3d; // DUP, QoS 2, RETAIN
    for (int v5 = 0; v5 < 2; v5++) {
        const char *rest = v5 ? "\0\3t/x\1\2\3abcpay" : "\0\3t/x\1\2pay";
        size_t size = v5 ? 14 : 10;
        assert_true(leat_mqtt_publish_parse(leat_slice_of(&fixed, 1), leat_slice_of(rest, size), v5, &publish));
        assert_true(publish.duplicate && publish.retained && publish.id == 258);
        assert_true(leat_slice_is(publish.topic, "t/x") && leat_slice_is(publish.payload, "pay"));
        for (size_t cut = 0; cut < size - 3; cut++)
            assert_false(leat_mqtt_publish_parse(leat_slice_of(&fixed, 1), leat_slice_of(rest, cut), v5, &publish));
        uint8_t bare[LEAT_MQTT_BARE_SIZE];
        size = leat_mqtt_publish_bare(4711, v5, bare);
        assert_int_equal(bare[1], size - 2);
        assert_true(leat_mqtt_publish_parse(leat_slice_of((char *)bare, 2), leat_slice_of((char *)bare + 2, size - 2),
                                            v5, &publish));
        assert_int_equal(publish.id, 4711);
    }
    leat_mqtt_known_set set = {.env = env};
    for (uint32_t i = 1; i <= 5000; i++) {
        assert_true(leat_mqtt_known_reserve(&set));
        leat_mqtt_known_put(&set, (leat_mqtt_known){.id = (uint16_t)i, .hash = i});
        if (i % 3 == 0)
            assert_true(leat_mqtt_known_remove(&set, (uint16_t)(i / 3)));
    }
    assert_false(leat_mqtt_known_remove(&set, 1));
    assert_int_equal(leat_mqtt_known_find(&set, 5000)->hash, 5000);
    assert_int_equal(set.count, 5000 - 1666);
    leat_mqtt_known_fini(&set);
}

// What the agent does with the shared object, as far as that goes without its other symbols.
static void test_library_entry(void **state)
{
    (void)state;
    char path[512];
    const char *folder = getenv("LEAT_DRIVERS"), *build = getenv("LEAT_BUILD");
    snprintf(path, sizeof path, "%s%s/leat_mqtt.so", folder ? folder : build ? build : "", folder ? "" : "/drivers");
    if (!folder && !build) {
        print_message("left out: neither LEAT_DRIVERS nor LEAT_BUILD tells where leat_mqtt.so was built\n");
        skip();
    }
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (!library)
        fail_msg("%s", dlerror());
    const leat_driver_library *entry = dlsym(library, "leat_driver_library_entry");
    assert_non_null(entry);
    assert_int_equal(entry->abi, LEAT_DRIVER_ABI);
    assert_string_equal(entry->sources[0]->name, "mqtt");
    assert_string_equal(entry->sinks[0]->name, "mqtt");
    dlclose(library);
}

int main(int count, char **arguments)
{
    env = leat_env_posix(0);
    if (count == 6 && strcmp(arguments[1], "--source") == 0)
        source_process(arguments + 2);
    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_packets),
        cmocka_unit_test(test_library_entry),
        CASE(test_delivery),
        CASE(test_topic_and_retained),
        CASE(test_too_large_and_empty),
        CASE(test_no_room),
        CASE(test_broker_killed),
        CASE(test_tls),
        CASE(test_refused_login),
        CASE(test_kills_qos2_v5),
        CASE(test_kills_qos2_v311),
        CASE(test_kills_qos1_v5),
        CASE(test_kills_qos1_v311),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
