// Reading a savepoint: the manifest first, then every block once to verify, then again to give out.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/savepoint_struct.h"
#include "operators/base/checksum.h"

struct leat_savepoint {
    leat_env *env;
    leat_arena arena;
    leat_savepoint_manifest manifest;
    savepoint_part_sums parts[SAVEPOINT_PARTS];
    bool has_part[SAVEPOINT_PARTS];
    // Place in the manifest's table by the index that entries carry; UINT32_MAX: none.
    uint32_t *operator_places, *source_places, *sink_places;
    uint32_t index_max;
};

static leat_code damaged(const leat_savepoint *savepoint, const char *file, leat_error *out_error, const char *what)
{
    return leat_error_at(out_error, LEAT_E_CORRUPT, savepoint->manifest.path, "%s is damaged: %s", file, what);
}

// ---- manifest

static leat_slice next_line(leat_slice *rest)
{
    const char *end = memchr(rest->data, '\n', rest->size);
    leat_slice line = leat_slice_of(rest->data, end ? (size_t)(end - rest->data) : rest->size);
    size_t taken = line.size + (end ? 1 : 0);
    *rest = leat_slice_of(rest->data + taken, rest->size - taken);
    return line;
}

static bool begins(leat_slice line, const char *word)
{
    size_t size = strlen(word);
    return line.size > size && memcmp(line.data, word, size) == 0 && line.data[size] == ' ';
}

// The text ends in a line of its own sum; out_body is what stands before it.
static bool check_sum(leat_slice text, leat_slice *out_body)
{
    static const char word[] = "\nend crc32c=";
    uint64_t stored;
    size_t size = sizeof word - 1 + 8 + 1; // with the digits and the last line end
    if (text.size < size || text.data[text.size - 1] != '\n' ||
        memcmp(text.data + text.size - size, word, sizeof word - 1) != 0)
        return false;
    *out_body = leat_slice_of(text.data, text.size - size + 1);
    leat_slice end = leat_slice_of(text.data + text.size - size + 1, size - 2);
    return leat_savepoint_read_hex(end, "crc32c", &stored) && stored == leat_crc32c(0, out_body->data, out_body->size);
}

static bool read_tables(leat_slice line, uint32_t *out_tables)
{
    leat_slice text = {0};
    for (size_t at = 0; at + 8 < line.size; at++)
        if (memcmp(line.data + at, " tables=", 8) == 0)
            text = leat_slice_of(line.data + at + 8, line.size - at - 8);
    uint32_t number = 0;
    *out_tables = 0;
    for (size_t i = 0; i < text.size && text.data[i] != ' '; i++) {
        char c = text.data[i];
        if (c >= '0' && c <= '9')
            number = number * 10 + (uint32_t)(c - '0');
        bool ends = i + 1 == text.size || text.data[i + 1] == ',' || text.data[i + 1] == ' ';
        if (c >= '0' && c <= '9' && ends && number < 32)
            *out_tables |= 1u << number;
        number = ends ? 0 : number;
    }
    return text.size > 0;
}

static bool read_operator(leat_savepoint *savepoint, leat_slice line)
{
    leat_arena *arena = &savepoint->arena;
    leat_savepoint_operator *to =
        (leat_savepoint_operator *)&savepoint->manifest.operators[savepoint->manifest.operator_count++];
    uint64_t index = 0, crc = 0;
    bool fine = leat_savepoint_read_number(line, "index", &index) && index <= savepoint->index_max &&
                leat_savepoint_read_text(line, "uid", arena, &to->uid) &&
                leat_savepoint_read_text(line, "rule", arena, &to->rule) &&
                leat_savepoint_read_text(line, "kind", arena, &to->kind) &&
                leat_savepoint_read_hex(line, "identity", &to->identity) && read_tables(line, &to->tables) &&
                leat_savepoint_read_number(line, "entries", &to->entries) &&
                leat_savepoint_read_hex(line, "crc32c", &crc);
    to->index = (uint32_t)index;
    to->crc = (uint32_t)crc;
    if (fine)
        savepoint->operator_places[index] = savepoint->manifest.operator_count - 1;
    return fine;
}

