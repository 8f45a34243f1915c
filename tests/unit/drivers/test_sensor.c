// The sensor source over a made-up sysfs: devices that appear, vanish, change their number, and files with garbage in them. No thread
// and no waiting: the clock is the test's, and each beat runs one step of the script.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
// cmocka needs the headers above.
#include <cmocka.h>

#include "drivers/source/sensor.h"
#include "tests/support/env_test.h"
#include "tests/support/feed_probe.h"

typedef struct fixture {
    env_test *test;
    feed_probe probe;
    char root[64];
    const char *devices[8];
    leat_sensor_settings settings;
    void (*script)(struct fixture *self, int beat); // after the beat-th reading
    int beat, beats;
} fixture;

static bool on_sleep(feed_probe *probe, int64_t ms)
{
    fixture *self = probe->context;
    env_test_advance(self->test, ms);
    self->beat++;
    if (self->script)
        self->script(self, self->beat);
    return self->beat >= self->beats;
}

static int setup(void **state)
{
    fixture *self = calloc(1, sizeof *self);
    strcpy(self->root, "/tmp/leat-sensor-XXXXXX");
    assert_non_null(mkdtemp(self->root));
    self->test = env_test_create();
    feed_probe_init(&self->probe, env_test_env(self->test));
    self->probe.on_sleep = on_sleep;
    self->probe.context = self;
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    fixture *self = *state;
    char command[128];
    feed_probe_fini(&self->probe);
    env_test_destroy(self->test);
    snprintf(command, sizeof command, "rm -rf %s", self->root);
    assert_int_equal(system(command), 0);
    free(self);
    return 0;
}

static void put(fixture *self, const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", self->root, path);
    for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void put_chip(fixture *self, int number, const char *name, const char *file, const char *text)
{
    char path[128], line[64];
    snprintf(path, sizeof path, "class/hwmon/hwmon%d/name", number);
    snprintf(line, sizeof line, "%s\n", name);
    put(self, path, line);
    snprintf(path, sizeof path, "class/hwmon/hwmon%d/%s", number, file);
    put(self, path, text);
}

static void take_away(fixture *self, const char *path)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s/%s", self->root, path);
    assert_int_equal(system(command), 0);
}

static void run(fixture *self, uint32_t devices, int beats)
{
    static const leat_source_description *const description = &leat_source_sensor_description;
    self->settings = (leat_sensor_settings){.devices = {self->devices, devices}, .root = self->root, .every_ms = 1000};
    feed_probe_open(&self->probe, &leat_source_sensor_ops, description, &self->settings, description->default_fields,
                    description->default_field_count);
    self->beats = beats;
    feed_probe_run(&self->probe);
}

// "23.5 -0.5 bad": what came, in order.
static const char *readings(fixture *self)
{
    static char text[2048];
    text[0] = 0;
    for (uint32_t i = 0; i < feed_probe_records(&self->probe); i++) {
        leat_value value = feed_probe_value(&self->probe, i, "value");
        bool bad = leat_slice_is(feed_probe_value(&self->probe, i, "quality").text, "bad");
        assert_int_equal(bad, value.is_null);
        size_t size = strlen(text);
        if (bad)
            snprintf(text + size, sizeof text - size, "%sbad", i ? " " : "");
        else
            snprintf(text + size, sizeof text - size, "%s%.10g", i ? " " : "", value.f64);
    }
    return text;
}

// ---- tests

