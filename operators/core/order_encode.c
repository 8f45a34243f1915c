#include "operators/core/order_encode.h"

#include <string.h>

static void put(leat_writer *out, const uint8_t *bytes, size_t size, bool inverted)
{
    uint8_t *to = leat_writer_reserve(out, size);
    if (!to)
        return;
    for (size_t i = 0; i < size; i++)
        to[i] = inverted ? (uint8_t)~bytes[i] : bytes[i];
    out->size += size;
}

static void put_u64(leat_writer *out, uint64_t value, bool inverted)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    put(out, bytes, sizeof bytes, inverted);
}

static uint64_t f64_bits(double value)
{
    uint64_t bits;
    if (value != value)
        return UINT64_MAX;
    value += 0.0; // -0 is 0
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static void put_i128(leat_writer *out, leat_i128 value, bool inverted)
{
    if (sizeof value == 16)
        put_u64(out, (uint64_t)(value >> (sizeof value * 4)) ^ UINT64_C(1) << 63, inverted);
    put_u64(out, sizeof value == 16 ? (uint64_t)value : (uint64_t)value ^ UINT64_C(1) << 63, inverted);
}

static void put_text(leat_writer *out, leat_slice text, bool inverted)
{
    static const uint8_t zero[] = {0, 0xFF}, end[] = {0, 0};
    const char *p = text.data, *last = text.data + text.size;
    while (p < last) {
        const char *stop = memchr(p, 0, (size_t)(last - p));
        size_t size = (size_t)((stop ? stop : last) - p);
        put(out, (const uint8_t *)p, size, inverted);
        if (stop)
            put(out, zero, sizeof zero, inverted);
        p += size + (stop != NULL);
    }
    put(out, end, sizeof end, inverted);
}

void leat_order_encode(leat_type type, const leat_value *value, const leat_order *order, leat_writer *out)
{
    leat_write_u8(out, value->is_null == order->nulls_last ? 1 : 0);
    if (value->is_null)
        return;
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        put(out, &(uint8_t){value->boolean}, 1, order->descending);
        break;
    case LEAT_PHYSICAL_I64:
        put_u64(out, (uint64_t)value->i64 ^ UINT64_C(1) << 63, order->descending);
        break;
    case LEAT_PHYSICAL_F64:
        put_u64(out, f64_bits(value->f64), order->descending);
        break;
    case LEAT_PHYSICAL_I128:
        put_i128(out, value->i128, order->descending);
        break;
    case LEAT_PHYSICAL_TEXT:
        put_text(out, value->text, order->descending);
        break;
    case LEAT_PHYSICAL_NESTED:
        LEAT_ASSERT(!"no order");
        break;
    }
}

void leat_order_encode_row(const leat_batch *batch, uint32_t row, const leat_order *orders, uint32_t count,
                           leat_writer *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const leat_column *column = &batch->columns[orders[i].column];
        leat_value value = leat_column_value(column, row);
        leat_order_encode(column->type, &value, &orders[i], out);
    }
}

// ---- prefixes

bool leat_order_has_prefix(leat_type type)
{
    leat_physical physical = leat_type_physical(type);
    return physical == LEAT_PHYSICAL_I64 || physical == LEAT_PHYSICAL_F64 || physical == LEAT_PHYSICAL_I128;
}

static uint64_t null_prefix(const leat_order *order) { return order->nulls_last ? UINT64_MAX : 0; }

static uint64_t i128_prefix(leat_i128 value)
{
    uint64_t high = sizeof value == 16 ? (uint64_t)(value >> (sizeof value * 4)) : (uint64_t)value;
    return high ^ UINT64_C(1) << 63;
}

static void value_prefixes(const leat_column *column, const leat_batch *batch, uint64_t *out)
{
    leat_physical physical = leat_type_physical(column->type);
    uint32_t count = batch->selected;
    if (physical == LEAT_PHYSICAL_F64)
        for (uint32_t i = 0; i < count; i++)
            out[i] = f64_bits(column->f64[leat_batch_row(batch, i)]);
    else if (physical == LEAT_PHYSICAL_I64)
        for (uint32_t i = 0; i < count; i++)
            out[i] = (uint64_t)column->i64[leat_batch_row(batch, i)] ^ UINT64_C(1) << 63;
    else
        for (uint32_t i = 0; i < count; i++)
            out[i] = i128_prefix(column->i128[leat_batch_row(batch, i)]);
}

void leat_order_prefixes(const leat_batch *batch, const leat_order *order, uint64_t *out_prefixes)
{
    const leat_column *column = &batch->columns[order->column];
    LEAT_ASSERT(leat_order_has_prefix(column->type));
    value_prefixes(column, batch, out_prefixes);
    for (uint32_t i = 0; order->descending && i < batch->selected; i++)
        out_prefixes[i] = ~out_prefixes[i];
    for (uint32_t i = 0; column->nulls && i < batch->selected; i++)
        if (column->nulls[leat_batch_row(batch, i)])
            out_prefixes[i] = null_prefix(order);
}

uint64_t leat_order_prefix(leat_slice encoded, const leat_order *order)
{
    leat_reader reader;
    leat_reader_init(&reader, encoded.data, encoded.size);
    bool is_null = leat_read_u8(&reader) == order->nulls_last;
    return is_null ? null_prefix(order) : leat_read_u64be(&reader);
}
