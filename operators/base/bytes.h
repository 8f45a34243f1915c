// One type owns all bounds checking of byte formats: the reader never goes past its end, the writer grows or refuses.
//
// Reader: after the first read past the end `failed` is set, every further read gives 0 or an empty slice, and the caller
// looks once, at the end. Integers are little-endian unless the name says big-endian (be). Varints are LEB128, at most 10
// bytes; signed ones zigzag.
// Writer: appends to a buffer that grows from the env up to `limit`; after the first refusal `failed` stays set.
#pragma once

#include "operators/base/arena.h"

typedef struct leat_slice {
    const char *data;
    size_t size;
} leat_slice;

static inline leat_slice leat_slice_of(const char *data, size_t size) { return (leat_slice){data, size}; }
leat_slice leat_slice_text(const char *terminated); // NULL gives an empty slice
bool leat_slice_equal(leat_slice a, leat_slice b);
bool leat_slice_is(leat_slice a, const char *terminated);
bool leat_slice_is_nocase(leat_slice a, const char *terminated); // ASCII
int leat_slice_compare(leat_slice a, leat_slice b);              // bytes, then length: UTF-8 code point order

typedef struct leat_reader {
    const uint8_t *cursor, *end;
    bool failed;
} leat_reader;

void leat_reader_init(leat_reader *reader, const void *bytes, size_t size);
size_t leat_reader_left(const leat_reader *reader);
uint8_t leat_read_u8(leat_reader *reader);
uint16_t leat_read_u16(leat_reader *reader);
uint32_t leat_read_u32(leat_reader *reader);
uint64_t leat_read_u64(leat_reader *reader);
uint16_t leat_read_u16be(leat_reader *reader);
uint32_t leat_read_u32be(leat_reader *reader);
uint64_t leat_read_u64be(leat_reader *reader);
double leat_read_f64(leat_reader *reader);
uint64_t leat_read_varint(leat_reader *reader);
int64_t leat_read_varint_signed(leat_reader *reader);
leat_slice leat_read_bytes(leat_reader *reader, size_t size);
leat_slice leat_read_sized(leat_reader *reader); // varint size, then bytes

typedef struct leat_writer {
    leat_env *env;
    uint8_t *bytes;
    size_t size, capacity, limit;
    bool failed; // limit reached or no memory: contents are incomplete
} leat_writer;

void leat_writer_init(leat_writer *writer, leat_env *env, size_t limit);
void leat_writer_fini(leat_writer *writer);
void leat_writer_reset(leat_writer *writer); // keeps capacity, clears failed
uint8_t *leat_writer_reserve(leat_writer *writer,
                             size_t size); // room for size more, NULL when refused; does not advance
void leat_write_u8(leat_writer *writer, uint8_t value);
void leat_write_u16(leat_writer *writer, uint16_t value);
void leat_write_u32(leat_writer *writer, uint32_t value);
void leat_write_u64(leat_writer *writer, uint64_t value);
void leat_write_u64be(leat_writer *writer, uint64_t value);
void leat_write_f64(leat_writer *writer, double value);
void leat_write_varint(leat_writer *writer, uint64_t value);
void leat_write_varint_signed(leat_writer *writer, int64_t value);
void leat_write_bytes(leat_writer *writer, const void *bytes, size_t size);
void leat_write_sized(leat_writer *writer, const void *bytes, size_t size);
void leat_write_text(leat_writer *writer, const char *terminated); // without the 0
void leat_write_format(leat_writer *writer, const char *format, ...) LEAT_PRINTF(2, 3);
static inline leat_slice leat_writer_slice(const leat_writer *writer)
{
    return (leat_slice){(const char *)writer->bytes, writer->size};
}
