// Any bytes as a JSON payload: never a read past the end, rows and rejections independent of the batch's capacity, of the shape left by
// messages before, and, in lines, of where blocks are cut.
#include "operators/base/hash.h"
#include "tests/unit/drivers/decoding.h"

static decoding fuzz;

static void declare(void)
{
    static leat_type element, types[2];
    static leat_type_field fields[2];
    leat_error error = {0};
    decoding_init(&fuzz);
    element = leat_type_of(LEAT_KIND_DOUBLE);
    types[0] = leat_type_of(LEAT_KIND_STRING);
    types[1] = leat_type_of(LEAT_KIND_BIGINT);
    fields[0] = (leat_type_field){leat_slice_text("x"), &types[0]};
    fields[1] = (leat_type_field){leat_slice_text("y"), &types[1]};
    decoding_field(&fuzz, "a", leat_type_of(LEAT_KIND_INT), NULL, 0);
    decoding_field(&fuzz, "b", leat_type_of(LEAT_KIND_DOUBLE), "o.b[1]", 0);
    decoding_field(&fuzz, "c", leat_type_of(LEAT_KIND_STRING), NULL, 0);
    decoding_field(&fuzz, "d", leat_type_of(LEAT_KIND_BOOLEAN), "o.d", 0);
    decoding_field(&fuzz, "e", leat_type_decimal(12, 3), NULL, 0);
    decoding_field(&fuzz, "f", leat_type_of(LEAT_KIND_TIMESTAMP), NULL, LEAT_TIME_UNIT_ISO);
    decoding_field(&fuzz, "g", leat_type_of(LEAT_KIND_TIMESTAMP_LTZ), NULL, LEAT_TIME_UNIT_MS);
    decoding_field(&fuzz, "h", leat_type_array(&fuzz.arena, element), NULL, 0);
    decoding_field(&fuzz, "m", (leat_type){.kind = LEAT_KIND_MAP, .field_count = 2, .fields = fields}, NULL, 0);
    decoding_field(&fuzz, "r", (leat_type){.kind = LEAT_KIND_ROW, .field_count = 2, .fields = fields}, NULL, 0);
    decoding_field(&fuzz, "t", leat_type_of(LEAT_KIND_INT), "topic[0]", 0);
    decoding_field(&fuzz, "y", leat_type_of(LEAT_KIND_BYTES), NULL, 0);
    decoding_field(&fuzz, "n", leat_type_of(LEAT_KIND_TIMESTAMP_LTZ), NULL, LEAT_TIME_UNIT_NS);
    if (decoding_open(&fuzz, &leat_format_json_ops, NULL, &error) != LEAT_OK)
        abort();
}

// Sum over lines, so that their order does not matter.
static uint64_t digest(void)
{
    leat_slice text = leat_writer_slice(&fuzz.text);
    uint64_t sum = 0;
    for (size_t at = 0, begin = 0; at < text.size; at++)
        if (text.data[at] == '\n') {
            sum += leat_hash_mix(0x9E3779B9 + (at - begin));
            for (size_t i = begin; i < at; i++)
                sum += leat_hash_mix((uint64_t)(unsigned char)text.data[i] << 32 | (i - begin + 1));
            begin = at + 1;
        }
    return sum;
}

static uint64_t decode(const uint8_t *bytes, size_t size, uint32_t capacity, uint8_t flags)
{
    decoding_reset(&fuzz);
    decoding_flagged(&fuzz, (const char *)bytes, size, size % 2 ? "17/x" : "y", capacity, flags);
    return digest();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!fuzz.env)
        declare();
    uint8_t flags = size && bytes[0] & 1 ? LEAT_RAW_BLOCK | LEAT_RAW_LINES : 0;
    uint64_t first = decode(bytes, size, LEAT_BATCH_ROWS, flags);
    if (decode(bytes, size, 1, flags) != first || decode(bytes, size, 3, flags) != first ||
        decode(bytes, size, LEAT_BATCH_ROWS, flags) != first)
        abort();
    if (!flags)
        return 0;
    decoding_reset(&fuzz);
    uint32_t rows = 0, rejects = 0;
    decode(bytes, size, LEAT_BATCH_ROWS, flags);
    rows = fuzz.rows;
    rejects = fuzz.rejects;
    const uint8_t *middle = size ? memchr(bytes + size / 2, '\n', size - size / 2) : NULL;
    if (!middle)
        return 0;
    size_t cut = (size_t)(middle + 1 - bytes);
    decoding_reset(&fuzz);
    const char *topic = size % 2 ? "17/x" : "y";
    decoding_flagged(&fuzz, (const char *)bytes, cut, topic, LEAT_BATCH_ROWS, flags);
    decoding_flagged(&fuzz, (const char *)bytes + cut, size - cut, topic, LEAT_BATCH_ROWS, flags);
    if (fuzz.rows != rows || fuzz.rejects != rejects)
        abort();
    return 0;
}
