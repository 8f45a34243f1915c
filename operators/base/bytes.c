#include "operators/base/bytes.h"

#include <stdio.h>
#include <string.h>

leat_slice leat_slice_text(const char *terminated)
{
    return terminated ? leat_slice_of(terminated, strlen(terminated)) : leat_slice_of("", 0);
}

bool leat_slice_equal(leat_slice a, leat_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool leat_slice_is(leat_slice a, const char *terminated) { return leat_slice_equal(a, leat_slice_text(terminated)); }

static unsigned char fold(char c) { return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); }

bool leat_slice_is_nocase(leat_slice a, const char *terminated)
{
    leat_slice b = leat_slice_text(terminated);
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (fold(a.data[i]) != fold(b.data[i]))
            return false;
    return true;
}

int leat_slice_compare(leat_slice a, leat_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

void leat_reader_init(leat_reader *reader, const void *bytes, size_t size)
{
    const uint8_t *begin = size ? bytes : (const uint8_t *)"";
    *reader = (leat_reader){.cursor = begin, .end = begin + size};
}

size_t leat_reader_left(const leat_reader *reader)
{
    return reader->failed ? 0 : (size_t)(reader->end - reader->cursor);
}

// The only place that moves the cursor: every read below goes through here.
static const uint8_t *take(leat_reader *reader, size_t size)
{
    if (reader->failed || size > (size_t)(reader->end - reader->cursor)) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *taken = reader->cursor;
    reader->cursor += size;
    return taken;
}

// Composed of shifts, which compilers turn into one load on little-endian machines.
static uint64_t take_little(leat_reader *reader, unsigned size)
{
    const uint8_t *bytes = take(reader, size);
    uint64_t value = 0;
    for (unsigned i = 0; bytes && i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static uint64_t take_big(leat_reader *reader, unsigned size)
{
    const uint8_t *bytes = take(reader, size);
    uint64_t value = 0;
    for (unsigned i = 0; bytes && i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

uint8_t leat_read_u8(leat_reader *reader) { return (uint8_t)take_little(reader, 1); }
uint16_t leat_read_u16(leat_reader *reader) { return (uint16_t)take_little(reader, 2); }
uint32_t leat_read_u32(leat_reader *reader) { return (uint32_t)take_little(reader, 4); }
uint64_t leat_read_u64(leat_reader *reader) { return take_little(reader, 8); }
uint16_t leat_read_u16be(leat_reader *reader) { return (uint16_t)take_big(reader, 2); }
uint32_t leat_read_u32be(leat_reader *reader) { return (uint32_t)take_big(reader, 4); }
uint64_t leat_read_u64be(leat_reader *reader) { return take_big(reader, 8); }

double leat_read_f64(leat_reader *reader)
{
    uint64_t bits = leat_read_u64(reader);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t leat_read_varint(leat_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t *byte = take(reader, 1);
        if (!byte)
            return 0;
        // The tenth byte carries bit 63 only; anything more does not fit into 64 bits.
        if (shift == 63 && *byte > 1)
            break;
        value |= (uint64_t)(*byte & 0x7F) << shift;
        if (!(*byte & 0x80))
            return value;
    }
    reader->failed = true;
    return 0;
}

int64_t leat_read_varint_signed(leat_reader *reader)
{
    uint64_t zigzag = leat_read_varint(reader);
    return (int64_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
}

leat_slice leat_read_bytes(leat_reader *reader, size_t size)
{
    const uint8_t *bytes = take(reader, size);
    return bytes ? leat_slice_of((const char *)bytes, size) : leat_slice_of("", 0);
}

leat_slice leat_read_sized(leat_reader *reader)
{
    uint64_t size = leat_read_varint(reader);
    if (size > leat_reader_left(reader)) { // also keeps a 64-bit size from being cut on 32-bit boards
        reader->failed = true;
        size = 0;
    }
    return leat_read_bytes(reader, (size_t)size);
}

enum { WRITER_CAPACITY_MIN = 64 };

void leat_writer_init(leat_writer *writer, leat_env *env, size_t limit)
{
    *writer = (leat_writer){.env = env, .limit = limit};
}

void leat_writer_fini(leat_writer *writer)
{
    if (writer->bytes)
        leat_env_free(writer->env, writer->bytes, writer->capacity);
    *writer = (leat_writer){.env = writer->env, .limit = writer->limit};
}

void leat_writer_reset(leat_writer *writer)
{
    writer->size = 0;
    writer->failed = false;
}

static bool writer_grow(leat_writer *writer, size_t needed)
{
    size_t capacity = writer->capacity < SIZE_MAX / 2 ? writer->capacity * 2 : SIZE_MAX;
    if (capacity < WRITER_CAPACITY_MIN)
        capacity = WRITER_CAPACITY_MIN;
    if (capacity < needed)
        capacity = needed;
    if (capacity > writer->limit)
        capacity = writer->limit;
    uint8_t *bytes = writer->bytes ? leat_env_grow(writer->env, writer->bytes, writer->capacity, capacity)
                                   : leat_env_alloc(writer->env, capacity);
    if (!bytes)
        return false;
    writer->bytes = bytes;
    writer->capacity = capacity;
    return true;
}

uint8_t *leat_writer_reserve(leat_writer *writer, size_t size)
{
    bool refused = writer->failed || size > writer->limit || writer->size > writer->limit - size;
    bool fits = writer->bytes && size <= writer->capacity - writer->size;
    if (refused || (!fits && !writer_grow(writer, writer->size + size))) {
        writer->failed = true;
        return NULL;
    }
    return writer->bytes + writer->size;
}

static void write_little(leat_writer *writer, uint64_t value, unsigned size)
{
    uint8_t *room = leat_writer_reserve(writer, size);
    if (!room)
        return;
    for (unsigned i = 0; i < size; i++)
        room[i] = (uint8_t)(value >> (8 * i));
    writer->size += size;
}

void leat_write_u8(leat_writer *writer, uint8_t value) { write_little(writer, value, 1); }
void leat_write_u16(leat_writer *writer, uint16_t value) { write_little(writer, value, 2); }
void leat_write_u32(leat_writer *writer, uint32_t value) { write_little(writer, value, 4); }
void leat_write_u64(leat_writer *writer, uint64_t value) { write_little(writer, value, 8); }
void leat_write_u64be(leat_writer *writer, uint64_t value) { write_little(writer, __builtin_bswap64(value), 8); }

void leat_write_f64(leat_writer *writer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    leat_write_u64(writer, bits);
}

void leat_write_varint(leat_writer *writer, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    while (value >= 0x80) {
        bytes[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (uint8_t)value;
    leat_write_bytes(writer, bytes, size);
}

void leat_write_varint_signed(leat_writer *writer, int64_t value)
{
    leat_write_varint(writer, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void leat_write_bytes(leat_writer *writer, const void *bytes, size_t size)
{
    if (size == 0)
        return;
    uint8_t *room = leat_writer_reserve(writer, size);
    if (!room)
        return;
    memcpy(room, bytes, size);
    writer->size += size;
}

// All or nothing: a size without its bytes would be worse than neither.
void leat_write_sized(leat_writer *writer, const void *bytes, size_t size)
{
    size_t before = writer->size;
    leat_write_varint(writer, size);
    leat_write_bytes(writer, bytes, size);
    if (writer->failed)
        writer->size = before;
}

void leat_write_text(leat_writer *writer, const char *terminated)
{
    leat_write_bytes(writer, terminated, strlen(terminated));
}

// Longer than the buffer of the first try. Formatted beside the writer, because the 0 that vsnprintf puts at the end may
// not fit any more into a writer at its limit.
LEAT_PRINTF(3, 0)
static void write_format_long(leat_writer *writer, size_t size, const char *format, va_list arguments)
{
    char *text = size <= writer->limit ? leat_env_alloc(writer->env, size + 1) : NULL;
    if (!text) {
        writer->failed = true;
        return;
    }
    vsnprintf(text, size + 1, format, arguments);
    leat_write_bytes(writer, text, size);
    leat_env_free(writer->env, text, size + 1);
}

void leat_write_format(leat_writer *writer, const char *format, ...)
{
    char text[512];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(text, sizeof text, format, arguments);
    if (size < 0)
        writer->failed = true;
    else if ((size_t)size < sizeof text)
        leat_write_bytes(writer, text, (size_t)size);
    else
        write_format_long(writer, (size_t)size, format, again);
    va_end(again);
    va_end(arguments);
}
