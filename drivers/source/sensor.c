// Sensors of the board through sysfs: hwmon, I2C, IIO, 1-wire and thermal zones, read on a beat.
//
// Journal record (version 1), little-endian: u8 version, u8 quality (0 good, 1 bad), f64 value when good. The topic is the
// device as the user wrote it. The numbers in sysfs (hwmon3) change from boot to boot, so a device is found by its `name` file, which is
// read again with every reading: another chip may have taken the number over. While it is away there is a row of quality
// 'bad' when it goes and then after 1 s, 2, up to 60; what was missed becomes a gap when it is back.
#include "drivers/source/sensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drivers/source/poll.h"

enum {
    RECORD_VERSION = 1,
    RECORD_HEAD = 2,
    RECORD_SIZE = RECORD_HEAD + 8,
    PATH_SIZE = 512,
    PART_SIZE = 96,
    TEXT_SIZE = 256, // of a file of sysfs
};

typedef struct sensor_class {
    const char *name;      // "hwmon", the first part of `device`
    const char *directory; // below root
    const char *prefix;    // of the entries that are devices
    const char *named_by;  // file that says what a device is; NULL: the second part is the entry's own name
    const char *below; // folder in the device whose only entry with the prefix has the files; NULL: the device itself
    uint8_t parts;     // of `device`, with the class
} sensor_class;

static const sensor_class classes[] = {
    {"hwmon", "class/hwmon", "hwmon", "name", NULL, 3},
    {"i2c", "bus/i2c/devices", "hwmon", NULL, "hwmon", 3},
    {"iio", "bus/iio/devices", "iio:device", "name", NULL, 3},
    {"w1", "bus/w1/devices", "", NULL, NULL, 2},
    {"thermal", "class/thermal", "thermal_zone", "type", NULL, 2},
};
enum { CLASSES = sizeof classes / sizeof *classes };

typedef struct sensor {
    const char *device;
    const sensor_class *class;
    char which[PART_SIZE], channel[PART_SIZE];
    char directory[PATH_SIZE]; // empty: not found
    leat_outage outage;
    int64_t backoff_ms, next_bad_ns;
} sensor;

typedef struct sensor_source {
    leat_source source;
    const leat_sensor_settings *settings;
    leat_env *env;
    leat_intake *intake;
    sensor *sensors;
    uint32_t count;
    leat_outage shed;
    int quality_column; // of the decoder; -1: not in the schema
} sensor_source;

// ---- device names

static bool take_part(const char **text, char out_part[PART_SIZE])
{
    size_t size = strcspn(*text, "/");
    if (size == 0 || size >= PART_SIZE || **text == '.')
        return false;
    memcpy(out_part, *text, size);
    out_part[size] = 0;
    *text += size + ((*text)[size] == '/');
    return true;
}

static bool parse_device(const char *device, sensor *out)
{
    char class[PART_SIZE];
    const char *rest = device;
    *out = (sensor){.device = device};
    if (!take_part(&rest, class) || !take_part(&rest, out->which))
        return false;
    for (size_t i = 0; i < CLASSES; i++)
        if (strcmp(classes[i].name, class) == 0)
            out->class = &classes[i];
    bool named = out->class && (out->class->parts == 2 || take_part(&rest, out->channel));
    return named && *rest == 0;
}

// ---- files

// Text of a small file without the line's end; false when it cannot be read.
static bool read_text(leat_env *env, const char *directory, const char *name, char out_text[TEXT_SIZE])
{
    char path[PATH_SIZE + PART_SIZE + 16];
    leat_file *file = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (env->ops->open(env, path, LEAT_OPEN_READ, &file, NULL) != LEAT_OK)
        return false;
    leat_code code = env->ops->pread(file, out_text, TEXT_SIZE - 1, 0, &size, NULL);
    env->ops->close(env, file);
    out_text[code == LEAT_OK ? size : 0] = 0;
    while (size > 0 && (out_text[size - 1] == '\n' || out_text[size - 1] == ' '))
        out_text[--size] = 0;
    return code == LEAT_OK;
}

static bool read_number(leat_env *env, const char *directory, const char *name, double *out)
{
    char text[TEXT_SIZE];
    return read_text(env, directory, name, text) && leat_double_parse(leat_slice_text(text), out) && isfinite(*out);
}

