#include "operators/state/row_layout.h"

#include <math.h>
#include <string.h>

enum { TEXT_INLINE = 12, ENCODED_MAX = 1 << 30 };

// A text of a row: behind its size the bytes, or where they are.
typedef struct text_cell {
    uint32_t size;
    char bytes[TEXT_INLINE];
} text_cell;
_Static_assert(sizeof(text_cell) == 16, "a long text has a pointer in the second half");

static bool is_text(const leat_layout_cell *cell) { return cell->physical >= LEAT_PHYSICAL_TEXT; }

static uint32_t size_of(leat_physical physical)
{
    return physical >= LEAT_PHYSICAL_TEXT  ? (uint32_t)sizeof(text_cell)
           : physical < LEAT_PHYSICAL_I128 ? 8
                                           : (uint32_t)sizeof(leat_i128);
}

void leat_row_layout_init(leat_row_layout *layout, leat_budget *budget, leat_env *env, leat_arena *arena,
                          const leat_schema *schema, const uint32_t *columns, uint32_t count)
{
    *layout = (leat_row_layout){.budget = budget, .count = count, .null_words = (count + 63) / 64, .plain = true};
    layout->cells = leat_arena_array(arena, leat_layout_cell, count + 1);
    layout->size = layout->null_words * 8;
    for (uint32_t i = 0; i < count; i++) {
        leat_layout_cell *cell = &layout->cells[i];
        leat_type type = schema->fields[columns[i]].type;
        *cell = (leat_layout_cell){
            .type = type, .column = columns[i], .offset = layout->size, .physical = leat_type_physical(type)};
        layout->size += size_of(cell->physical);
        layout->owns |= is_text(cell);
        layout->plain &= cell->physical == LEAT_PHYSICAL_I64 || cell->physical == LEAT_PHYSICAL_F64;
    }
    leat_writer_init(&layout->encoded, env, ENCODED_MAX);
}

void leat_row_layout_fini(leat_row_layout *layout) { leat_writer_fini(&layout->encoded); }

// ---- texts

static leat_slice text_of(const text_cell *text)
{
    const char *bytes = text->bytes;
    if (text->size > TEXT_INLINE)
        memcpy(&bytes, text->bytes + 4, sizeof bytes);
    return leat_slice_of(bytes, text->size);
}

static bool set_text(leat_row_layout *layout, text_cell *out_text, leat_slice text)
{
    if (text.size > UINT32_MAX)
        return false;
    out_text->size = (uint32_t)text.size;
    memset(out_text->bytes, 0, sizeof out_text->bytes);
    if (text.size <= TEXT_INLINE) {
        if (text.size)
            memcpy(out_text->bytes, text.data, text.size);
        return true;
    }
    char *bytes = leat_budget_alloc(layout->budget, text.size);
    if (!bytes) {
        out_text->size = 0;
        return false;
    }
    memcpy(bytes, text.data, text.size);
    memcpy(out_text->bytes + 4, &bytes, sizeof bytes);
    layout->memory += text.size;
    return true;
}

static void free_texts(leat_row_layout *layout, uint64_t *cells, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const text_cell *text = leat_row_layout_place(layout, cells, i);
        if (!is_text(&layout->cells[i]) || leat_row_layout_is_null(cells, i) || text->size <= TEXT_INLINE)
            continue;
        layout->memory -= text->size;
        leat_budget_free(layout->budget, (void *)(uintptr_t)text_of(text).data, text->size);
    }
}

void leat_row_layout_free(leat_row_layout *layout, uint64_t *cells)
{
    if (layout->owns)
        free_texts(layout, cells, layout->count);
}

// ---- in

static inline double canonical(double value) { return value != value ? (double)NAN : value + 0.0; }

static bool set_value(leat_row_layout *layout, const leat_layout_cell *cell, void *place, const leat_value *value)
{
    double number;
    int64_t truth;
    switch (cell->physical) {
    case LEAT_PHYSICAL_BOOL:
        truth = value->boolean;
        memcpy(place, &truth, sizeof truth);
        return true;
    case LEAT_PHYSICAL_I64:
        memcpy(place, &value->i64, sizeof value->i64);
        return true;
    case LEAT_PHYSICAL_F64:
        number = canonical(value->f64);
        memcpy(place, &number, sizeof number);
        return true;
    case LEAT_PHYSICAL_I128:
        memcpy(place, &value->i128, sizeof value->i128);
        return true;
    case LEAT_PHYSICAL_TEXT:
        return set_text(layout, place, value->text);
    case LEAT_PHYSICAL_NESTED:
        leat_writer_reset(&layout->encoded);
        leat_value_encode(cell->type, value, &layout->encoded);
        return !layout->encoded.failed && set_text(layout, place, leat_writer_slice(&layout->encoded));
    }
    return false;
}

// Cells before it are set.
static bool set_cell(leat_row_layout *layout, uint32_t index, const leat_value *value, uint64_t *cells)
{
    const leat_layout_cell *cell = &layout->cells[index];
    char *place = (char *)cells + cell->offset;
    if (value->is_null) {
        cells[index / 64] |= UINT64_C(1) << index % 64;
        memset(place, 0, size_of(cell->physical));
        return true;
    }
    if (set_value(layout, cell, place, value))
        return true;
    free_texts(layout, cells, index);
    return false;
}

