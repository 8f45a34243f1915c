#include "firmware-agent/log/record.h"

#include <string.h>

#include "operators/base/checksum.h"
#include "operators/base/limits.h"

static void put_u32(uint8_t *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint32_t crc_position(uint32_t crc, uint64_t position)
{
    uint8_t bytes[8];
    put_u32(bytes, (uint32_t)position);
    put_u32(bytes + 4, (uint32_t)(position >> 32));
    return leat_crc32c(crc, bytes, sizeof bytes);
}

static uint32_t header_check(const uint8_t *header, uint64_t position)
{
    return crc_position(leat_crc32c(0, header, 8), position);
}

static uint32_t record_crc(const uint8_t *header, uint32_t payload_crc, uint64_t position)
{
    return crc_position(leat_crc32c(payload_crc, header, 12), position);
}

void leat_record_header(uint8_t out_header[LEAT_RECORD_HEADER], leat_record_kind kind, uint32_t payload_size,
                        uint32_t payload_crc, uint64_t position, uint32_t generation)
{
    put_u32(out_header, (uint32_t)kind << 28 | payload_size);
    put_u32(out_header + 4, generation);
    put_u32(out_header + 8, header_check(out_header, position));
    put_u32(out_header + 12, record_crc(out_header, payload_crc, position));
}

static bool kind_known(uint32_t kind, uint32_t size)
{
    return (kind == LEAT_RECORD_PAYLOAD && size <= LEAT_RECORD_BYTES_MAX) ||
           ((kind == LEAT_RECORD_CUT || kind == LEAT_RECORD_END) && size == 0);
}

leat_record leat_record_parse(const uint8_t *bytes, size_t available, size_t room, uint64_t position,
                              uint32_t generation_min)
{
    leat_record bad = {.kind = LEAT_RECORD_BAD};
    if (available < LEAT_RECORD_HEADER)
        return bad;
    uint32_t size = get_u32(bytes) & 0x0FFFFFFF, kind = get_u32(bytes) >> 28, generation = get_u32(bytes + 4);
    if (generation == 0 || generation < generation_min || !kind_known(kind, size) || size > room - LEAT_RECORD_HEADER ||
        leat_record_span(size) > room || get_u32(bytes + 8) != header_check(bytes, position))
        return bad;
    leat_record record = {.kind = (leat_record_kind)kind, .generation = generation, .span = leat_record_span(size)};
    if (record.span > available) {
        record.kind = LEAT_RECORD_SHORT;
        return record;
    }
    record.payload = leat_slice_of((const char *)bytes + LEAT_RECORD_HEADER, size);
    if (get_u32(bytes + 12) != record_crc(bytes, leat_crc32c(0, record.payload.data, size), position))
        record.kind = LEAT_RECORD_DAMAGED;
    return record;
}