// ---- finding

typedef struct finding {
    leat_env *env;
    const sensor *sensor;
    const char *parent, *prefix;
    unsigned long best; // the lowest number, when several carry the name
    bool found;
    char directory[PATH_SIZE];
} finding;

static bool is_named(leat_env *env, const sensor *self, const char *directory)
{
    char text[TEXT_SIZE];
    return !self->class->named_by ||
           (read_text(env, directory, self->class->named_by, text) && strcmp(text, self->which) == 0);
}

static bool digits_of(const char *text, unsigned long *out)
{
    *out = 0;
    for (const char *digit = text; *digit; digit++) {
        if (*digit < '0' || *digit > '9' || digit - text > 8)
            return false;
        *out = *out * 10 + (unsigned long)(*digit - '0');
    }
    return *text != 0;
}

static bool visit_entry(void *context, const char *name)
{
    finding *self = context;
    char directory[PATH_SIZE];
    unsigned long number;
    size_t prefix = strlen(self->prefix);
    if (strncmp(name, self->prefix, prefix) != 0 || !digits_of(name + prefix, &number) ||
        (self->found && number >= self->best))
        return true;
    int size = snprintf(directory, sizeof directory, "%s/%s", self->parent, name);
    if (size < 0 || (size_t)size >= sizeof directory || !is_named(self->env, self->sensor, directory))
        return true;
    memcpy(self->directory, directory, sizeof directory);
    self->best = number;
    self->found = true;
    return true;
}

static bool find_device(sensor_source *self, sensor *wanted)
{
    char parent[PATH_SIZE];
    const sensor_class *class = wanted->class;
    const char *root = self->settings->root;
    int size = class->named_by ? snprintf(parent, sizeof parent, "%s/%s", root, class->directory)
                               : snprintf(parent, sizeof parent, "%s/%s/%s%s%s", root, class->directory, wanted->which,
                                          class->below ? "/" : "", class->below ? class->below : "");
    wanted->directory[0] = 0;
    if (size < 0 || (size_t)size >= sizeof parent)
        return false;
    if (!class->named_by && !class->below) { // w1: the entry is the device
        memcpy(wanted->directory, parent, sizeof parent);
        return true;
    }
    finding search = {.env = self->env, .sensor = wanted, .parent = parent, .prefix = class->prefix};
    if (self->env->ops->list(self->env, parent, visit_entry, &search, NULL) != LEAT_OK || !search.found)
        return false;
    memcpy(wanted->directory, search.directory, sizeof search.directory);
    return true;
}

// ---- values

// Factors to the unit without prefix: degC, V, A, W, J, Hz, %, Pa.
static double factor_of(const char *channel, bool iio)
{
    static const struct {
        const char *prefix;
        double hwmon, iio;
    } factors[] = {
        {"temp", 1e-3, 1e-3}, {"in", 1e-3, 1},          {"curr", 1e-3, 1e-3}, {"power", 1e-6, 1e-3},
        {"energy", 1e-6, 1},  {"humidity", 1e-3, 1e-3}, {"voltage", 1, 1e-3}, {"altvoltage", 1, 1e-3},
        {"current", 1, 1e-3}, {"pressure", 1, 1e3},     {"fan", 1, 1},
    };
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        size_t size = strlen(factors[i].prefix);
        if (strncmp(channel, factors[i].prefix, size) != 0)
            continue;
        if (iio || (channel[size] >= '0' && channel[size] <= '9')) // in0, not intrusion0
            return iio ? factors[i].iio : factors[i].hwmon;
    }
    return 1;
}

static bool read_hwmon(leat_env *env, const sensor *self, double *out)
{
    char name[PART_SIZE + 16];
    snprintf(name, sizeof name, "%s%s", self->channel, strchr(self->channel, '_') ? "" : "_input");
    if (!read_number(env, self->directory, name, out))
        return false;
    *out *= factor_of(self->channel, false);
    return true;
}

// in_voltage0_scale, else in_voltage_scale, which all channels of the kind share.
static double iio_attribute(leat_env *env, const sensor *self, const char *attribute, double otherwise)
{
    char name[PART_SIZE + 16];
    double value;
    snprintf(name, sizeof name, "%s_%s", self->channel, attribute);
    if (read_number(env, self->directory, name, &value))
        return value;
    size_t size = strlen(self->channel);
    while (size > 0 && self->channel[size - 1] >= '0' && self->channel[size - 1] <= '9')
        size--;
    snprintf(name, sizeof name, "%.*s_%s", (int)size, self->channel, attribute);
    return read_number(env, self->directory, name, &value) ? value : otherwise;
}