void leat_row_layout_begin(leat_row_layout *layout, const leat_batch *batch)
{
    for (uint32_t i = 0; i < layout->count && layout->plain; i++) {
        const leat_column *column = &batch->columns[layout->cells[i].column];
        layout->cells[i].values = column->values;
        layout->cells[i].nulls = column->nulls;
    }
}

static uint64_t plain_cell(const leat_layout_cell *cell, uint32_t row)
{
    uint64_t bits = cell->values[row];
    double number;
    if (cell->physical == LEAT_PHYSICAL_I64)
        return bits;
    memcpy(&number, &bits, sizeof number);
    number = canonical(number);
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static void store_plain(const leat_row_layout *layout, uint32_t row, uint64_t *cells)
{
    uint64_t *place = cells + layout->null_words;
    for (uint32_t i = 0; i < layout->count; i++) {
        const leat_layout_cell *cell = &layout->cells[i];
        bool null = cell->nulls && cell->nulls[row];
        place[i] = null ? 0 : plain_cell(cell, row);
        if (null)
            cells[i / 64] |= UINT64_C(1) << i % 64;
    }
}

bool leat_row_layout_store(leat_row_layout *layout, const leat_batch *batch, uint32_t row, uint64_t *out_cells)
{
    for (uint32_t i = 0; i < layout->null_words; i++)
        out_cells[i] = 0;
    if (layout->plain) {
        store_plain(layout, row, out_cells);
        return true;
    }
    for (uint32_t i = 0; i < layout->count; i++) {
        leat_value value = leat_column_value(&batch->columns[layout->cells[i].column], row);
        if (!set_cell(layout, i, &value, out_cells))
            return false;
    }
    return true;
}

// ---- out

static leat_value nested_of(const leat_layout_cell *cell, leat_slice bytes, leat_arena *arena)
{
    leat_value value;
    leat_reader reader;
    leat_reader_init(&reader, bytes.data, bytes.size);
    LEAT_ASSERT(leat_value_decode(cell->type, &reader, arena, &value));
    return value;
}

leat_value leat_row_layout_value(const leat_row_layout *layout, const uint64_t *cells, uint32_t cell, leat_arena *arena)
{
    const leat_layout_cell *form = &layout->cells[cell];
    const void *place = leat_row_layout_place(layout, cells, cell);
    leat_value value = {.is_null = leat_row_layout_is_null(cells, cell)};
    if (value.is_null)
        return value;
    switch (form->physical) {
    case LEAT_PHYSICAL_BOOL:
        value.boolean = *(const int64_t *)place != 0;
        break;
    case LEAT_PHYSICAL_I64:
    case LEAT_PHYSICAL_F64:
        memcpy(&value.i64, place, sizeof value.i64);
        break;
    case LEAT_PHYSICAL_I128:
        memcpy(&value.i128, place, sizeof value.i128);
        break;
    case LEAT_PHYSICAL_TEXT:
        value.text = text_of(place);
        break;
    case LEAT_PHYSICAL_NESTED:
        return nested_of(form, text_of(place), arena);
    }
    return value;
}

void leat_row_layout_copy(const leat_row_layout *layout, const uint64_t *cells, uint32_t cell, leat_column *out,
                          uint32_t row, leat_arena *arena)
{
    leat_physical physical = layout->cells[cell].physical;
    if (physical == LEAT_PHYSICAL_I64 || physical == LEAT_PHYSICAL_F64) {
        out->nulls[row] = leat_row_layout_is_null(cells, cell);
        memcpy(&out->i64[row], leat_row_layout_place(layout, cells, cell), sizeof *out->i64); // 0 below a NULL
        return;
    }
    leat_value value = leat_row_layout_value(layout, cells, cell, arena);
    leat_column_set(out, row, &value, arena);
}

void leat_row_layout_copy_all(const leat_row_layout *layout, const uint64_t *cells, leat_column *columns, uint32_t row,
                              leat_arena *arena)
{
    const uint64_t *values = cells + layout->null_words;
    for (uint32_t i = 0; i < layout->count; i++) {
        if (!layout->plain) {
            leat_row_layout_copy(layout, cells, i, &columns[i], row, arena);
            continue;
        }
        columns[i].nulls[row] = leat_row_layout_is_null(cells, i);
        columns[i].i64[row] = (int64_t)values[i]; // 0 below a NULL
    }
}

void leat_row_layout_encode(const leat_row_layout *layout, const uint64_t *cells, leat_arena *scratch,
                            leat_writer *writer)
{
    for (uint32_t i = 0; i < layout->count; i++) {
        leat_value value = leat_row_layout_value(layout, cells, i, scratch);
        leat_value_encode(layout->cells[i].type, &value, writer);
    }
}

leat_code leat_row_layout_decode(leat_row_layout *layout, leat_reader *reader, leat_arena *scratch, uint64_t *out_cells,
                                 leat_error *out_error)
{
    leat_value value;
    memset(out_cells, 0, layout->null_words * sizeof *out_cells);
    for (uint32_t i = 0; i < layout->count; i++) {
        if (!leat_value_decode(layout->cells[i].type, reader, scratch, &value)) {
            free_texts(layout, out_cells, i);
            return leat_error_set(out_error, LEAT_E_CORRUPT, "column %u of a stored row is damaged", i + 1);
        }
        if (!set_cell(layout, i, &value, out_cells))
            return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up by stored rows",
                                  layout->budget->limit);
    }
    return LEAT_OK;
}