static void test_values(void **state)
{
    fixture *self = *state;
    put_chip(self, 0, "cpu_fan", "fan1_input", "1200\n");
    put_chip(self, 3, "lm75", "temp1_input", "-500\n");
    put_chip(self, 3, "lm75", "in0_input", "3300\n");
    put(self, "bus/i2c/devices/1-0048/hwmon/hwmon7/temp1_input", "81000\n");
    put(self, "bus/iio/devices/iio:device1/name", "bme280\n");
    put(self, "bus/iio/devices/iio:device1/in_temp_input", "21340\n");
    put(self, "bus/iio/devices/iio:device0/name", "ads1015\n");
    put(self, "bus/iio/devices/iio:device0/in_voltage0_raw", "73\n");
    put(self, "bus/iio/devices/iio:device0/in_voltage_scale", "3.000000000\n");
    put(self, "bus/iio/devices/iio:device0/in_voltage0_offset", "-3\n");
    put(self, "bus/w1/devices/28-0316a2793cff/w1_slave",
        "f8 ff 4b 46 7f ff 0c 10 3c : crc=3c YES\nf8 ff 4b 46 7f ff 0c 10 3c t=-500\n");
    put(self, "class/thermal/thermal_zone0/type", "gpu-thermal\n");
    put(self, "class/thermal/thermal_zone0/temp", "1\n");
    put(self, "class/thermal/thermal_zone10/type", "cpu-thermal\n");
    put(self, "class/thermal/thermal_zone10/temp", "47250\n");
    static const char *const devices[] = {"hwmon/lm75/temp1",    "hwmon/cpu_fan/fan1",      "i2c/1-0048/temp1",
                                          "iio/bme280/in_temp",  "iio/ads1015/in_voltage0", "w1/28-0316a2793cff",
                                          "thermal/cpu-thermal", "hwmon/lm75/in0"};
    memcpy(self->devices, devices, sizeof devices);
    run(self, 8, 1);
    assert_string_equal(readings(self), "-0.5 1200 81 21.34 0.21 -0.5 47.25 3.3");
    for (uint32_t i = 0; i < 8; i++)
        assert_true(leat_slice_is(feed_probe_value(&self->probe, i, "device").text, devices[i]));
    assert_true(self->probe.connected);
}

static void vanish(fixture *self, int beat)
{
    if (beat == 2)
        take_away(self, "class/hwmon/hwmon3");
    if (beat == 10)
        put_chip(self, 5, "lm75", "temp1_input", "-500\n"); // another number
}

static void test_vanish_and_renumber(void **state)
{
    fixture *self = *state;
    put_chip(self, 3, "lm75", "temp1_input", "23500\n");
    self->devices[0] = "hwmon/lm75/temp1";
    self->script = vanish;
    run(self, 1, 12);
    // Beats 0 and 1 good, 2 to 9 away: bad at 2, then after 1 s, 2 and 4; 10 and 11 good.
    assert_string_equal(readings(self), "23.5 23.5 bad bad bad bad -0.5 -0.5");
    feed_probe_gap gap;
    assert_int_equal(feed_probe_gaps(&self->probe, "device-away", &gap), 1);
    assert_int_equal(gap.count, 8);
    assert_int_equal(gap.to_ms - gap.from_ms, 8000);
    assert_int_equal(feed_probe_counter(&self->probe, "bad readings"), 4);
}

static void swap(fixture *self, int beat)
{
    if (beat != 1)
        return;
    take_away(self, "class/hwmon/hwmon3");
    put_chip(self, 3, "other", "temp1_input", "99000\n"); // the number belongs to another chip now
    put_chip(self, 4, "lm75", "temp1_input", "24000\n");
}

static void test_number_taken_over(void **state)
{
    fixture *self = *state;
    put_chip(self, 3, "lm75", "temp1_input", "23500\n");
    self->devices[0] = "hwmon/lm75/temp1";
    self->script = swap;
    run(self, 1, 3);
    assert_string_equal(readings(self), "23.5 24 24");
    assert_int_equal(self->probe.gap_count, 0);
}

static void appear(fixture *self, int beat)
{
    if (beat == 1)
        put_chip(self, 0, "lm75", "temp1_input", "0\n");
}

static void test_away_from_the_start(void **state)
{
    fixture *self = *state;
    self->devices[0] = "hwmon/lm75/temp1";
    self->script = appear;
    run(self, 1, 2);
    assert_string_equal(readings(self), "bad 0");
}

static void garbage(fixture *self, int beat)
{
    static const char *const texts[] = {"", "\n", "garbage\n", "12x\n", "NaN\n", "1e999\n", "-0\n", "  \n", "-40000\n"};
    if (beat <= 9)
        put(self, "class/hwmon/hwmon0/temp1_input", texts[beat - 1]);
}

