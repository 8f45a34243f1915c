// Settings, table and description of the format `json`.
#include "drivers/format/json.h"

static leat_json_settings settings_of(const leat_format_setup *setup)
{
    return setup->settings ? *(const leat_json_settings *)setup->settings : (leat_json_settings){0};
}

static leat_json_plan plan_of(const leat_source_field *field)
{
    leat_type type = field->type;
    switch ((leat_kind)type.kind) {
    case LEAT_KIND_TINYINT:
    case LEAT_KIND_SMALLINT:
    case LEAT_KIND_INT:
    case LEAT_KIND_BIGINT:
        return (leat_json_plan){LEAT_JSON_INTEGER, leat_integer_min(type), leat_integer_max(type), NULL};
    case LEAT_KIND_DOUBLE:
        return (leat_json_plan){.action = LEAT_JSON_DOUBLE};
    case LEAT_KIND_STRING:
        return (leat_json_plan){.action = LEAT_JSON_TEXT};
    case LEAT_KIND_BOOLEAN:
        return (leat_json_plan){.action = LEAT_JSON_BOOLEAN};
    case LEAT_KIND_TIMESTAMP:
    case LEAT_KIND_TIMESTAMP_LTZ:
        if (field->time_unit == LEAT_TIME_UNIT_MS)
            return (leat_json_plan){LEAT_JSON_INTEGER, 0, 253402300799999, NULL}; // others are general's business
        return (leat_json_plan){0};
    default:
        return (leat_json_plan){0};
    }
}

static leat_code open_decoder(leat_json_format *self, leat_error *out_error)
{
    const leat_format_setup *setup = self->format.setup;
    self->plans = leat_arena_array(setup->arena, leat_json_plan, setup->field_count);
    self->seen = leat_arena_array(setup->arena, uint64_t, setup->field_count);
    self->misfits = leat_arena_array(setup->arena, leat_json_misfit, setup->field_count);
    for (uint32_t i = 0; i < setup->field_count; i++)
        self->plans[i] = plan_of(&setup->fields[i]);
    leat_topic_columns_init(&self->topics, setup);
    leat_code code = leat_json_paths_build(self, out_error);
    if (code == LEAT_OK)
        leat_json_shape_init(self, setup->arena, setup->field_count);
    return code;
}

static leat_code leat_json_open(leat_format *format, const leat_format_setup *setup, leat_error *out_error)
{
    leat_json_format *self = (leat_json_format *)format;
    format->setup = setup;
    self->settings = settings_of(setup);
    if (setup->schema)
        leat_json_encode_init(self);
    return setup->fields ? open_decoder(self, out_error) : LEAT_OK;
}

static void leat_json_close(leat_format *format)
{
    (void)format; // everything lies in the setup's arena
}

static void leat_json_encode_header(leat_format *format, leat_writer *out)
{
    (void)format;
    (void)out;
}

static const char *const timestamps[] = {"iso", "ms", NULL};
static const leat_setting settings[] = {
    {.name = "timestamps",
     .type = LEAT_SETTING_CHOICE,
     .offset = offsetof(leat_json_settings, timestamps),
     .default_text = "iso",
     .choices = timestamps,
     .text = "How instants are written: as text (ISO 8601) or as milliseconds since 1970."},
};

const leat_format_description leat_format_json_description = {
    .name = "json",
    .summary = "JSON objects: one a message, one a line, or an array of them",
    .settings = {settings, sizeof settings / sizeof *settings, sizeof(leat_json_settings)},
    .decodes = true,
    .encodes = true,
};

const leat_format_ops leat_format_json_ops = {
    .name = "json",
    .instance_size = sizeof(leat_json_format),
    .open = leat_json_open,
    .close = leat_json_close,
    .decode = leat_json_decode,
    .encode = leat_json_encode,
    .encode_header = leat_json_encode_header,
};
