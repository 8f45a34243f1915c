#include "firmware-agent/control/json_writer.h"

static void write_text(leat_writer *out, leat_slice text)
{
    leat_write_u8(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = (uint8_t)text.data[i];
        if (c == '"' || c == '\\')
            leat_write_format(out, "\\%c", c);
        else if (c < 0x20)
            leat_write_format(out, "\\u%04x", c);
        else
            leat_write_u8(out, c);
    }
    leat_write_u8(out, '"');
}

static void begin(leat_json_writer *json, const char *name)
{
    if (json->comma)
        leat_write_u8(json->out, ',');
    json->comma = true;
    if (!name)
        return;
    write_text(json->out, leat_slice_text(name));
    leat_write_u8(json->out, ':');
}

void leat_json_open(leat_json_writer *json, const char *name, char bracket)
{
    begin(json, name);
    leat_write_u8(json->out, (uint8_t)bracket);
    json->comma = false;
}

void leat_json_close(leat_json_writer *json, char bracket)
{
    leat_write_u8(json->out, (uint8_t)bracket);
    json->comma = true;
}

void leat_json_text(leat_json_writer *json, const char *name, leat_slice value)
{
    begin(json, name);
    write_text(json->out, value);
}

void leat_json_string(leat_json_writer *json, const char *name, const char *value)
{
    if (value)
        leat_json_text(json, name, leat_slice_text(value));
    else
        leat_json_null(json, name);
}

void leat_json_number(leat_json_writer *json, const char *name, int64_t value)
{
    begin(json, name);
    leat_write_format(json->out, "%lld", (long long)value);
}

void leat_json_unsigned(leat_json_writer *json, const char *name, uint64_t value)
{
    begin(json, name);
    leat_write_format(json->out, "%llu", (unsigned long long)value);
}

void leat_json_bool(leat_json_writer *json, const char *name, bool value)
{
    begin(json, name);
    leat_write_text(json->out, value ? "true" : "false");
}

void leat_json_null(leat_json_writer *json, const char *name)
{
    begin(json, name);
    leat_write_text(json->out, "null");
}