static bool read_end(leat_savepoint *savepoint, leat_slice line, bool sink)
{
    leat_arena *arena = &savepoint->arena;
    leat_savepoint_manifest *manifest = &savepoint->manifest;
    uint32_t place = sink ? manifest->sink_count++ : manifest->source_count++;
    leat_savepoint_end *to = (leat_savepoint_end *)(sink ? &manifest->sinks[place] : &manifest->sources[place]);
    uint64_t index = 0;
    bool fine = leat_savepoint_read_number(line, "index", &index) && index <= savepoint->index_max &&
                leat_savepoint_read_text(line, "name", arena, &to->name) &&
                leat_savepoint_read_text(line, "driver", arena, &to->driver) &&
                leat_savepoint_read_bytes(line, sink ? "token" : "position", arena, &to->position) &&
                (!sink || leat_savepoint_read_number(line, "sequence", &to->sequence)) &&
                leat_savepoint_read_number(line, "records", &to->records);
    to->index = (uint32_t)index;
    if (fine)
        (sink ? savepoint->sink_places : savepoint->source_places)[index] = place;
    return fine;
}

static bool read_part(leat_savepoint *savepoint, leat_slice line)
{
    const char *name;
    uint64_t crc = 0;
    if (!leat_savepoint_read_text(line, "name", &savepoint->arena, &name))
        return false;
    for (int i = 0; i < SAVEPOINT_PARTS; i++) {
        if (strcmp(name, leat_savepoint_part_names[i]) != 0)
            continue;
        savepoint_part_sums *sums = &savepoint->parts[i];
        savepoint->has_part[i] = leat_savepoint_read_number(line, "bytes", &sums->bytes) &&
                                 leat_savepoint_read_number(line, "blocks", &sums->blocks) &&
                                 leat_savepoint_read_hex(line, "crc32c", &crc);
        sums->crc = (uint32_t)crc;
        return savepoint->has_part[i];
    }
    return false;
}

// Lines of later releases that this one does not know are left out: what must be understood raises the version.
static bool read_line(leat_savepoint *savepoint, leat_slice line)
{
    leat_savepoint_manifest *manifest = &savepoint->manifest;
    leat_arena *arena = &savepoint->arena;
    uint64_t clock;
    if (begins(line, "agent"))
        return leat_savepoint_read_text(line, "version", arena, &manifest->agent_version) &&
               leat_savepoint_read_text(line, "gateway", arena, &manifest->gateway) &&
               leat_savepoint_read_text(line, "time_zone", arena, &manifest->time_zone) &&
               leat_savepoint_read_hex(line, "plan", &manifest->plan);
    if (begins(line, "cut")) {
        bool fine = leat_savepoint_read_number(line, "clock_ms", &clock) &&
                    leat_savepoint_read_number(line, "journal", &manifest->cut.journal);
        manifest->cut.clock_ms = fine ? (int64_t)clock : 0;
        if (!leat_savepoint_read_hex(line, "incarnation", &manifest->cut.incarnation))
            manifest->cut.incarnation = 0; // of a life that began from no savepoint
        return fine;
    }
    if (begins(line, "part"))
        return read_part(savepoint, line);
    if (begins(line, "operator"))
        return read_operator(savepoint, line);
    if (begins(line, "source") || begins(line, "sink"))
        return read_end(savepoint, line, begins(line, "sink"));
    return true;
}

static uint32_t *make_places(leat_savepoint *savepoint)
{
    uint32_t *places = leat_arena_array(&savepoint->arena, uint32_t, savepoint->index_max + 1);
    memset(places, 0xff, (savepoint->index_max + 1) * sizeof *places);
    return places;
}

static void make_tables(leat_savepoint *savepoint, leat_slice body)
{
    uint32_t lines = 1;
    uint64_t index;
    for (leat_slice rest = body; rest.size > 0; lines++) {
        leat_slice line = next_line(&rest);
        if (leat_savepoint_read_number(line, "index", &index) && index > savepoint->index_max && index < UINT16_MAX)
            savepoint->index_max = (uint32_t)index;
    }
    savepoint->operator_places = make_places(savepoint);
    savepoint->source_places = make_places(savepoint);
    savepoint->sink_places = make_places(savepoint);
    savepoint->manifest.operators = leat_arena_array(&savepoint->arena, leat_savepoint_operator, lines);
    savepoint->manifest.sources = leat_arena_array(&savepoint->arena, leat_savepoint_end, lines);
    savepoint->manifest.sinks = leat_arena_array(&savepoint->arena, leat_savepoint_end, lines);
}

