// A savepoint: a portable copy of everything that a stopped run knew, made by command and never removed by leat.
//
// A directory of four files. All integers of the format are little-endian; what operators put into keys and values is in the byte order of the machine,
// which the manifest names, and a machine of the other one refuses it. Nothing depends on workers, word size or the state directory.
//
//   MANIFEST   text, a line each; values are bare words, decimal numbers, or quoted ("\"" and "\\" escaped, other control bytes as \xNN):
//                leat savepoint byte_order=<little|big: of the machine; what operators keep is in it> version=1
//                agent version="0.1.0" gateway="gateway-7" time_zone="UTC" plan=<16 hex: the plan's fingerprint>
//                cut clock_ms=<processing time> journal=<position, not below it are the next journal's> [incarnation=<16 hex>]
//                part name="state" bytes=.. blocks=.. crc32c=<8 hex>                      for each of the three files below
//                operator index=.. uid=".." rule=".." kind=".." identity=<16 hex> tables=0,1,15|- entries=.. crc32c=<8 hex>
//                source index=.. name=".." driver=".." position=<hex>|- records=..
//                sink index=.. name=".." driver=".." sequence=.. token=<hex>|- records=..
//                end crc32c=<8 hex: of every byte before this line>
//   state      entries: varint index of the operator | u8 table (0..15 the operator's own, 19 a sink's last sequence)
//              | u8 key group, 128: the operator's own | varint size, key | varint size, value
//   journal    arrivals that were kept and not yet processed: varint index of the source | u8 consumed | varint size, journal record (feed.c).
//              consumed = 1: processed, and here only because its packet key must not be taken twice
//   outbox     results that no receiver has acknowledged: varint index of the sink | varint size, outbox record (delivery.c), in order
//
// The last three are blocks: u32 size | u32 CRC32C of size and payload | payload, records never crossing a block; the file begins with
// "leatpart" and u32 version. Watermarks are not part of it but for those that operators keep in their own state: as Flink, everything else starts anew.
//
// Writing: NAME.new beside, every file synced, renamed, the directory synced: what has its final name is whole. A crash leaves NAME.new, which nobody
// reads. Reading: everything is verified before the first entry is given out, and each block again as it is read.
//
// Usage: writer_create -> operator/entry/source/sink/record.. -> writer_commit -> writer_destroy. open -> look at the tables -> visit -> close.
// Ownership: the writer copies; what a reader gives lies until close (tables) or for the call (entries).
// Threads: one at a time. Failure: a writer that failed once fails for good and commits nothing; LEAT_E_CORRUPT says which file and where;
// a newer version is LEAT_E_UNSUPPORTED.
#pragma once

#include "config/plan.h"
#include "operators/base/bytes.h"

enum {
    LEAT_SAVEPOINT_VERSION = 1,
    LEAT_SAVEPOINT_BLOCK = 64 << 10,      // payload; a larger record has a block of its own
    LEAT_SAVEPOINT_BLOCK_MAX = 256 << 20, // a block that says it is larger is damage
    LEAT_SAVEPOINT_TABLE_SEQUENCE = 19,   // as the flow numbers it
};

typedef struct leat_savepoint_operator {
    uint32_t index; // of the plan that wrote it; entries refer to it
    const char *uid, *rule, *kind;
    uint64_t identity; // see leat_savepoint_identity
    uint32_t tables;   // a bit for each that has entries
    uint64_t entries;
    uint32_t crc;
} leat_savepoint_operator;

typedef struct leat_savepoint_end { // a source or a sink
    uint32_t index;
    const char *name, *driver;
    leat_slice position; // source: empty for what is journalled; sink: the receiver's token
    uint64_t sequence;   // sink: last acknowledged
    uint64_t records;    // in journal or outbox
} leat_savepoint_end;

typedef struct leat_savepoint_cut {
    int64_t clock_ms;
    uint64_t journal;
    uint64_t incarnation; // of the life that wrote it (flow.h); 0: of a release without
} leat_savepoint_cut;

// What a node's state belongs to: its uid and what it computes (plan.h: computes; types of its inputs). The same number: the state can be read.
uint64_t leat_savepoint_identity(const leat_plan_node *node);
// Whether the node remembers anything that a savepoint or a warning is about; sources and plain row operators do not.
bool leat_savepoint_is_kept(const leat_plan_node *node);

// -- writing. create makes DIRECTORY/savepoint-<UTC date>[-n].new and its files, and so finds out early that it cannot.
typedef struct leat_savepoint_writer leat_savepoint_writer;
LEAT_MUST_CHECK leat_code leat_savepoint_writer_create(leat_env *env, const leat_plan *plan, const char *directory,
                                                       leat_savepoint_writer **out_writer, leat_error *out_error);
void leat_savepoint_entry(leat_savepoint_writer *writer, uint32_t node, uint8_t table, uint32_t group, leat_slice key,
                          leat_slice value); // tables of the flow are left out
void leat_savepoint_source(leat_savepoint_writer *writer, uint32_t source, leat_slice position);
void leat_savepoint_sink(leat_savepoint_writer *writer, uint32_t sink, uint64_t sequence, leat_slice token);
void leat_savepoint_arrival(leat_savepoint_writer *writer, uint32_t source, bool consumed, leat_slice record);
void leat_savepoint_result(leat_savepoint_writer *writer, uint32_t sink, leat_slice record);
// The path lies until the writer is destroyed. On failure nothing with a final name exists.
LEAT_MUST_CHECK leat_code leat_savepoint_writer_commit(leat_savepoint_writer *writer, const leat_savepoint_cut *cut,
                                                       const char **out_path, leat_error *out_error);
void leat_savepoint_writer_destroy(leat_savepoint_writer *writer); // NULL allowed; removes what was not committed

// -- reading
typedef struct leat_savepoint leat_savepoint;
LEAT_MUST_CHECK leat_code leat_savepoint_open(leat_env *env, const char *path, leat_savepoint **out_savepoint,
                                              leat_error *out_error);
void leat_savepoint_close(leat_savepoint *savepoint); // NULL allowed

typedef struct leat_savepoint_manifest {
    const char *path, *agent_version, *gateway, *time_zone;
    uint64_t plan;
    leat_savepoint_cut cut;
    uint32_t operator_count, source_count, sink_count;
    const leat_savepoint_operator *operators;
    const leat_savepoint_end *sources, *sinks;
} leat_savepoint_manifest;
const leat_savepoint_manifest *leat_savepoint_manifest_get(const leat_savepoint *savepoint);

// Indexes are places in the manifest's tables. All functions optional; their failure ends the visit.
typedef struct leat_savepoint_visitor {
    void *context;
    leat_code (*entry)(void *context, uint32_t place, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                       leat_error *out_error);
    leat_code (*arrival)(void *context, uint32_t source, bool consumed, leat_slice record, leat_error *out_error);
    leat_code (*result)(void *context, uint32_t sink, leat_slice record, leat_error *out_error);
} leat_savepoint_visitor;
LEAT_MUST_CHECK leat_code leat_savepoint_visit(leat_savepoint *savepoint, const leat_savepoint_visitor *visitor,
                                               leat_error *out_error);
