// Lines of a manifest, and the sums that both sides make: reading and writing of one format in one file.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firmware-agent/savepoint_struct.h"
#include "operators/base/checksum.h"
#include "operators/base/hash.h"

const char *const leat_savepoint_part_names[SAVEPOINT_PARTS] = {"state", "journal", "outbox"};

// ---- identity

uint64_t leat_savepoint_identity(const leat_plan_node *node)
{
    uint64_t hash = leat_hash(node->uid, strlen(node->uid));
    const char *computes =
        node->computes ? node->computes : node->label; // what keeps nothing has a number all the same
    if (computes && node->kind == LEAT_NODE_OPERATOR)
        hash = leat_hash_seeded(computes, strlen(computes), hash);
    for (uint32_t i = 0; node->kind == LEAT_NODE_OPERATOR && i < node->port_count; i++) {
        for (uint32_t k = 0; k < node->port_schemas[i]->count; k++) {
            char text[LEAT_TYPE_TEXT];
            const char *type = leat_type_print(node->port_schemas[i]->fields[k].type, text);
            hash = leat_hash_seeded(type, strlen(type), hash);
        }
    }
    return hash;
}

bool leat_savepoint_is_kept(const leat_plan_node *node)
{
    return node->kind == LEAT_NODE_SINK || (node->kind == LEAT_NODE_OPERATOR && node->stateful);
}

// ---- this machine

const char *leat_savepoint_byte_order(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first ? "little" : "big";
}

// ---- sums

static void put_u32(uint8_t bytes[4], uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

uint32_t leat_savepoint_block_crc(uint32_t size, const void *payload)
{
    uint8_t head[4];
    put_u32(head, size);
    return leat_crc32c(leat_crc32c(0, head, sizeof head), payload, size);
}

uint32_t leat_savepoint_entry_crc(uint32_t crc, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    uint8_t head[10] = {table, (uint8_t)group};
    put_u32(head + 2, (uint32_t)key.size);
    put_u32(head + 6, (uint32_t)value.size);
    crc = leat_crc32c(crc, head, sizeof head);
    crc = leat_crc32c(crc, key.data, key.size);
    return leat_crc32c(crc, value.data, value.size);
}

// ---- writing fields

void leat_savepoint_write_text(leat_writer *out, const char *name, const char *value)
{
    leat_write_format(out, " %s=\"", name);
    for (const char *c = value; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte == '"' || byte == '\\')
            leat_write_format(out, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            leat_write_format(out, "\\x%02x", byte);
        else
            leat_write_u8(out, byte);
    }
    leat_write_text(out, "\"");
}

void leat_savepoint_write_bytes(leat_writer *out, const char *name, leat_slice value)
{
    leat_write_format(out, " %s=%s", name, value.size ? "" : "-");
    for (size_t i = 0; i < value.size; i++)
        leat_write_format(out, "%02x", (uint8_t)value.data[i]);
}

// ---- reading fields

// The end of a value that begins at text[at]: the blank behind it, outside of quotes.
static size_t value_end(leat_slice line, size_t at)
{
    bool quoted = false;
    for (; at < line.size && (quoted || line.data[at] != ' '); at++) {
        if (quoted && line.data[at] == '\\')
            at++;
        else if (line.data[at] == '"')
            quoted = !quoted;
    }
    return at < line.size ? at : line.size;
}

static bool find_field(leat_slice line, const char *name, leat_slice *out_value)
{
    size_t name_size = strlen(name);
    for (size_t at = 0; at < line.size;) {
        size_t end = value_end(line, at);
        if (end - at > name_size && memcmp(line.data + at, name, name_size) == 0 && line.data[at + name_size] == '=') {
            *out_value = leat_slice_of(line.data + at + name_size + 1, end - at - name_size - 1);
            return true;
        }
        at = end + 1;
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// One byte of a quoted value from *at on; -1: no such thing.
static int unescape(leat_slice value, size_t *at)
{
    unsigned char byte = (unsigned char)value.data[(*at)++];
    if (byte != '\\')
        return byte;
    if (*at >= value.size)
        return -1;
    byte = (unsigned char)value.data[(*at)++];
    if (byte != 'x')
        return byte;
    if (*at + 2 > value.size)
        return -1;
    int high = hex_digit(value.data[*at]), low = hex_digit(value.data[*at + 1]);
    *at += 2;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool leat_savepoint_read_text(leat_slice line, const char *name, leat_arena *arena, const char **out_value)
{
    leat_slice value;
    if (!find_field(line, name, &value) || value.size < 2 || value.data[0] != '"' || value.data[value.size - 1] != '"')
        return false;
    value = leat_slice_of(value.data + 1, value.size - 2);
    char *text = leat_arena_calloc(arena, value.size + 1);
    size_t size = 0;
    for (size_t at = 0; at < value.size;) {
        int byte = unescape(value, &at);
        if (byte <= 0)
            return false;
        text[size++] = (char)byte;
    }
    *out_value = text;
    return true;
}

bool leat_savepoint_read_bytes(leat_slice line, const char *name, leat_arena *arena, leat_slice *out_value)
{
    leat_slice value;
    if (!find_field(line, name, &value))
        return false;
    *out_value = (leat_slice){"", 0};
    if (leat_slice_is(value, "-"))
        return true;
    char *bytes = leat_arena_calloc(arena, value.size / 2 + 1);
    for (size_t i = 0; i + 1 < value.size; i += 2) {
        int high = hex_digit(value.data[i]), low = hex_digit(value.data[i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i / 2] = (char)(high << 4 | low);
    }
    *out_value = leat_slice_of(bytes, value.size / 2);
    return value.size > 0 && value.size % 2 == 0;
}

static bool read_digits(leat_slice line, const char *name, int base, uint64_t *out_value)
{
    leat_slice value;
    char text[24], *end;
    if (!find_field(line, name, &value) || value.size == 0 || value.size >= sizeof text)
        return false;
    // Exactly as it was written, nothing that strtoull would forgive.
    for (size_t i = 0; i < value.size; i++)
        if (hex_digit(value.data[i]) < 0 && (base != 10 || i > 0 || value.data[i] != '-'))
            return false;
    memcpy(text, value.data, value.size);
    text[value.size] = 0;
    // Two's complement as it was written: a clock before 1970 has a sign.
    *out_value = text[0] == '-' ? (uint64_t)strtoll(text, &end, base) : strtoull(text, &end, base);
    return *end == 0;
}

bool leat_savepoint_read_word(leat_slice line, const char *name, leat_slice *out_word)
{
    return find_field(line, name, out_word);
}

bool leat_savepoint_read_number(leat_slice line, const char *name, uint64_t *out_value)
{
    return read_digits(line, name, 10, out_value);
}

bool leat_savepoint_read_hex(leat_slice line, const char *name, uint64_t *out_value)
{
    return read_digits(line, name, 16, out_value);
}