static bool read_iio(leat_env *env, const sensor *self, double *out)
{
    char name[PART_SIZE + 16];
    const char *kind = strchr(self->channel, '_') ? strchr(self->channel, '_') + 1 : self->channel;
    snprintf(name, sizeof name, "%s_input", self->channel);
    if (!read_number(env, self->directory, name, out)) {
        snprintf(name, sizeof name, "%s_raw", self->channel);
        if (!read_number(env, self->directory, name, out))
            return false;
        *out = (*out + iio_attribute(env, self, "offset", 0)) * iio_attribute(env, self, "scale", 1);
    }
    *out *= factor_of(kind, true);
    return isfinite(*out);
}

// "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 .. t=23125"
static bool read_w1(leat_env *env, const sensor *self, double *out)
{
    char text[TEXT_SIZE];
    if (!read_text(env, self->directory, "w1_slave", text))
        return false;
    const char *line_end = strchr(text, '\n'), *number = line_end ? strstr(line_end, "t=") : NULL;
    bool checked = line_end && line_end - text > 4 && strncmp(line_end - 4, " YES", 4) == 0;
    if (!checked || !number || !leat_double_parse(leat_slice_text(number + 2), out))
        return false;
    *out *= 1e-3;
    return true;
}

static bool read_thermal(leat_env *env, const sensor *self, double *out)
{
    if (!read_number(env, self->directory, "temp", out))
        return false;
    *out *= 1e-3;
    return true;
}

static bool read_here(leat_env *env, const sensor *self, double *out)
{
    static bool (*const readers[CLASSES])(leat_env *, const sensor *, double *) = {read_hwmon, read_hwmon, read_iio,
                                                                                   read_w1, read_thermal};
    return self->directory[0] && is_named(env, self, self->directory) && readers[self->class - classes](env, self, out);
}

// ---- polls

static bool append(sensor_source *self, const sensor *from, bool bad, double value)
{
    uint8_t record[RECORD_SIZE] = {RECORD_VERSION, bad};
    uint64_t bits, position;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++)
        record[RECORD_HEAD + i] = (uint8_t)(bits >> (8 * i));
    leat_raw raw = {.arrival_ms = leat_wall_ms(self->env),
                    .tag = 1,
                    .topic = leat_slice_text(from->device),
                    .payload = leat_slice_of((char *)record, bad ? RECORD_HEAD : RECORD_SIZE)};
    if (self->intake->append(self->intake, &raw, &position) == LEAT_OK)
        return true;
    leat_outage_add(&self->shed, self->env, "journal-full", 1);
    self->intake->count(self->intake, "readings shed", 1);
    return false;
}

static void device_away(sensor_source *self, sensor *from)
{
    int64_t now_ns = leat_boot_ns(self->env);
    bool news = !from->outage.cause;
    leat_outage_add(&from->outage, self->env, "device-away", 1);
    if (!news && now_ns < from->next_bad_ns)
        return;
    from->backoff_ms = leat_poll_backoff(news ? 0 : from->backoff_ms);
    from->next_bad_ns = now_ns + from->backoff_ms * 1000000;
    append(self, from, true, 0);
    self->intake->count(self->intake, "bad readings", 1);
}

static void poll_sensor(sensor_source *self, sensor *from)
{
    double value;
    bool good = read_here(self->env, from, &value) || (find_device(self, from) && read_here(self->env, from, &value));
    if (!good) {
        device_away(self, from);
        return;
    }
    append(self, from, false, value);
    self->intake->count(self->intake, "readings", 1);
    leat_outage_end(&from->outage, self->env, self->intake);
}

static void note_state(sensor_source *self)
{
    char note[160];
    uint32_t away = 0;
    const char *first = NULL;
    for (uint32_t i = self->count; i-- > 0;)
        if (self->sensors[i].outage.cause) {
            away++;
            first = self->sensors[i].device;
        }
    bool connected = away < self->count;
    snprintf(note, sizeof note, "%s%s", away ? first : "all sensors answer", away ? " cannot be read" : "");
    self->intake->note(self->intake, connected, note);
}