static leat_code check_version(const leat_savepoint *savepoint, leat_slice text, leat_error *out_error)
{
    uint64_t version;
    leat_slice first = next_line(&text);
    if (!begins(first, "leat savepoint") || !leat_savepoint_read_number(first, "version", &version))
        return leat_error_at(out_error, LEAT_E_CORRUPT, savepoint->manifest.path, "this is no savepoint of leat");
    if (version > LEAT_SAVEPOINT_VERSION)
        return leat_error_at(out_error, LEAT_E_UNSUPPORTED, savepoint->manifest.path,
                             "was written by a newer release (savepoint version %llu, this one reads up to %d)",
                             (unsigned long long)version, LEAT_SAVEPOINT_VERSION);
    leat_slice order;
    const char *own = leat_savepoint_byte_order();
    if (leat_savepoint_read_word(first, "byte_order", &order) && !leat_slice_is(order, own))
        return leat_error_at(
            out_error, LEAT_E_UNSUPPORTED, savepoint->manifest.path,
            "was made on a machine of %.*s-endian byte order, this one is %s-endian: its state cannot be "
            "read here",
            (int)order.size, order.data, own);
    return LEAT_OK;
}

static leat_code read_manifest(leat_savepoint *savepoint, leat_error *out_error)
{
    char *bytes;
    size_t size;
    leat_slice body;
    const char *path = leat_arena_format(&savepoint->arena, "%s/MANIFEST", savepoint->manifest.path);
    leat_code code =
        leat_env_read_file(savepoint->env, path, &savepoint->arena, SAVEPOINT_MANIFEST_MAX, &bytes, &size, out_error);
    if (code == LEAT_E_NOT_FOUND)
        return leat_error_at(out_error, code, savepoint->manifest.path, "there is no savepoint here (no MANIFEST)");
    if (code == LEAT_OK)
        code = check_version(savepoint, leat_slice_of(bytes, size), out_error);
    if (code != LEAT_OK)
        return code;
    if (!check_sum(leat_slice_of(bytes, size), &body))
        return damaged(savepoint, "MANIFEST", out_error, "its checksum does not fit");
    make_tables(savepoint, body);
    while (body.size > 0)
        if (!read_line(savepoint, next_line(&body)))
            return damaged(savepoint, "MANIFEST", out_error, "a line lacks a value");
    bool whole = savepoint->manifest.gateway != NULL;
    for (int i = 0; i < SAVEPOINT_PARTS; i++)
        whole &= savepoint->has_part[i];
    return whole ? LEAT_OK : damaged(savepoint, "MANIFEST", out_error, "lines are missing");
}

// ---- blocks

typedef struct part_reader {
    leat_savepoint *savepoint;
    savepoint_part which;
    leat_file *file;
    leat_writer payload;
    uint64_t offset, blocks;
    uint32_t crc;
    // Set to give out; NULL to verify.
    const leat_savepoint_visitor *visitor;
    // While verifying: what was seen of each operator, source, sink.
    uint64_t *counts;
    uint32_t *crcs;
    leat_error *error;
} part_reader;

static const char *part_name(const part_reader *reader) { return leat_savepoint_part_names[reader->which]; }

static leat_code read_bytes(part_reader *reader, void *bytes, size_t size)
{
    leat_env *env = reader->savepoint->env;
    size_t got = 0;
    leat_code code = env->ops->pread(reader->file, bytes, size, reader->offset, &got, reader->error);
    if (code != LEAT_OK)
        return code;
    if (got != size)
        return damaged(reader->savepoint, part_name(reader), reader->error, "it ends too early");
    reader->offset += size;
    reader->crc = leat_crc32c(reader->crc, bytes, size);
    return LEAT_OK;
}

