// Writing a savepoint: three files of blocks as entries come, the manifest at the end, one rename that makes it exist.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/savepoint_struct.h"
#include "operators/base/calendar.h"
#include "operators/base/checksum.h"

enum { NAMES_TRIED = 100, RECORD_LIMIT = LEAT_SAVEPOINT_BLOCK_MAX - 64 };

typedef struct part_file {
    leat_file *file;
    savepoint_part_sums sums;
    leat_writer block; // payload of the block that is being filled
} part_file;

struct leat_savepoint_writer {
    leat_env *env;
    const leat_plan *plan;
    leat_arena arena;
    const char *directory, *name; // name: final
    const char *path, *fresh;     // final, and while it is written
    bool made, committed;
    part_file parts[SAVEPOINT_PARTS];
    leat_savepoint_operator *operators; // per node
    leat_savepoint_end *sources, *sinks;
    leat_writer record;
    leat_code code; // of the first failure
    leat_error error;
};

static void fail(leat_savepoint_writer *writer, leat_code code, const leat_error *error)
{
    if (writer->code != LEAT_OK)
        return;
    writer->code = code;
    writer->error = *error;
}

static char *path_in(leat_savepoint_writer *writer, const char *directory, const char *name)
{
    return leat_arena_format(&writer->arena, "%s/%s", directory, name);
}

// ---- blocks

static void append(leat_savepoint_writer *writer, part_file *part, const void *bytes, size_t size)
{
    leat_error error = {0};
    if (writer->code != LEAT_OK || size == 0)
        return;
    leat_code code = writer->env->ops->pwrite(part->file, bytes, size, part->sums.bytes, &error);
    if (code != LEAT_OK) {
        fail(writer, code, &error);
        return;
    }
    part->sums.bytes += size;
    part->sums.crc = leat_crc32c(part->sums.crc, bytes, size);
}

static void end_block(leat_savepoint_writer *writer, part_file *part)
{
    if (part->block.size == 0)
        return;
    uint8_t head[SAVEPOINT_BLOCK_HEAD];
    uint32_t size = (uint32_t)part->block.size, crc = leat_savepoint_block_crc(size, part->block.bytes);
    for (int i = 0; i < 4; i++) {
        head[i] = (uint8_t)(size >> (8 * i));
        head[4 + i] = (uint8_t)(crc >> (8 * i));
    }
    append(writer, part, head, sizeof head);
    append(writer, part, part->block.bytes, part->block.size);
    part->sums.blocks++;
    leat_writer_reset(&part->block);
}

// The record in writer->record joins its part.
static void put_record(leat_savepoint_writer *writer, savepoint_part which)
{
    part_file *part = &writer->parts[which];
    if (part->block.size > 0 && part->block.size + writer->record.size > LEAT_SAVEPOINT_BLOCK)
        end_block(writer, part);
    leat_write_bytes(&part->block, writer->record.bytes, writer->record.size);
    if (writer->record.failed || part->block.failed) {
        leat_error error;
        leat_error_set(&error, LEAT_E_LIMIT, "an entry is too large for a savepoint, or there is no memory for it");
        fail(writer, LEAT_E_LIMIT, &error);
    }
    leat_writer_reset(&writer->record);
}

// ---- what comes

void leat_savepoint_entry(leat_savepoint_writer *writer, uint32_t node, uint8_t table, uint32_t group, leat_slice key,
                          leat_slice value)
{
    leat_savepoint_operator *to = &writer->operators[node];
    if (table >= LEAT_STATE_TABLES && table != LEAT_SAVEPOINT_TABLE_SEQUENCE)
        return;
    to->entries++;
    to->tables |= 1u << table;
    to->crc = leat_savepoint_entry_crc(to->crc, table, group, key, value);
    leat_write_varint(&writer->record, node);
    leat_write_u8(&writer->record, table);
    leat_write_u8(&writer->record, (uint8_t)group);
    leat_write_sized(&writer->record, key.data, key.size);
    leat_write_sized(&writer->record, value.data, value.size);
    put_record(writer, SAVEPOINT_STATE);
}

