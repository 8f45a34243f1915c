#include "firmware-agent/log/segment.h"

#include <string.h>

#include "operators/base/checksum.h"

static const char magic[8] = {'l', 'e', 'a', 't', 'l', 'o', 'g', LEAT_SEGMENT_VERSION};

void leat_segment_name(uint64_t first, char out_name[LEAT_SEGMENT_NAME])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 16; i++)
        out_name[i] = digits[first >> (60 - 4 * i) & 15];
    memcpy(out_name + 16, ".log", 5);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool leat_segment_name_parse(const char *name, uint64_t *out_first)
{
    uint64_t first = 0;
    if (strlen(name) != LEAT_SEGMENT_NAME - 1 || strcmp(name + 16, ".log") != 0)
        return false;
    for (unsigned i = 0; i < 16; i++) {
        int value = digit(name[i]);
        if (value < 0)
            return false;
        first = first << 4 | (uint64_t)value;
    }
    *out_first = first;
    return true;
}

static void put_little(uint8_t *bytes, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

void leat_segment_header_write(uint8_t out_header[LEAT_SEGMENT_HEADER], uint64_t first, uint32_t generation,
                               uint32_t segment_bytes)
{
    memcpy(out_header, magic, sizeof magic);
    put_little(out_header + 8, first, 8);
    put_little(out_header + 16, generation, 4);
    put_little(out_header + 20, segment_bytes, 4);
    put_little(out_header + 24, 0, 4);
    put_little(out_header + 28, leat_crc32c(0, out_header, 28), 4);
}

leat_segment_header_kind leat_segment_header_read(const uint8_t header[LEAT_SEGMENT_HEADER], uint64_t first,
                                                  uint32_t segment_bytes, uint32_t *out_generation)
{
    leat_reader reader;
    leat_reader_init(&reader, header, LEAT_SEGMENT_HEADER);
    leat_slice name = leat_read_bytes(&reader, sizeof magic - 1);
    uint8_t version = leat_read_u8(&reader);
    uint64_t stored_first = leat_read_u64(&reader);
    uint32_t generation = leat_read_u32(&reader), stored_bytes = leat_read_u32(&reader);
    leat_read_u32(&reader);
    if (memcmp(name.data, magic, sizeof magic - 1) != 0 || leat_read_u32(&reader) != leat_crc32c(0, header, 28) ||
        stored_first != first)
        return LEAT_SEGMENT_HEADER_BAD;
    if (version > LEAT_SEGMENT_VERSION)
        return LEAT_SEGMENT_HEADER_NEWER;
    if (stored_bytes != segment_bytes)
        return LEAT_SEGMENT_HEADER_BAD;
    *out_generation = generation;
    return LEAT_SEGMENT_HEADER_GOOD;
}

static void scan_record(leat_segment_scan *scan, const leat_record *record, uint64_t position, leat_segment_gap gap,
                        void *context)
{
    if (position > scan->end && gap)
        gap(context, scan->end, position);
    if (!scan->any)
        scan->generation_first = record->generation;
    scan->any = true;
    scan->records += record->kind == LEAT_RECORD_PAYLOAD;
    scan->generation = record->generation > scan->generation ? record->generation : scan->generation;
    scan->end = position + record->span;
    scan->torn_bytes = 0;
}

leat_segment_scan leat_segment_scan_bytes(const uint8_t *bytes, size_t size, uint64_t first, uint32_t segment_bytes,
                                          uint32_t generation_min, leat_segment_gap gap, void *context)
{
    leat_segment_scan scan = {.end = first + LEAT_SEGMENT_HEADER};
    uint32_t generation = 0;
    if (size >= LEAT_SEGMENT_HEADER)
        scan.header = leat_segment_header_read(bytes, first, segment_bytes, &generation);
    scan.generation = generation > generation_min ? generation : generation_min;
    size_t offset = LEAT_SEGMENT_HEADER;
    while (offset + LEAT_RECORD_HEADER <= size && !scan.sealed) {
        leat_record record =
            leat_record_parse(bytes + offset, size - offset, segment_bytes - offset, first + offset, scan.generation);
        if (record.kind == LEAT_RECORD_DAMAGED || record.kind == LEAT_RECORD_SHORT)
            scan.torn_bytes = first + offset + record.span - scan.end;
        // Not over the span of a damaged one: its header may be all that is left of it below the record of a later life.
        if (record.kind == LEAT_RECORD_DAMAGED || record.kind == LEAT_RECORD_SHORT || record.kind == LEAT_RECORD_BAD) {
            offset += LEAT_RECORD_ALIGN;
            continue;
        }
        scan_record(&scan, &record, first + offset, gap, context);
        offset += record.span;
        scan.sealed = record.kind == LEAT_RECORD_END;
    }
    if (scan.any && scan.end - first + LEAT_RECORD_HEADER > segment_bytes)
        scan.sealed = true;
    return scan;
}
