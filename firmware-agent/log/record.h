// The bytes of one record, and the rule that says whether it is one.
//
//   offset 0  u32  kind << 28 | payload size
//          4  u32  generation, 1 or more
//          8  u32  check: CRC32C of the first 8 bytes and the record's position (u64)
//         12  u32  CRC32C of the payload, the first 12 bytes and the position (u64), in this order
//         16       payload, then zeros up to a multiple of 8
// Integers are little-endian. Kinds: 0 payload; 14 cut (what stood here and behind was taken back; no payload); 15 end (the
// rest of this segment is not used; no payload).
//
// Validity: a record counts when both checks hold for the position at which it is read, its size fits, and its generation
// is not below that of the record before it and of the segment's header. The position in both sums makes the contents of a
// reused segment worthless (its old positions are lower), the generation those that a cut left behind (segment.h). The small
// check keeps the search behind damage cheap: a payload is summed only where a header was right.
//
// Threads: pure functions. Failure: none; what is no record is LEAT_RECORD_BAD.
#pragma once

#include "operators/base/bytes.h"

enum { LEAT_RECORD_HEADER = 16, LEAT_RECORD_ALIGN = 8 };

typedef enum leat_record_kind {
    LEAT_RECORD_PAYLOAD = 0,
    LEAT_RECORD_CUT = 14,
    LEAT_RECORD_END = 15,
    LEAT_RECORD_SHORT = 32, // header is right, span bytes are needed to judge
    LEAT_RECORD_DAMAGED,    // header is right, payload is not
    LEAT_RECORD_BAD,        // no record
} leat_record_kind;

typedef struct leat_record {
    leat_record_kind kind;
    uint32_t generation;
    uint32_t span; // with header and padding; 0 when bad
    leat_slice payload;
} leat_record;

static inline uint32_t leat_record_span(size_t payload_size)
{
    return (uint32_t)((LEAT_RECORD_HEADER + payload_size + LEAT_RECORD_ALIGN - 1) & ~(size_t)(LEAT_RECORD_ALIGN - 1));
}
// payload_crc: leat_crc32c of the payload alone, so that the long part is summed before the position is known.
void leat_record_header(uint8_t out_header[LEAT_RECORD_HEADER], leat_record_kind kind, uint32_t payload_size,
                        uint32_t payload_crc, uint64_t position, uint32_t generation);
// Judges what lies at bytes; room: bytes from here to the segment's end, available <= room of them are in memory.
leat_record leat_record_parse(const uint8_t *bytes, size_t available, size_t room, uint64_t position,
                              uint32_t generation_min);