static leat_slice keep(leat_savepoint_writer *writer, leat_slice bytes)
{
    return leat_slice_of(leat_arena_copy(&writer->arena, bytes.data, bytes.size), bytes.size);
}

void leat_savepoint_source(leat_savepoint_writer *writer, uint32_t source, leat_slice position)
{
    writer->sources[source].position = keep(writer, position);
}

void leat_savepoint_sink(leat_savepoint_writer *writer, uint32_t sink, uint64_t sequence, leat_slice token)
{
    writer->sinks[sink].sequence = sequence;
    writer->sinks[sink].position = keep(writer, token);
}

void leat_savepoint_arrival(leat_savepoint_writer *writer, uint32_t source, bool consumed, leat_slice record)
{
    writer->sources[source].records++;
    leat_write_varint(&writer->record, source);
    leat_write_u8(&writer->record, consumed);
    leat_write_sized(&writer->record, record.data, record.size);
    put_record(writer, SAVEPOINT_JOURNAL);
}

void leat_savepoint_result(leat_savepoint_writer *writer, uint32_t sink, leat_slice record)
{
    writer->sinks[sink].records++;
    leat_write_varint(&writer->record, sink);
    leat_write_sized(&writer->record, record.data, record.size);
    put_record(writer, SAVEPOINT_OUTBOX);
}

// ---- the manifest

static void write_tables(leat_writer *out, uint32_t tables)
{
    const char *comma = "";
    leat_write_format(out, " tables=%s", tables ? "" : "-");
    for (uint32_t table = 0; table < 32; table++) {
        if (tables >> table & 1) {
            leat_write_format(out, "%s%u", comma, table);
            comma = ",";
        }
    }
}

static void write_operators(const leat_savepoint_writer *writer, leat_writer *out)
{
    const leat_plan *plan = writer->plan;
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const leat_plan_node *node = &plan->nodes[i];
        const leat_savepoint_operator *each = &writer->operators[i];
        if (each->entries == 0 && !leat_savepoint_is_kept(node))
            continue;
        leat_write_format(out, "operator index=%u", i);
        leat_savepoint_write_text(out, "uid", node->uid);
        leat_savepoint_write_text(out, "rule", node->rule < plan->rule_count ? plan->rules[node->rule].name : "");
        leat_savepoint_write_text(out, "kind", node->kind == LEAT_NODE_SINK ? "sink" : node->operator_name);
        leat_write_format(out, " identity=%016llx", (unsigned long long)leat_savepoint_identity(node));
        write_tables(out, each->tables);
        leat_write_format(out, " entries=%llu crc32c=%08x\n", (unsigned long long)each->entries, each->crc);
    }
}

static void write_ends(const leat_savepoint_writer *writer, leat_writer *out)
{
    const leat_plan *plan = writer->plan;
    for (uint32_t i = 0; i < plan->source_count; i++) {
        leat_write_format(out, "source index=%u", i);
        leat_savepoint_write_text(out, "name", plan->sources[i].name);
        leat_savepoint_write_text(out, "driver", plan->sources[i].driver->name);
        leat_savepoint_write_bytes(out, "position", writer->sources[i].position);
        leat_write_format(out, " records=%llu\n", (unsigned long long)writer->sources[i].records);
    }
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        leat_write_format(out, "sink index=%u", i);
        leat_savepoint_write_text(out, "name", plan->sinks[i].name);
        leat_savepoint_write_text(out, "driver", plan->sinks[i].driver->name);
        leat_write_format(out, " sequence=%llu", (unsigned long long)writer->sinks[i].sequence);
        leat_savepoint_write_bytes(out, "token", writer->sinks[i].position);
        leat_write_format(out, " records=%llu\n", (unsigned long long)writer->sinks[i].records);
    }
}

