// The files of a log: their names, their headers, and what a scan makes of one.
//
// A log is a directory. Position p lies in the segment whose first position is p rounded down to a multiple of
// segment_bytes, at offset p - first. A segment is the file `<first, 16 hex digits>.log`, reserved and sized before it is
// used; its name alone says where it belongs, so that a damaged header costs nothing. `spare.log` is a
// trimmed segment waiting for reuse. Other names are left alone.
//
//   offset 0  8 bytes  "leatlog", format version (1)
//          8  u64      first position
//         16  u32      generation at the time of writing: no record of this segment has a lower one
//         20  u32      segment_bytes
//         24  u32      0
//         28  u32      CRC32C of the 28 bytes before
//         32           records (record.h), one after the other, up to an end record or until no record header fits
// The header is written together with the segment's first record: a segment prepared ahead is zeros or an old segment's bytes.
//
// Order of writes: a segment is reserved, sized and its directory synced before it takes records; it is synced before its successor
// takes any. So after a power cut only the last segment with a valid record may end in a torn one: the log's end is behind
// the last valid record. Bad bytes before it, a segment without end record that has a successor, and missing
// segments are damage, or unsynced writes that landed out of order: gaps, and reading goes on behind them.
//
// Why nothing old comes back:
// 1. Reuse. A trimmed segment is renamed to a first position above every one before; its records carry lower positions in their
//    sums and are invalid wherever the new ones do not cover them.
// 2. Torn tail. Opening ends the log at E, behind the last valid record: every aligned offset is tried, also within what looks like
//    a damaged record, so that no valid one is left behind E, and none is left whose generation was not seen. The opened log writes
//    at E with a generation above every one seen: behind its records nothing of a former life counts.
// 3. Cut at P. First the later segments are removed for good (never reused), the last one first, the directory synced after each.
//    Then a cut record of the new generation is written at P, and zeros from there to the old end of P's segment, and synced: from
//    then on no old record behind P counts, twice over (generation, zeros). A crash between leaves a shorter tail of what
//    is to be cut, and recovery cuts again: its checkpoint still says P. Where P leaves no room for a cut record, none
//    fits behind P either, and the first step is all.
// 4. A log that lost its end (position_min) goes on at position_min with a higher generation; bytes between are a gap.
//
// Threads: one. Failure: reading errors count as bad bytes.
#pragma once

#include "firmware-agent/log/record.h"
#include "operators/base/env.h"

enum { LEAT_SEGMENT_HEADER = 32, LEAT_SEGMENT_NAME = 21, LEAT_SEGMENT_VERSION = 1 };
#define LEAT_SEGMENT_SPARE "spare.log"

typedef enum leat_segment_header_kind {
    LEAT_SEGMENT_HEADER_BAD, // none, damaged, or of a former life
    LEAT_SEGMENT_HEADER_GOOD,
    LEAT_SEGMENT_HEADER_NEWER, // written by a later version of the format
} leat_segment_header_kind;

void leat_segment_name(uint64_t first, char out_name[LEAT_SEGMENT_NAME]);
bool leat_segment_name_parse(const char *name, uint64_t *out_first);
void leat_segment_header_write(uint8_t out_header[LEAT_SEGMENT_HEADER], uint64_t first, uint32_t generation,
                               uint32_t segment_bytes);
leat_segment_header_kind leat_segment_header_read(const uint8_t header[LEAT_SEGMENT_HEADER], uint64_t first,
                                                  uint32_t segment_bytes, uint32_t *out_generation);

typedef struct leat_segment_scan {
    leat_segment_header_kind header;
    uint64_t records;
    uint64_t end; // behind the last valid record (cut and end records are records); first + 32 when there is none
    bool sealed;  // ended by an end record, or full
    bool any;     // at least one valid record
    uint32_t generation_first; // of the first valid record
    uint32_t generation;       // highest, of records and header
    uint64_t torn_bytes;       // behind end, as far as headers of damaged records tell
} leat_segment_scan;

typedef void (*leat_segment_gap)(void *context, uint64_t from, uint64_t to);
// Judges the bytes of a whole segment. Gaps between valid records go to gap (may be NULL), rising.
leat_segment_scan leat_segment_scan_bytes(const uint8_t *bytes, size_t size, uint64_t first, uint32_t segment_bytes,
                                          uint32_t generation_min, leat_segment_gap gap, void *context);
