// What sources share that give a whole table again and again: its text in blocks of whole lines, and a mark behind them.
//
// Position, 9 bytes: version 1 (u8) | base (u64, little-endian): bytes of all readings before this one, so that no two rows ever have the
// same position. After a seek the table is read anew from its beginning.
//
// Usage: seek, then for each reading begin, reserve, fill text->bytes and size; next until it returns LEAT_AGAIN. Memory from the env.
#pragma once

#include <string.h>

#include "drivers/source.h"

enum { LEAT_TABLE_BYTES_MAX = 16 * 1024 * 1024, LEAT_TABLE_BLOCK = 65536, LEAT_TABLE_POSITION = 9 };

typedef struct leat_table_text {
    leat_env *env;
    char *bytes;
    size_t room, size, given;
    uint64_t base;
    bool giving;
    bool quoted; // a line end within double quotes does not end a line
    uint8_t token[LEAT_TABLE_POSITION];
} leat_table_text;

static inline void leat_table_fini(leat_table_text *text)
{
    if (text->bytes)
        leat_env_free(text->env, text->bytes, text->room);
    text->bytes = NULL;
    text->room = 0;
}

static inline leat_slice leat_table_position(leat_table_text *text)
{
    text->token[0] = 1;
    for (int i = 0; i < 8; i++)
        text->token[1 + i] = (uint8_t)(text->base >> (8 * i));
    return leat_slice_of((const char *)text->token, sizeof text->token);
}

static inline bool leat_table_seek(leat_table_text *text, leat_slice position)
{
    leat_reader reader;
    leat_reader_init(&reader, position.data, position.size);
    text->giving = false;
    text->base = 0;
    if (!position.size)
        return true;
    uint8_t version = leat_read_u8(&reader);
    text->base = leat_read_u64(&reader);
    return !reader.failed && version == 1 && !leat_reader_left(&reader);
}

// Room for that many bytes; what is there stays.
static inline bool leat_table_reserve(leat_table_text *text, size_t size)
{
    size_t room = text->room ? text->room : LEAT_TABLE_BLOCK;
    while (room < size)
        room *= 2;
    if (room == text->room)
        return true;
    char *grown = leat_env_grow(text->env, text->bytes, text->room, room);
    if (!grown)
        return false;
    text->bytes = grown;
    text->room = room;
    return true;
}

static inline void leat_table_begin(leat_table_text *text, size_t size)
{
    text->size = size;
    text->given = 0;
    text->giving = true;
}

// The end of the last whole line within a block, or of the first one behind it.
static inline size_t leat_table_cut(const leat_table_text *text)
{
    size_t end = 0;
    bool within = false;
    for (size_t i = text->given; i < text->size; i++) {
        within ^= text->quoted && text->bytes[i] == '"';
        if (text->bytes[i] != '\n' || within)
            continue;
        if (end && i + 1 - text->given > LEAT_TABLE_BLOCK)
            return end;
        end = i + 1;
    }
    return text->size - text->given > LEAT_TABLE_BLOCK && end ? end : text->size;
}

// The next block, then the mark; LEAT_AGAIN: all is given.
static inline leat_code leat_table_next(leat_table_text *text, int64_t arrival_ms, leat_raw *out_raw)
{
    if (!text->giving)
        return LEAT_AGAIN;
    *out_raw = (leat_raw){.arrival_ms = arrival_ms, .position = text->base + text->given};
    if (text->given == text->size) {
        out_raw->tag = LEAT_RAW_TABLE_END;
        out_raw->flags = LEAT_RAW_CONTROL;
        text->base += text->size + 1;
        text->giving = false;
        return LEAT_OK;
    }
    size_t end = leat_table_cut(text);
    out_raw->tag = 1;
    out_raw->flags =
        (uint8_t)(LEAT_RAW_BLOCK | (text->quoted ? 0 : LEAT_RAW_LINES) | (text->given ? 0 : LEAT_RAW_HEAD));
    out_raw->payload = leat_slice_of(text->bytes + text->given, end - text->given);
    text->given = end;
    return LEAT_OK;
}