static void write_text(const leat_savepoint_writer *writer, const leat_savepoint_cut *cut, leat_writer *out)
{
    const leat_plan *plan = writer->plan;
    leat_write_format(out, "leat savepoint byte_order=%s version=%d\nagent", leat_savepoint_byte_order(),
                      LEAT_SAVEPOINT_VERSION);
    leat_savepoint_write_text(out, "version", LEAT_VERSION);
    leat_savepoint_write_text(out, "gateway", plan->agent->name);
    leat_savepoint_write_text(out, "time_zone", plan->agent->time_zone ? plan->agent->time_zone : "UTC");
    leat_write_format(out, " plan=%016llx\n", (unsigned long long)plan->fingerprint);
    leat_write_format(out, "cut clock_ms=%lld journal=%llu", (long long)cut->clock_ms,
                      (unsigned long long)cut->journal);
    if (cut->incarnation)
        leat_write_format(out, " incarnation=%016llx", (unsigned long long)cut->incarnation);
    leat_write_text(out, "\n");
    for (int i = 0; i < SAVEPOINT_PARTS; i++) {
        const savepoint_part_sums *sums = &writer->parts[i].sums;
        leat_write_text(out, "part");
        leat_savepoint_write_text(out, "name", leat_savepoint_part_names[i]);
        leat_write_format(out, " bytes=%llu blocks=%llu crc32c=%08x\n", (unsigned long long)sums->bytes,
                          (unsigned long long)sums->blocks, sums->crc);
    }
    write_operators(writer, out);
    write_ends(writer, out);
    leat_write_format(out, "end crc32c=%08x\n", leat_crc32c(0, out->bytes, out->size));
}

static leat_code write_manifest(leat_savepoint_writer *writer, const leat_savepoint_cut *cut, leat_error *out_error)
{
    leat_env *env = writer->env;
    leat_writer text;
    leat_file *file;
    leat_writer_init(&text, env, SAVEPOINT_MANIFEST_MAX);
    write_text(writer, cut, &text);
    leat_code code = text.failed ? leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the manifest") : LEAT_OK;
    if (code == LEAT_OK)
        code = env->ops->open(env, path_in(writer, writer->fresh, "MANIFEST"), LEAT_OPEN_CREATE_NEW, &file, out_error);
    if (code == LEAT_OK) {
        code = env->ops->pwrite(file, text.bytes, text.size, 0, out_error);
        if (code == LEAT_OK)
            code = env->ops->sync(file, out_error);
        env->ops->close(env, file);
    }
    leat_writer_fini(&text);
    return code;
}

// ---- life

static leat_code choose_name(leat_savepoint_writer *writer, leat_error *out_error)
{
    leat_env *env = writer->env;
    leat_civil now;
    leat_civil_from_ms(leat_wall_ms(env), &now);
    for (int i = 0; i < NAMES_TRIED; i++) {
        char more[16] = "";
        leat_file_stat stat;
        if (i > 0)
            snprintf(more, sizeof more, "-%d", i + 1);
        writer->name = leat_arena_format(&writer->arena, "savepoint-%04d%02d%02dT%02d%02d%02dZ%s", now.year, now.month,
                                         now.day, now.hour, now.minute, now.second, more);
        writer->path = path_in(writer, writer->directory, writer->name);
        writer->fresh = leat_arena_format(&writer->arena, "%s.new", writer->path);
        if (env->ops->path_stat(env, writer->path, &stat, NULL) != LEAT_OK &&
            env->ops->path_stat(env, writer->fresh, &stat, NULL) != LEAT_OK)
            return LEAT_OK;
    }
    return leat_error_at(out_error, LEAT_E_EXISTS, writer->path, "there are too many savepoints of this second");
}

static leat_code make_parts(leat_savepoint_writer *writer, leat_error *out_error)
{
    leat_env *env = writer->env;
    static const uint8_t head[SAVEPOINT_PART_HEAD] = {'l', 'e', 'a', 't', 'p', 'a', 'r', 't', LEAT_SAVEPOINT_VERSION};
    leat_code code = env->ops->make_directory(env, writer->fresh, 0750, out_error);
    writer->made = code == LEAT_OK;
    for (int i = 0; i < SAVEPOINT_PARTS && code == LEAT_OK; i++) {
        part_file *part = &writer->parts[i];
        const char *path = path_in(writer, writer->fresh, leat_savepoint_part_names[i]);
        code = env->ops->open(env, path, LEAT_OPEN_CREATE_NEW, &part->file, out_error);
        if (code != LEAT_OK)
            break;
        append(writer, part, head, sizeof head);
        code = writer->code;
        if (code != LEAT_OK)
            *out_error = writer->error;
    }
    return code;
}

