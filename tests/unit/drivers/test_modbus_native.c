// The Modbus source against a server of pymodbus that delays, drops, refuses and dies: over TCP, and over a serial line of two ptys.
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
// cmocka needs the headers above.
#include <cmocka.h>

#include "drivers/bus/modbus_settings.h"
#include "firmware-agent/platform/env_posix.h"
#include "tests/support/feed_probe.h"

extern const leat_source_ops leat_source_modbus_ops;

#define UNTIL(condition, seconds)                                                                                      \
    do {                                                                                                               \
        int64_t until_ms = leat_boot_ms(leat_env_posix(0)) + (seconds)*1000;                                           \
        while (!(condition)) {                                                                                         \
            if (leat_boot_ms(leat_env_posix(0)) > until_ms)                                                            \
                fail_msg("%s:%d: not within %d s: %s", __FILE__, __LINE__, (int)(seconds), #condition);                \
            usleep(2000);                                                                                              \
        }                                                                                                              \
    } while (0)

// ---- server

typedef struct server {
    pid_t pid;
    FILE *input, *output;
    char port[16];
} server;

static pid_t spawn(char *const *arguments, int input, int output)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // a failed test leaves nobody behind
        if (input >= 0)
            dup2(input, 0);
        if (output >= 0)
            dup2(output, 1);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    return pid;
}