static void poll_or_shed(sensor_source *self)
{
    if (self->intake->held(self->intake)) {
        leat_outage_add(&self->shed, self->env, "journal-full", self->count);
        self->intake->count(self->intake, "readings shed", self->count);
        return;
    }
    uint64_t before = self->shed.missed;
    for (uint32_t i = 0; i < self->count && !self->intake->stopping(self->intake); i++)
        poll_sensor(self, &self->sensors[i]);
    if (self->shed.missed == before)
        leat_outage_end(&self->shed, self->env, self->intake);
    note_state(self);
}

static leat_code sensor_run(leat_source *source, leat_error *out_error)
{
    sensor_source *self = (sensor_source *)source;
    leat_code code = leat_poll_downtime(self->env, self->intake, self->settings->every_ms, self->count);
    if (code != LEAT_OK)
        return leat_error_set(out_error, code, "the journal cannot be read");
    leat_poll_beat beat = {self->settings->every_ms * 1000000, leat_boot_ns(self->env)};
    beat.next_ns += beat.period_ns;
    for (bool stopping = self->intake->stopping(self->intake); !stopping;) {
        uint64_t late;
        poll_or_shed(self);
        stopping = leat_poll_wait(&beat, self->env, self->intake, &late);
        if (late)
            self->intake->count(self->intake, "late polls", late);
    }
    for (uint32_t i = 0; i < self->count; i++)
        leat_outage_end(&self->sensors[i].outage, self->env, self->intake);
    leat_outage_end(&self->shed, self->env, self->intake);
    return LEAT_OK;
}

static void sensor_stop(leat_source *source) { (void)source; } // run asks the intake

// ---- life

static void open_decoder(sensor_source *self, const leat_source_setup *setup)
{
    int column = (int)setup->field_count;
    self->quality_column = -1;
    for (uint32_t bit = LEAT_IMPLICIT_SOURCE; bit < LEAT_IMPLICIT_QUALITY; bit <<= 1)
        column += (setup->implicit & bit) != 0;
    if (setup->implicit & LEAT_IMPLICIT_QUALITY)
        self->quality_column = column;
}

static leat_code sensor_open(leat_source *source, const leat_source_setup *setup, leat_error *out_error)
{
    sensor_source *self = (sensor_source *)source;
    self->settings = setup->settings;
    self->env = setup->env;
    self->intake = setup->intake;
    if (setup->is_decoder) {
        open_decoder(self, setup);
        return LEAT_OK;
    }
    self->count = self->settings->devices.count;
    self->sensors = leat_arena_array(setup->arena, sensor, self->count);
    for (uint32_t i = 0; i < self->count; i++)
        if (!parse_device(self->settings->devices.items[i], &self->sensors[i]))
            return leat_error_set(out_error, LEAT_E_INVALID, "device: cannot read '%s'",
                                  self->settings->devices.items[i]);
    return LEAT_OK;
}

static void sensor_close(leat_source *source) { (void)source; }

// ---- decode

static bool parse_record(leat_slice payload, bool *out_bad, double *out_value)
{
    leat_reader reader;
    leat_reader_init(&reader, payload.data, payload.size);
    uint8_t version = leat_read_u8(&reader);
    *out_bad = leat_read_u8(&reader) != 0;
    *out_value = *out_bad ? 0 : leat_read_f64(&reader);
    return version == RECORD_VERSION && !reader.failed && leat_reader_left(&reader) == 0;
}

static void set_field(const leat_source_field *field, leat_column *column, uint32_t row, const leat_value *value,
                      leat_slice device, leat_arena *arena)
{
    leat_value text = {.text = device};
    leat_column_set(column, row, field->type.kind == LEAT_KIND_STRING ? &text : value, arena);
}