static uint32_t u32_of(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static leat_code read_block(part_reader *reader)
{
    uint8_t head[SAVEPOINT_BLOCK_HEAD];
    leat_code code = read_bytes(reader, head, sizeof head);
    if (code != LEAT_OK)
        return code;
    uint32_t size = u32_of(head), stored = u32_of(head + 4);
    if (size == 0 || size > LEAT_SAVEPOINT_BLOCK_MAX ||
        size > reader->savepoint->parts[reader->which].bytes - reader->offset)
        return damaged(reader->savepoint, part_name(reader), reader->error, "a block has no possible size");
    leat_writer_reset(&reader->payload);
    uint8_t *bytes = leat_writer_reserve(&reader->payload, size);
    if (!bytes)
        return leat_error_set(reader->error, LEAT_E_MEMORY, "no memory to read a savepoint");
    code = read_bytes(reader, bytes, size);
    if (code != LEAT_OK)
        return code;
    reader->payload.size = size;
    reader->blocks++;
    return leat_savepoint_block_crc(size, bytes) == stored
               ? LEAT_OK
               : damaged(reader->savepoint, part_name(reader), reader->error, "a block's checksum does not fit");
}

// ---- records

static uint32_t place_of(const leat_savepoint *savepoint, const uint32_t *places, uint64_t index)
{
    return index <= savepoint->index_max ? places[index] : UINT32_MAX;
}

static leat_code take_entry(part_reader *reader, leat_reader *bytes)
{
    leat_savepoint *savepoint = reader->savepoint;
    uint32_t place = place_of(savepoint, savepoint->operator_places, leat_read_varint(bytes));
    uint8_t table = leat_read_u8(bytes), group = leat_read_u8(bytes);
    leat_slice key = leat_read_sized(bytes), value = leat_read_sized(bytes);
    if (bytes->failed || place == UINT32_MAX || group > LEAT_GROUP_OPERATOR || table >= 32)
        return damaged(savepoint, part_name(reader), reader->error, "an entry belongs to nothing");
    if (reader->visitor)
        return reader->visitor->entry
                   ? reader->visitor->entry(reader->visitor->context, place, table, group, key, value, reader->error)
                   : LEAT_OK;
    reader->counts[place]++;
    reader->crcs[place] = leat_savepoint_entry_crc(reader->crcs[place], table, group, key, value);
    return LEAT_OK;
}

static leat_code take_record(part_reader *reader, leat_reader *bytes)
{
    leat_savepoint *savepoint = reader->savepoint;
    bool journal = reader->which == SAVEPOINT_JOURNAL;
    const leat_savepoint_visitor *visitor = reader->visitor;
    uint32_t place =
        place_of(savepoint, journal ? savepoint->source_places : savepoint->sink_places, leat_read_varint(bytes));
    uint8_t consumed = journal ? leat_read_u8(bytes) : 0;
    leat_slice record = leat_read_sized(bytes);
    if (bytes->failed || place == UINT32_MAX || consumed > 1)
        return damaged(savepoint, part_name(reader), reader->error, "a record belongs to nothing");
    if (!visitor) {
        reader->counts[place]++;
        return LEAT_OK;
    }
    if (journal)
        return visitor->arrival ? visitor->arrival(visitor->context, place, consumed, record, reader->error) : LEAT_OK;
    return visitor->result ? visitor->result(visitor->context, place, record, reader->error) : LEAT_OK;
}

static leat_code take_block(part_reader *reader)
{
    leat_reader bytes;
    leat_code code = LEAT_OK;
    leat_reader_init(&bytes, reader->payload.bytes, reader->payload.size);
    while (code == LEAT_OK && leat_reader_left(&bytes) > 0)
        code = reader->which == SAVEPOINT_STATE ? take_entry(reader, &bytes) : take_record(reader, &bytes);
    return code;
}

// ---- parts

static bool sums_fit(const part_reader *reader)
{
    const leat_savepoint_manifest *manifest = &reader->savepoint->manifest;
    bool fit = true;
    if (reader->which == SAVEPOINT_STATE)
        for (uint32_t i = 0; i < manifest->operator_count; i++)
            fit &= reader->counts[i] == manifest->operators[i].entries && reader->crcs[i] == manifest->operators[i].crc;
    if (reader->which == SAVEPOINT_JOURNAL)
        for (uint32_t i = 0; i < manifest->source_count; i++)
            fit &= reader->counts[i] == manifest->sources[i].records;
    if (reader->which == SAVEPOINT_OUTBOX)
        for (uint32_t i = 0; i < manifest->sink_count; i++)
            fit &= reader->counts[i] == manifest->sinks[i].records;
    return fit;
}

static leat_code check_head(part_reader *reader)
{
    uint8_t head[SAVEPOINT_PART_HEAD];
    leat_code code = read_bytes(reader, head, sizeof head);
    if (code == LEAT_OK && (memcmp(head, "leatpart", 8) != 0 || u32_of(head + 8) != LEAT_SAVEPOINT_VERSION))
        code = damaged(reader->savepoint, part_name(reader), reader->error, "it does not begin as it should");
    return code;
}

static leat_code check_file(part_reader *reader)
{
    leat_file_stat stat;
    leat_code code = reader->savepoint->env->ops->file_stat(reader->file, &stat, reader->error);
    if (code == LEAT_OK && stat.size != reader->savepoint->parts[reader->which].bytes)
        code = damaged(reader->savepoint, part_name(reader), reader->error, "it is not as long as the manifest says");
    return code;
}

static leat_code read_blocks(part_reader *reader)
{
    const savepoint_part_sums *sums = &reader->savepoint->parts[reader->which];
    leat_code code = check_file(reader);
    if (code == LEAT_OK)
        code = check_head(reader);
    while (code == LEAT_OK && reader->offset < sums->bytes) {
        code = read_block(reader);
        if (code == LEAT_OK)
            code = take_block(reader);
    }
    if (code != LEAT_OK)
        return code;
    bool fine = reader->crc == sums->crc && reader->blocks == sums->blocks && (reader->visitor || sums_fit(reader));
    return fine ? LEAT_OK
                : damaged(reader->savepoint, part_name(reader), reader->error, "it is not what the manifest says");
}

static leat_code read_file(leat_savepoint *savepoint, savepoint_part which, const leat_savepoint_visitor *visitor,
                           leat_error *out_error)
{
    leat_env *env = savepoint->env;
    leat_error own = {0};
    leat_arena arena;
    leat_arena_init(&arena, env, 4096);
    part_reader reader = {.savepoint = savepoint, .which = which, .visitor = visitor, .error = &own};
    const leat_savepoint_manifest *manifest = &savepoint->manifest;
    uint32_t places = manifest->operator_count + manifest->source_count + manifest->sink_count + 1;
    reader.counts = leat_arena_array(&arena, uint64_t, places);
    reader.crcs = leat_arena_array(&arena, uint32_t, places);
    leat_writer_init(&reader.payload, env, LEAT_SAVEPOINT_BLOCK_MAX);
    const char *path = leat_arena_format(&arena, "%s/%s", manifest->path, leat_savepoint_part_names[which]);
    leat_code code = env->ops->open(env, path, LEAT_OPEN_READ, &reader.file, &own);
    if (code == LEAT_OK)
        code = read_blocks(&reader);
    if (reader.file)
        env->ops->close(env, reader.file);
    leat_writer_fini(&reader.payload);
    leat_arena_fini(&arena);
    if (code != LEAT_OK && out_error)
        *out_error = own;
    return code;
}

// ---- life

leat_code leat_savepoint_visit(leat_savepoint *savepoint, const leat_savepoint_visitor *visitor, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (int i = 0; i < SAVEPOINT_PARTS && code == LEAT_OK; i++)
        code = read_file(savepoint, (savepoint_part)i, visitor, out_error);
    return code;
}

leat_code leat_savepoint_open(leat_env *env, const char *path, leat_savepoint **out_savepoint, leat_error *out_error)
{
    leat_savepoint *savepoint = leat_env_calloc(env, sizeof *savepoint);
    if (!savepoint)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for a savepoint");
    savepoint->env = env;
    leat_arena_init(&savepoint->arena, env, 4096);
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    savepoint->manifest.path = leat_arena_copy(&savepoint->arena, path, size);
    leat_code code = read_manifest(savepoint, out_error);
    if (code == LEAT_OK)
        code = leat_savepoint_visit(savepoint, NULL, out_error);
    if (code != LEAT_OK)
        leat_savepoint_close(savepoint);
    else
        *out_savepoint = savepoint;
    return code;
}

void leat_savepoint_close(leat_savepoint *savepoint)
{
    if (!savepoint)
        return;
    leat_env *env = savepoint->env;
    leat_arena_fini(&savepoint->arena);
    leat_env_free(env, savepoint, sizeof *savepoint);
}

const leat_savepoint_manifest *leat_savepoint_manifest_get(const leat_savepoint *savepoint)
{
    return &savepoint->manifest;
}