static void server_start(server *self, char *mode, char *argument)
{
    char script[512];
    const char *source = getenv("LEAT_SOURCE");
    snprintf(script, sizeof script, "%s/tests/support/modbus_server.py", source ? source : ".");
    char *arguments[] = {"/usr/bin/python3", script, mode, argument, NULL};
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    self->pid = spawn(arguments, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    self->input = fdopen(in[1], "w");
    self->output = fdopen(out[0], "r");
    assert_non_null(fgets(self->port, sizeof self->port, self->output));
    self->port[strcspn(self->port, "\n")] = 0;
}

static char *server_do(server *self, const char *command)
{
    static char line[512];
    fprintf(self->input, "%s\n", command);
    fflush(self->input);
    assert_non_null(fgets(line, sizeof line, self->output));
    return line;
}

static void server_stop(server *self)
{
    kill(self->pid, SIGKILL);
    waitpid(self->pid, NULL, 0);
    fclose(self->input);
    fclose(self->output);
}

static int requests_of(server *self, int unit)
{
    char key[16];
    const char *log = server_do(self, "{\"log\": true}");
    snprintf(key, sizeof key, "\"%d\": ", unit);
    return atoi(strstr(log, key) + strlen(key));
}

// ---- source

typedef struct bench {
    server server;
    feed_probe probe;
    char url[256];
    leat_modbus_settings settings;
    int64_t units[8];
    leat_source_field fields[32];
    leat_modbus_field_settings own[32];
    uint32_t count;
} bench;

static leat_modbus_field_settings *field(bench *self, const char *name, leat_modbus_kind kind, int64_t address,
                                         leat_modbus_type type)
{
    leat_modbus_field_settings *own = &self->own[self->count];
    *own = (leat_modbus_field_settings){.address = {-1, -1, -1, -1}, .type = type, .bit = -1};
    own->address[kind] = address;
    self->fields[self->count++] = (leat_source_field){.name = leat_slice_text(name), .settings = own};
    return own;
}

static void prepare(bench *self, const char *url, uint32_t units)
{
    for (uint32_t i = 0; i < 8; i++)
        self->units[i] = i + 1;
    snprintf(self->url, sizeof self->url, "%s", url);
    self->settings = (leat_modbus_settings){.url = self->url,
                                            .units = {self->units, units},
                                            .poll_ms = 50,
                                            .timeout_ms = 200,
                                            .max_registers = 125,
                                            .join_gap = 8};
}

static void prepare_tcp(bench *self, uint32_t units)
{
    char url[64];
    memset(self, 0, sizeof *self);
    server_start(&self->server, "tcp", NULL);
    snprintf(url, sizeof url, "tcp://127.0.0.1:%s", self->server.port);
    prepare(self, url, units);
}

static void start(bench *self, const leat_source_ops *ops)
{
    for (uint32_t i = 0; i < self->count; i++)
        assert_true(leat_modbus_field_type(self->fields[i].settings, &self->fields[i].type));
    feed_probe_init(&self->probe, leat_env_posix(0));
    feed_probe_open(&self->probe, ops, &leat_source_modbus_description, &self->settings, self->fields, self->count);
    feed_probe_start(&self->probe);
}

static void finish(bench *self)
{
    int64_t took_ms = feed_probe_stop(&self->probe);
    if (took_ms > 2 * self->settings.timeout_ms + 100)
        fail_msg("stop took %lld ms", (long long)took_ms);
    feed_probe_fini(&self->probe);
    server_stop(&self->server);
}

static bool is_good(bench *self, uint32_t record)
{
    return leat_slice_is(feed_probe_value(&self->probe, record, "quality").text, "good");
}

static int64_t unit_of(bench *self, uint32_t record) { return feed_probe_value(&self->probe, record, "unit").i64; }

// Records of a unit from a record on, of one quality.
static uint32_t count_of(bench *self, uint32_t from, int64_t unit, bool good)
{
    uint32_t found = 0, end = feed_probe_records(&self->probe);
    for (uint32_t i = from; i < end; i++)
        found += unit_of(self, i) == unit && is_good(self, i) == good;
    return found;
}

static void assert_i64(bench *self, uint32_t record, const char *column, int64_t expected)
{
    leat_value value = feed_probe_value(&self->probe, record, column);
    assert_false(value.is_null);
    if (value.i64 != expected)
        fail_msg("record %u, %s: expected %lld, found %lld", record, column, (long long)expected, (long long)value.i64);
}

// ---- tests

static void check_values(const leat_source_ops *ops, bool by_name)
{
    static bench self;
    prepare_tcp(&self, 2);
    if (by_name) // resolved on a thread of glibc's own
        snprintf(self.url, sizeof self.url, "tcp://localhost:%s", self.server.port);
    server_do(&self.server,
              "{\"unit\": 1, \"set\": \"input\", \"address\": 0, \"values\": [0, 16968]}"); // 50.0f, low first
    server_do(&self.server, "{\"unit\": 2, \"set\": \"input\", \"address\": 0, \"values\": [0, 49736]}"); // -50.0f
    server_do(&self.server, "{\"unit\": 1, \"set\": \"holding\", \"address\": 10, \"values\": [65281]}"); // -255
    field(&self, "temperature", LEAT_MODBUS_INPUT, 0, LEAT_MODBUS_FLOAT32)->order = LEAT_MODBUS_CDAB;
    field(&self, "pressure", LEAT_MODBUS_HOLDING, 10, LEAT_MODBUS_INT16)->scale = 0.1;
    field(&self, "level", LEAT_MODBUS_HOLDING, 12, LEAT_MODBUS_AUTO);
    field(&self, "pump", LEAT_MODBUS_COIL, 7, LEAT_MODBUS_AUTO);
    field(&self, "door", LEAT_MODBUS_DISCRETE, 8, LEAT_MODBUS_BOOL);
    start(&self, ops);
    UNTIL(feed_probe_records(&self.probe) >= 4, 5);
    assert_true(unit_of(&self, 0) == 1 && unit_of(&self, 1) == 2);
    assert_true(is_good(&self, 0) && is_good(&self, 1));
    assert_true(feed_probe_value(&self.probe, 0, "temperature").f64 == 50.0);
    assert_true(feed_probe_value(&self.probe, 1, "temperature").f64 == -50.0);
    assert_true(fabs(feed_probe_value(&self.probe, 0, "pressure").f64 + 25.5) < 1e-9);
    assert_i64(&self, 0, "level", 12);
    assert_true(feed_probe_value(&self.probe, 0, "pump").boolean);
    assert_false(feed_probe_value(&self.probe, 0, "door").boolean);
    // One request for both holding fields: four blocks a poll and unit.
    uint64_t requests = feed_probe_counter(&self.probe, "requests"), records = feed_probe_records(&self.probe);
    assert_true(requests <= 4 * (records + 1));
    assert_true(self.probe.connected);
    finish(&self);
}

static void values_of_two_units(void **state)
{
    (void)state;
    check_values(&leat_source_modbus_ops, false);
}

static void resolved_by_name(void **state)
{
    (void)state;
    check_values(&leat_source_modbus_ops, true);
}

// The file that the agent loads, with the functions that it finds in the agent found in this program.
static void shared_object(void **state)
{
    (void)state;
    char path[512];
    const char *build = getenv("LEAT_BUILD");
    snprintf(path, sizeof path, "%s/drivers/leat_modbus.so", build ? build : "/tmp/mb-build");
#ifdef LEAT_SANITIZED // the sanitizers refuse DEEPBIND: the library's own functions give way to this program's
    int flags = RTLD_NOW | RTLD_LOCAL;
#else
    int flags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif
    void *library = dlopen(path, flags);
    if (!library)
        fail_msg("%s", dlerror());
    const leat_driver_library *entry = dlsym(library, "leat_driver_library_entry");
    assert_non_null(entry);
    assert_int_equal(entry->abi, LEAT_DRIVER_ABI);
    assert_string_equal(entry->sources[0]->name, "modbus");
    check_values(entry->sources[0], false);
}

static void dead_unit_costs_little(void **state)
{
    (void)state;
    static bench self;
    prepare_tcp(&self, 3);
    server_do(&self.server, "{\"unit\": 2, \"dead\": true}");
    field(&self, "a", LEAT_MODBUS_HOLDING, 5, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    sleep(4);
    uint32_t live = count_of(&self, 0, 1, true), other = count_of(&self, 0, 3, true),
             bad = count_of(&self, 0, 2, false);
    // 80 beats; the dead one is asked at 0, 1 and 3 s and takes 200 ms each time: 4 beats skipped for each.
    print_message("polls in 4 s at 50 ms: unit 1 %u, unit 3 %u, bad rows of the dead one %u, late %llu\n", live, other,
                  bad, (unsigned long long)feed_probe_counter(&self.probe, "late polls"));
    assert_true(live >= 60 && other >= 60 && bad >= 2 && bad <= 3);
    server_do(&self.server, "{\"unit\": 2, \"dead\": false}");
    UNTIL(count_of(&self, 0, 2, true) >= 2, 6);
    feed_probe_gap gap;
    assert_int_equal(feed_probe_gaps(&self.probe, "no-answer", &gap), 1);
    assert_true(gap.count >= 60 && gap.to_ms - gap.from_ms > 3500);
    finish(&self);
}

static void refused_register_is_left_out(void **state)
{
    (void)state;
    static bench self;
    prepare_tcp(&self, 1);
    server_do(&self.server, "{\"unit\": 1, \"illegal\": [6, 6]}"); // lies between the fields
    field(&self, "a", LEAT_MODBUS_HOLDING, 4, LEAT_MODBUS_AUTO);
    field(&self, "b", LEAT_MODBUS_HOLDING, 5, LEAT_MODBUS_AUTO);
    field(&self, "c", LEAT_MODBUS_HOLDING, 8, LEAT_MODBUS_AUTO);
    field(&self, "d", LEAT_MODBUS_HOLDING, 9, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    UNTIL(feed_probe_records(&self.probe) >= 5, 5);
    assert_true(is_good(&self, 0));
    assert_i64(&self, 0, "a", 4);
    assert_i64(&self, 4, "d", 9);
    assert_int_equal(feed_probe_counter(&self.probe, "splits"), 1); // remembered
    // Now a field itself is refused: the others stay.
    uint32_t before = feed_probe_records(&self.probe);
    server_do(&self.server, "{\"unit\": 1, \"illegal\": [8, 8]}");
    UNTIL(feed_probe_records(&self.probe) >= before + 4, 5);
    assert_false(is_good(&self, before + 3));
    assert_true(feed_probe_value(&self.probe, before + 3, "c").is_null);
    assert_i64(&self, before + 3, "d", 9);
    assert_i64(&self, before + 3, "b", 5);
    assert_int_equal(feed_probe_gaps(&self.probe, "no-answer", NULL), 0);
    finish(&self);
}

static void server_restarts(void **state)
{
    (void)state;
    static bench self;
    prepare_tcp(&self, 2);
    field(&self, "a", LEAT_MODBUS_HOLDING, 5, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    UNTIL(feed_probe_records(&self.probe) >= 4, 5);
    // Dropped connections are made again without the loss of a poll.
    server_do(&self.server, "{\"drop\": true}");
    uint32_t before = feed_probe_records(&self.probe);
    UNTIL(feed_probe_records(&self.probe) >= before + 6, 5);
    assert_int_equal(count_of(&self, 0, 1, false) + count_of(&self, 0, 2, false), 0);
    assert_true(feed_probe_counter(&self.probe, "connects") >= 2);
    char port[16];
    strcpy(port, self.server.port);
    server_stop(&self.server);
    UNTIL(count_of(&self, 0, 1, false) >= 1 && count_of(&self, 0, 2, false) >= 1, 5);
    UNTIL(!self.probe.connected, 2);
    uint32_t down = feed_probe_records(&self.probe);
    server_start(&self.server, "tcp", port);
    UNTIL(count_of(&self, down, 1, true) >= 2 && count_of(&self, down, 2, true) >= 2, 10);
    feed_probe_gap gap;
    assert_int_equal(feed_probe_gaps(&self.probe, "link-down", &gap), 2);
    assert_true(gap.count >= 1);
    assert_true(self.probe.connected);
    finish(&self);
}

static void late_answer_over_tcp(void **state)
{
    (void)state;
    static bench self;
    prepare_tcp(&self, 1);
    self.settings.join_gap = 0;
    field(&self, "a", LEAT_MODBUS_HOLDING, 100, LEAT_MODBUS_AUTO);
    field(&self, "b", LEAT_MODBUS_HOLDING, 200, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    UNTIL(feed_probe_records(&self.probe) >= 2, 5);
    server_do(&self.server, "{\"unit\": 1, \"delay_ms\": 300, \"times\": 1}");
    UNTIL(count_of(&self, 0, 1, false) == 1, 5);
    uint32_t from = feed_probe_records(&self.probe);
    UNTIL(count_of(&self, from, 1, true) >= 5, 5);
    for (uint32_t i = 0; i < feed_probe_records(&self.probe); i++)
        if (is_good(&self, i)) {
            assert_i64(&self, i, "a", 100);
            assert_i64(&self, i, "b", 200);
        }
    finish(&self);
}

static void gateway_says_that_a_unit_is_absent(void **state)
{
    (void)state;
    static bench self;
    prepare_tcp(&self, 2);
    server_do(&self.server, "{\"unit\": 2, \"exception\": 11, \"times\": -1}");
    field(&self, "a", LEAT_MODBUS_HOLDING, 5, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    UNTIL(count_of(&self, 0, 1, true) >= 30, 10);
    assert_true(requests_of(&self.server, 2) <= 2); // it rests
    assert_int_equal(feed_probe_counter(&self.probe, "connects"), 1);
    finish(&self);
}

static void journal_is_full(void **state)
{
    (void)state;
    static bench self;
    prepare_tcp(&self, 1);
    field(&self, "a", LEAT_MODBUS_HOLDING, 5, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    UNTIL(feed_probe_records(&self.probe) >= 2, 5);
    pthread_mutex_lock(&self.probe.lock);
    self.probe.held = true;
    pthread_mutex_unlock(&self.probe.lock);
    UNTIL(feed_probe_counter(&self.probe, "readings shed") >= 5, 5);
    pthread_mutex_lock(&self.probe.lock);
    self.probe.held = false;
    self.probe.full = true;
    pthread_mutex_unlock(&self.probe.lock);
    UNTIL(feed_probe_counter(&self.probe, "readings shed") >= 8, 5);
    pthread_mutex_lock(&self.probe.lock);
    self.probe.full = false;
    pthread_mutex_unlock(&self.probe.lock);
    feed_probe_gap gap;
    UNTIL(feed_probe_gaps(&self.probe, "journal-full", &gap) == 1, 5);
    assert_int_equal(gap.count, feed_probe_counter(&self.probe, "readings shed"));
    finish(&self);
}

static void nobody_listens(void **state)
{
    (void)state;
    static bench self;
    prepare_tcp(&self, 1);
    snprintf(self.url, sizeof self.url, "tcp://no-such-host.invalid:502");
    field(&self, "a", LEAT_MODBUS_HOLDING, 5, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    UNTIL(feed_probe_records(&self.probe) >= 1, 10);
    assert_false(is_good(&self, 0));
    assert_non_null(strstr(self.probe.note, "no-such-host.invalid"));
    finish(&self);
}

// libmodbus would end the process.
static void too_many_descriptors(void **state)
{
    (void)state;
    static bench self;
    struct rlimit limit, more;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    more = limit;
    more.rlim_cur = more.rlim_max < 2000 ? more.rlim_max : 2000;
    if (more.rlim_cur < 1100 || setrlimit(RLIMIT_NOFILE, &more) != 0) {
        print_message("left out: this machine does not let a process open 1,100 descriptors\n");
        skip();
    }
    prepare_tcp(&self, 1);
    field(&self, "a", LEAT_MODBUS_HOLDING, 5, LEAT_MODBUS_AUTO);
    static int opened[1100];
    int count = 0;
    while (count < 1100 && (opened[count] = dup(0)) >= 0 && opened[count] < 1060)
        count++;
    start(&self, &leat_source_modbus_ops);
    UNTIL(feed_probe_records(&self.probe) >= 1, 5);
    assert_false(is_good(&self, 0));
    assert_non_null(strstr(self.probe.note, "too many open files"));
    while (count-- > 0)
        close(opened[count]);
    UNTIL(count_of(&self, 0, 1, true) >= 1, 10);
    finish(&self);
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void not_running_is_a_gap(void **state)
{
    (void)state;
    static bench self;
    prepare_tcp(&self, 1);
    field(&self, "a", LEAT_MODBUS_HOLDING, 5, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    UNTIL(feed_probe_records(&self.probe) >= 2, 5);
    feed_probe_stop(&self.probe);
    assert_int_equal(feed_probe_gaps(&self.probe, "not-running", NULL), 0);
    usleep(500000);
    feed_probe_start(&self.probe);
    feed_probe_gap gap;
    UNTIL(feed_probe_gaps(&self.probe, "not-running", &gap) == 1, 5);
    assert_in_range(gap.count, 9, 15);
    finish(&self);
}

// ---- serial

static pid_t ptys;
static char line_of_server[128], line_of_agent[128];

static void prepare_serial(bench *self, uint32_t units)
{
    char a[192], b[192], url[256];
    snprintf(line_of_server, sizeof line_of_server, "/tmp/leat-modbus-%d-a", getpid());
    snprintf(line_of_agent, sizeof line_of_agent, "/tmp/leat-modbus-%d-b", getpid());
    snprintf(a, sizeof a, "pty,raw,echo=0,link=%s", line_of_server);
    snprintf(b, sizeof b, "pty,raw,echo=0,link=%s", line_of_agent);
    char *arguments[] = {"socat", a, b, NULL};
    ptys = spawn(arguments, -1, -1);
    UNTIL(access(line_of_agent, R_OK) == 0 && access(line_of_server, R_OK) == 0, 5);
    memset(self, 0, sizeof *self);
    server_start(&self->server, "rtu", line_of_server);
    snprintf(url, sizeof url, "rtu:%s?baud=115200&parity=none", line_of_agent);
    prepare(self, url, units);
}

static void finish_serial(bench *self)
{
    finish(self);
    kill(ptys, SIGTERM);
    waitpid(ptys, NULL, 0);
}

static void assert_all_true(bench *self)
{
    for (uint32_t i = 0; i < feed_probe_records(&self->probe); i++)
        if (is_good(self, i)) {
            assert_i64(self, i, "a", 100 + 1000 * (unit_of(self, i) == 2));
            assert_i64(self, i, "b", 200);
            assert_i64(self, i, "c", 300);
        }
}

// The answer to `a` comes when `b` may have been asked; libmodbus alone would take it for b's, and so on for ever.
static void late_answers_on_a_bus(void **state)
{
    (void)state;
    static bench self;
    prepare_serial(&self, 2);
    server_do(&self.server, "{\"unit\": 2, \"set\": \"holding\", \"address\": 100, \"values\": [1100]}");
    field(&self, "a", LEAT_MODBUS_HOLDING, 100, LEAT_MODBUS_AUTO);
    field(&self, "b", LEAT_MODBUS_HOLDING, 200, LEAT_MODBUS_AUTO);
    field(&self, "c", LEAT_MODBUS_HOLDING, 300, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    UNTIL(count_of(&self, 0, 1, true) >= 3 && count_of(&self, 0, 2, true) >= 3, 10);
    static const int delays_ms[] = {210, 250, 320, 390};
    for (size_t i = 0; i < sizeof delays_ms / sizeof *delays_ms; i++) {
        char command[96];
        uint32_t from = feed_probe_records(&self.probe);
        snprintf(command, sizeof command, "{\"unit\": 1, \"delay_ms\": %d, \"times\": 1}", delays_ms[i]);
        server_do(&self.server, command);
        UNTIL(count_of(&self, from, 1, false) >= 1, 5);
        UNTIL(count_of(&self, from, 1, true) >= 3 && count_of(&self, from, 2, true) >= 3, 10);
        assert_int_equal(count_of(&self, from, 2, false), 0); // the other unit does not pay with a reading
    }
    assert_all_true(&self);
    print_message("%u records, timeouts %llu, damaged answers %llu\n", feed_probe_records(&self.probe),
                  (unsigned long long)feed_probe_counter(&self.probe, "timeouts"),
                  (unsigned long long)feed_probe_counter(&self.probe, "damaged answers"));
    finish_serial(&self);
}

static void dead_unit_on_a_bus(void **state)
{
    (void)state;
    static bench self;
    prepare_serial(&self, 2);
    server_do(&self.server, "{\"unit\": 2, \"dead\": true}");
    field(&self, "a", LEAT_MODBUS_HOLDING, 100, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    sleep(4);
    uint32_t live = count_of(&self, 0, 1, true);
    print_message("bus: polls of the live unit in 4 s at 50 ms: %u\n", live);
    assert_true(live >= 45); // a try costs two timeouts here: the answer's and the wait for a late one
    assert_true(count_of(&self, 0, 1, false) == 0);
    finish_serial(&self);
}

static void serial_line_vanishes(void **state)
{
    (void)state;
    static bench self;
    prepare_serial(&self, 1);
    field(&self, "a", LEAT_MODBUS_HOLDING, 100, LEAT_MODBUS_AUTO);
    start(&self, &leat_source_modbus_ops);
    UNTIL(count_of(&self, 0, 1, true) >= 3, 5);
    server_stop(&self.server);
    kill(ptys, SIGTERM);
    waitpid(ptys, NULL, 0);
    UNTIL(count_of(&self, 0, 1, false) >= 1, 5);
    UNTIL(feed_probe_counter(&self.probe, "connects") >= 2, 5);
    uint32_t before = feed_probe_records(&self.probe);
    bench again;
    prepare_serial(&again, 1);
    self.server = again.server;
    UNTIL(count_of(&self, before, 1, true) >= 3, 15);
    finish_serial(&self);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_two_units),
        cmocka_unit_test(shared_object),
        cmocka_unit_test(resolved_by_name),
        cmocka_unit_test(dead_unit_costs_little),
        cmocka_unit_test(refused_register_is_left_out),
        cmocka_unit_test(server_restarts),
        cmocka_unit_test(late_answer_over_tcp),
        cmocka_unit_test(gateway_says_that_a_unit_is_absent),
        cmocka_unit_test(journal_is_full),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(too_many_descriptors),
        cmocka_unit_test(not_running_is_a_gap),
        cmocka_unit_test(late_answers_on_a_bus),
        cmocka_unit_test(dead_unit_on_a_bus),
        cmocka_unit_test(serial_line_vanishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