static leat_code sensor_decode(leat_source *source, const leat_raw *raw, size_t *offset, leat_decode_target *target)
{
    sensor_source *self = (sensor_source *)source;
    leat_batch *batch = target->batch;
    bool bad;
    leat_value value = {0};
    if (batch->count >= target->capacity)
        return LEAT_OK;
    *offset = raw->payload.size;
    if (!parse_record(raw->payload, &bad, &value.f64)) {
        target->reject(target, LEAT_DROP_UNDECODABLE, raw->payload, 0, NULL, "no sensor record of this release");
        return LEAT_OK;
    }
    value.is_null = bad;
    uint32_t row = batch->count++;
    for (uint32_t i = 0; i < source->setup->field_count; i++)
        set_field(&source->setup->fields[i], &batch->columns[i], row, &value, raw->topic, &batch->arena);
    if (self->quality_column >= 0)
        batch->columns[self->quality_column].text[row] = leat_slice_text(bad ? "bad" : "good");
    if (target->row_offsets)
        target->row_offsets[row] = 0;
    return LEAT_OK;
}

// ---- description

static leat_code check_field(const leat_source_field *field, leat_error *out_error)
{
    bool value = leat_slice_is(field->name, "value") && leat_type_physical(field->type) == LEAT_PHYSICAL_F64;
    bool device = leat_slice_is(field->name, "device") && field->type.kind == LEAT_KIND_STRING;
    return value || device
               ? LEAT_OK
               : leat_error_set(out_error, LEAT_E_INVALID,
                                "field '%.*s': a sensor has the fields `value: double` and `device: string`",
                                (int)field->name.size, field->name.data);
}

static leat_code sensor_check(const void *settings, const leat_source_field *fields, uint32_t field_count,
                              leat_error *out_error)
{
    const leat_sensor_settings *own = settings;
    sensor parsed;
    if (own->devices.count == 0)
        return leat_error_set(out_error, LEAT_E_INVALID, "device: expected at least one sensor");
    for (uint32_t i = 0; i < own->devices.count; i++)
        if (!parse_device(own->devices.items[i], &parsed))
            return leat_error_set(out_error, LEAT_E_INVALID,
                                  "device: expected hwmon/NAME/temp1, i2c/BUS-ADDRESS/temp1, iio/NAME/in_temp, "
                                  "w1/28-ID or thermal/TYPE, found '%s'",
                                  own->devices.items[i]);
    for (uint32_t i = 0; i < field_count; i++) {
        leat_code code = check_field(&fields[i], out_error);
        if (code != LEAT_OK)
            return code;
    }
    return LEAT_OK;
}

#define MEMBER(name) offsetof(leat_sensor_settings, name)
static const leat_setting settings_table[] = {
    {.name = "device",
     .type = LEAT_SETTING_TEXT_LIST,
     .offset = MEMBER(devices),
     .required = true,
     .text = "Sensor, or a list of them: hwmon/lm75/temp1, i2c/1-0048/temp1, iio/bme280/in_temp, w1/28-0316a2793cff, "
             "thermal/cpu-thermal."},
    {.name = "every",
     .type = LEAT_SETTING_DURATION,
     .offset = MEMBER(every_ms),
     .default_text = "1s",
     .minimum = 10,
     .maximum = 86400000,
     .text = "Time between two readings; one that is overdue is skipped and counted."},
    {.name = "root",
     .type = LEAT_SETTING_TEXT,
     .offset = MEMBER(root),
     .default_text = "/sys",
     .text = "Where sysfs is mounted."},
};

static const leat_source_field default_fields[] = {
    {.name = {"value", 5}, .type = {.kind = LEAT_KIND_DOUBLE}},
    {.name = {"device", 6}, .type = {.kind = LEAT_KIND_STRING}},
};

const leat_source_description leat_source_sensor_description = {
    .name = "sensor",
    .summary = "sensors of the board: hwmon, I2C, IIO, 1-wire, thermal zones",
    .settings = {settings_table, sizeof settings_table / sizeof *settings_table, sizeof(leat_sensor_settings)},
    .decodes = true,
    .implicit = LEAT_IMPLICIT_SOURCE | LEAT_IMPLICIT_TS | LEAT_IMPLICIT_QUALITY,
    .check = sensor_check,
    .default_fields = default_fields,
    .default_field_count = sizeof default_fields / sizeof *default_fields,
};

const leat_source_ops leat_source_sensor_ops = {
    .abi = LEAT_DRIVER_ABI,
    .size = sizeof(leat_source_ops),
    .name = "sensor",
    .instance_size = sizeof(sensor_source),
    .open = sensor_open,
    .close = sensor_close,
    .run = sensor_run,
    .stop = sensor_stop,
    .decode = sensor_decode,
};
