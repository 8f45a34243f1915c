// Any bytes as CSV: never a read past the end, rows and rejections independent of the batch's capacity and, in lines, of where blocks
// are cut. The first byte chooses header, lines and delimiter.
#include "operators/base/hash.h"
#include "tests/unit/drivers/decoding.h"

static decoding fuzz[4];

static void declare(decoding *self, bool header, const char *delimiter)
{
    leat_error error = {0};
    decoding_init(self);
    decoding_field(self, "a", leat_type_of(LEAT_KIND_INT), NULL, 0);
    decoding_field(self, "b", leat_type_of(LEAT_KIND_DOUBLE), NULL, 0);
    decoding_field(self, "c", leat_type_of(LEAT_KIND_STRING), NULL, 0);
    decoding_field(self, "d", leat_type_of(LEAT_KIND_BOOLEAN), NULL, 0);
    decoding_field(self, "e", leat_type_decimal(12, 3), NULL, 0);
    decoding_field(self, "f", leat_type_of(LEAT_KIND_TIMESTAMP), NULL, LEAT_TIME_UNIT_ISO);
    decoding_field(self, "g", leat_type_of(LEAT_KIND_TIMESTAMP_LTZ), NULL, LEAT_TIME_UNIT_MS);
    decoding_field(self, "t", leat_type_of(LEAT_KIND_STRING), "topic[0]", 0);
    decoding_field(self, "i", leat_type_of(LEAT_KIND_BIGINT), NULL, 0);
    leat_csv_settings *settings = leat_arena_new(&self->arena, leat_csv_settings);
    *settings = (leat_csv_settings){.header = header, .delimiter = delimiter, .null_text = header ? "NULL" : ""};
    if (decoding_open(self, &leat_format_csv_ops, settings, &error) != LEAT_OK)
        abort();
}

static char *decode(decoding *self, const uint8_t *bytes, size_t size, uint32_t capacity, uint8_t flags)
{
    decoding_reset(self);
    decoding_flagged(self, (const char *)bytes, size, "x", capacity, flags);
    leat_write_u8(&self->text, 0);
    return (char *)self->text.bytes;
}

// Rows only: between them rejections come in another order when the batch is cut elsewhere.
static uint64_t digest(const char *text)
{
    uint64_t hash = 0, rejects = 0;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        size_t size = (size_t)(strchr(line, '\n') - line);
        if (*line == '@')
            hash = leat_hash_combine(hash, leat_hash(line, size));
        else
            rejects += leat_hash(line, size);
    }
    return hash ^ rejects;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!fuzz[0].env)
        for (int i = 0; i < 4; i++)
            declare(&fuzz[i], i & 1, i & 2 ? ";" : ",");
    if (!size)
        return 0;
    decoding *self = &fuzz[bytes[0] & 3];
    uint8_t flags = bytes[0] & 4 ? LEAT_RAW_BLOCK | LEAT_RAW_LINES | LEAT_RAW_HEAD : 0;
    bytes++;
    size--;
    uint64_t first = digest(decode(self, bytes, size, LEAT_BATCH_ROWS, flags));
    if (digest(decode(self, bytes, size, 1, flags)) != first || digest(decode(self, bytes, size, 3, flags)) != first)
        abort();
    decode(self, bytes, size, LEAT_BATCH_ROWS, flags);
    uint32_t rows = self->rows, rejects = self->rejects;
    const uint8_t *middle = flags && size ? memchr(bytes + size / 2, '\n', size - size / 2) : NULL;
    if (!middle)
        return 0;
    size_t cut = (size_t)(middle + 1 - bytes);
    decode(self, bytes, cut, LEAT_BATCH_ROWS, flags);
    decoding_flagged(self, (const char *)bytes + cut, size - cut, "x", LEAT_BATCH_ROWS,
                     LEAT_RAW_BLOCK | LEAT_RAW_LINES);
    if (self->rows != rows || self->rejects != rejects)
        abort();
    return 0;
}