leat_code leat_savepoint_writer_create(leat_env *env, const leat_plan *plan, const char *directory,
                                       leat_savepoint_writer **out_writer, leat_error *out_error)
{
    leat_savepoint_writer *writer = leat_env_calloc(env, sizeof *writer);
    if (!writer)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for a savepoint");
    writer->env = env;
    writer->plan = plan;
    leat_arena_init(&writer->arena, env, 4096);
    leat_writer_init(&writer->record, env, RECORD_LIMIT);
    for (int i = 0; i < SAVEPOINT_PARTS; i++)
        leat_writer_init(&writer->parts[i].block, env, LEAT_SAVEPOINT_BLOCK_MAX);
    writer->directory = leat_arena_copy(&writer->arena, directory, strlen(directory));
    writer->operators = leat_arena_array(&writer->arena, leat_savepoint_operator, plan->node_count + 1);
    writer->sources = leat_arena_array(&writer->arena, leat_savepoint_end, plan->source_count + 1);
    writer->sinks = leat_arena_array(&writer->arena, leat_savepoint_end, plan->sink_count + 1);
    leat_code code = env->ops->make_directory(env, directory, 0750, out_error);
    if (code == LEAT_OK)
        code = choose_name(writer, out_error);
    if (code == LEAT_OK)
        code = make_parts(writer, out_error);
    if (code != LEAT_OK)
        leat_savepoint_writer_destroy(writer);
    else
        *out_writer = writer;
    return code;
}

static void close_parts(leat_savepoint_writer *writer)
{
    for (int i = 0; i < SAVEPOINT_PARTS; i++) {
        writer->env->ops->close(writer->env, writer->parts[i].file);
        writer->parts[i].file = NULL;
    }
}

static leat_code sync_parts(leat_savepoint_writer *writer, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (int i = 0; i < SAVEPOINT_PARTS && code == LEAT_OK; i++) {
        end_block(writer, &writer->parts[i]);
        if (writer->code != LEAT_OK) {
            *out_error = writer->error;
            return writer->code;
        }
        code = writer->env->ops->sync(writer->parts[i].file, out_error);
    }
    return code;
}

leat_code leat_savepoint_writer_commit(leat_savepoint_writer *writer, const leat_savepoint_cut *cut,
                                       const char **out_path, leat_error *out_error)
{
    leat_env *env = writer->env;
    leat_code code = sync_parts(writer, out_error);
    if (code == LEAT_OK)
        code = write_manifest(writer, cut, out_error);
    close_parts(writer);
    if (code == LEAT_OK)
        code = env->ops->sync_directory(env, writer->fresh, out_error);
    if (code == LEAT_OK)
        code = env->ops->rename(env, writer->fresh, writer->path, out_error);
    if (code != LEAT_OK)
        return code;
    writer->committed = true;
    *out_path = writer->path;
    return env->ops->sync_directory(env, writer->directory, out_error);
}

static void remove_fresh(leat_savepoint_writer *writer)
{
    leat_error ignored;
    leat_env *env = writer->env;
    for (int i = 0; i < SAVEPOINT_PARTS; i++)
        (void)!env->ops->unlink(env, path_in(writer, writer->fresh, leat_savepoint_part_names[i]), &ignored);
    (void)!env->ops->unlink(env, path_in(writer, writer->fresh, "MANIFEST"), &ignored);
    (void)!env->ops->remove_directory(env, writer->fresh, &ignored);
}

void leat_savepoint_writer_destroy(leat_savepoint_writer *writer)
{
    if (!writer)
        return;
    close_parts(writer);
    if (writer->made && !writer->committed)
        remove_fresh(writer);
    for (int i = 0; i < SAVEPOINT_PARTS; i++)
        leat_writer_fini(&writer->parts[i].block);
    leat_writer_fini(&writer->record);
    leat_env *env = writer->env;
    leat_arena_fini(&writer->arena);
    leat_env_free(env, writer, sizeof *writer);
}