static void test_garbage(void **state)
{
    fixture *self = *state;
    put_chip(self, 0, "lm75", "temp1_input", "1000\n");
    self->devices[0] = "hwmon/lm75/temp1";
    self->script = garbage;
    run(self, 1, 10);
    assert_string_equal(readings(self), "1 bad bad bad -0 bad -40");
    assert_int_equal(feed_probe_gaps(&self->probe, "device-away", NULL), 2);
}

static void w1_script(fixture *self, int beat)
{
    static const char *const texts[] = {"f8 ff : crc=3c NO\nf8 ff t=23000\n", "t=23000\n", "x YES\n", " YES\nt=\n",
                                        "a : crc=3c YES\nf8 ff t=23125\n"};
    if (beat <= 5)
        put(self, "bus/w1/devices/28-01/w1_slave", texts[beat - 1]);
}

static void test_w1_checksum(void **state)
{
    fixture *self = *state;
    self->devices[0] = "w1/28-01";
    self->script = w1_script;
    run(self, 1, 6);
    assert_string_equal(readings(self), "bad bad bad 23.125");
    feed_probe_gap gap;
    feed_probe_gaps(&self->probe, "device-away", &gap);
    assert_int_equal(gap.count, 5);
}

static void hold(fixture *self, int beat)
{
    self->probe.held = beat >= 2 && beat < 5;
    self->probe.full = beat == 5;
}

static void test_journal_full(void **state)
{
    fixture *self = *state;
    put_chip(self, 0, "lm75", "temp1_input", "1000\n");
    self->devices[0] = "hwmon/lm75/temp1";
    self->script = hold;
    run(self, 1, 8);
    assert_string_equal(readings(self), "1 1 1 1");
    feed_probe_gap gap;
    assert_int_equal(feed_probe_gaps(&self->probe, "journal-full", &gap), 1);
    assert_int_equal(gap.count, 4);
}

// The wall clock is set: neither the beat nor the length of a gap changes.
static void jump(fixture *self, int beat)
{
    if (beat == 1)
        take_away(self, "class/hwmon/hwmon0");
    if (beat == 2)
        atomic_fetch_add(&self->test->wall_ms, 1000000000);
    if (beat == 4)
        put_chip(self, 0, "lm75", "temp1_input", "1000\n");
}

static void test_clock_jump(void **state)
{
    fixture *self = *state;
    put_chip(self, 0, "lm75", "temp1_input", "1000\n");
    self->devices[0] = "hwmon/lm75/temp1";
    self->script = jump;
    run(self, 1, 6);
    feed_probe_gap gap;
    assert_int_equal(feed_probe_gaps(&self->probe, "device-away", &gap), 1);
    assert_int_equal(gap.to_ms - gap.from_ms, 3000);
}

static void slow(fixture *self, int beat)
{
    if (beat == 2)
        env_test_advance(self->test, 3500); // the wait of 1 s took 4.5 s
}

static void test_late(void **state)
{
    fixture *self = *state;
    put_chip(self, 0, "lm75", "temp1_input", "1000\n");
    self->devices[0] = "hwmon/lm75/temp1";
    self->script = slow;
    run(self, 1, 4);
    assert_int_equal(feed_probe_counter(&self->probe, "late polls"), 3);
}

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *device;
        bool good;
    } cases[] = {{"hwmon/lm75/temp1", true}, {"iio/x/in_temp", true},
                 {"w1/28-00", true},         {"thermal/cpu", true},
                 {"i2c/1-0048/temp1", true}, {"hwmon/lm75", false},
                 {"hwmon/lm75/a/b", false},  {"w1/28/x", false},
                 {"other/x/y", false},       {"", false},
                 {"hwmon//temp1", false},    {"w1/../../etc", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_sensor_settings settings = {.devices = {&cases[i].device, 1}, .root = "/sys", .every_ms = 1000};
        leat_error error;
        leat_code code = leat_source_sensor_description.check(&settings, NULL, 0, &error);
        if ((code == LEAT_OK) != cases[i].good)
            fail_msg("%s", cases[i].device);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_values),
        TEST(test_vanish_and_renumber),
        TEST(test_number_taken_over),
        TEST(test_away_from_the_start),
        TEST(test_garbage),
        TEST(test_w1_checksum),
        TEST(test_journal_full),
        TEST(test_clock_jump),
        TEST(test_late),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
