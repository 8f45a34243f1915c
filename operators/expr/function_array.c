// Functions over arrays. Elements are shared with the argument, never copied; equality is that of IS NOT DISTINCT FROM.
#include <string.h>

#include "operators/expr/function.h"

enum { ARRAY_ITEMS_MAX = 65536 };

static leat_type element_of(const leat_call *call) { return *leat_argument_type(call, 0).fields[0].type; }

static leat_value *items_new(leat_call *call, uint32_t count)
{
    return leat_arena_alloc_aligned(call->memory, sizeof(leat_value) * ((size_t)count + 1), 16);
}

static int64_t index_of(leat_type type, leat_nested array, const leat_value *wanted)
{
    for (uint32_t i = 0; i < array.count; i++)
        if (leat_value_equal(type, &array.items[i], wanted))
            return i;
    return -1;
}

// -- a set of what was seen, so that large arrays do not cost the square of their size

typedef struct seen_set {
    leat_type type;
    const leat_value **slots;
    uint32_t mask;
} seen_set;

static seen_set seen_begin(leat_call *call, uint32_t count)
{
    uint32_t capacity = 8;
    while (capacity < 2 * count)
        capacity *= 2;
    size_t size = sizeof(leat_value *) * capacity;
    seen_set set = {element_of(call), leat_arena_alloc(&call->eval->scratch, size), capacity - 1};
    memset(set.slots, 0, size);
    return set;
}

// Whether it is new; put in unless `look` only.
static bool seen_add(seen_set *set, const leat_value *value, bool look)
{
    uint32_t at = (uint32_t)leat_value_hash(set->type, value) & set->mask;
    for (; set->slots[at]; at = (at + 1) & set->mask)
        if (leat_value_equal(set->type, set->slots[at], value))
            return false;
    if (!look)
        set->slots[at] = value;
    return true;
}

// Of `from` what is not in the set yet, each once, behind what `items` has.
static uint32_t add_unseen(seen_set *set, leat_nested from, leat_value *items, uint32_t count)
{
    for (uint32_t i = 0; i < from.count; i++)
        if (seen_add(set, &from.items[i], false))
            items[count++] = from.items[i];
    return count;
}

// -- kernels

static void append(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_nested array = leat_argument_nested(call, 0, row);
        if (leat_argument_null(call, 0, row)) {
            leat_call_null(call, row);
            continue;
        }
        leat_value *items = items_new(call, array.count + 1);
        if (array.count)
            memcpy(items, array.items, sizeof *items * array.count);
        items[array.count] = leat_argument_value(call, 1, row);
        call->out->nested[row] = (leat_nested){array.count + 1, items};
    }
}

static void prepend(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_nested array = leat_argument_nested(call, 0, row);
        if (leat_argument_null(call, 0, row)) {
            leat_call_null(call, row);
            continue;
        }
        leat_value *items = items_new(call, array.count + 1);
        if (array.count)
            memcpy(items + 1, array.items, sizeof *items * array.count);
        items[0] = leat_argument_value(call, 1, row);
        call->out->nested[row] = (leat_nested){array.count + 1, items};
    }
}

static void concat(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        uint32_t total = 0, count = 0;
        for (uint32_t i = 0; i < call->step->argument_count; i++)
            total += leat_argument_nested(call, i, row).count;
        leat_value *items = items_new(call, total);
        for (uint32_t i = 0; i < call->step->argument_count; i++) {
            leat_nested array = leat_argument_nested(call, i, row);
            if (array.count)
                memcpy(items + count, array.items, sizeof *items * array.count);
            count += array.count;
        }
        call->out->nested[row] = (leat_nested){count, items};
    }
}

static void distinct(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_nested array = leat_argument_nested(call, 0, row);
        seen_set set = seen_begin(call, array.count);
        leat_value *items = items_new(call, array.count);
        call->out->nested[row] = (leat_nested){add_unseen(&set, array, items, 0), items};
    }
}

static void union_of(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_nested a = leat_argument_nested(call, 0, row), b = leat_argument_nested(call, 1, row);
        seen_set set = seen_begin(call, a.count + b.count);
        leat_value *items = items_new(call, a.count + b.count);
        uint32_t count = add_unseen(&set, a, items, 0);
        call->out->nested[row] = (leat_nested){add_unseen(&set, b, items, count), items};
    }
}

static void except(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_nested a = leat_argument_nested(call, 0, row), b = leat_argument_nested(call, 1, row);
        seen_set set = seen_begin(call, a.count + b.count);
        leat_value *items = items_new(call, a.count);
        for (uint32_t i = 0; i < b.count; i++)
            seen_add(&set, &b.items[i], false);
        call->out->nested[row] = (leat_nested){add_unseen(&set, a, items, 0), items};
    }
}

static void intersect(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_nested a = leat_argument_nested(call, 0, row), b = leat_argument_nested(call, 1, row);
        seen_set second = seen_begin(call, b.count), done = seen_begin(call, a.count);
        leat_value *items = items_new(call, a.count);
        uint32_t count = 0;
        for (uint32_t i = 0; i < b.count; i++)
            seen_add(&second, &b.items[i], false);
        for (uint32_t i = 0; i < a.count; i++)
            if (!seen_add(&second, &a.items[i], true) && seen_add(&done, &a.items[i], false))
                items[count++] = a.items[i];
        call->out->nested[row] = (leat_nested){count, items};
    }
}

static void position(leat_call *call)
{
    leat_type type = element_of(call);
    LEAT_EACH(call, row)
    {
        leat_value wanted = leat_argument_value(call, 1, row);
        call->out->i64[row] = index_of(type, leat_argument_nested(call, 0, row), &wanted) + 1;
    }
}

static void remove_all(leat_call *call)
{
    leat_type type = element_of(call);
    LEAT_EACH(call, row)
    {
        leat_nested array = leat_argument_nested(call, 0, row);
        if (leat_argument_null(call, 0, row)) {
            leat_call_null(call, row);
            continue;
        }
        leat_value wanted = leat_argument_value(call, 1, row), *items = items_new(call, array.count);
        uint32_t count = 0;
        for (uint32_t i = 0; i < array.count; i++)
            if (!leat_value_equal(type, &array.items[i], &wanted))
                items[count++] = array.items[i];
        call->out->nested[row] = (leat_nested){count, items};
    }
}

static void reverse(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_nested array = leat_argument_nested(call, 0, row);
        leat_value *items = items_new(call, array.count);
        for (uint32_t i = 0; i < array.count; i++)
            items[i] = array.items[array.count - 1 - i];
        call->out->nested[row] = (leat_nested){array.count, items};
    }
}

// From and to, both included, from 1, or from the end when negative.
static void slice(leat_call *call)
{
    bool has_end = call->step->argument_count > 2;
    LEAT_EACH(call, row)
    {
        leat_nested array = leat_argument_nested(call, 0, row);
        int64_t from = leat_argument_i64(call, 1, row), count = array.count;
        int64_t to = has_end ? leat_argument_i64(call, 2, row) : count;
        from += from < 0 ? count + 1 : 0;
        to += to < 0 ? count + 1 : 0;
        from = from < 1 ? 1 : from;
        to = to == 0 ? 1 : to > count ? count : to;
        bool some = count && to >= from;
        call->out->nested[row] =
            (leat_nested){some ? (uint32_t)(to - from + 1) : 0, some ? array.items + from - 1 : NULL};
    }
}

static void extreme(leat_call *call, int sign)
{
    leat_type type = element_of(call);
    LEAT_EACH(call, row)
    {
        leat_nested array = leat_argument_nested(call, 0, row);
        leat_value none = leat_value_null();
        const leat_value *best = &none;
        for (uint32_t i = 0; i < array.count; i++)
            if (!array.items[i].is_null &&
                (best->is_null || sign * leat_value_compare(type, &array.items[i], best) > 0))
                best = &array.items[i];
        leat_column_set(call->out, row, best, NULL);
    }
}

static void max_of(leat_call *call) { extreme(call, 1); }

static void min_of(leat_call *call) { extreme(call, -1); }

// -- sorting: merges of growing runs, stable, in scratch memory

typedef struct sort_order {
    leat_type type;
    bool descending, nulls_first;
} sort_order;

static bool comes_before(const sort_order *order, const leat_value *a, const leat_value *b)
{
    if (a->is_null || b->is_null)
        return a->is_null != b->is_null && a->is_null == order->nulls_first;
    int compared = leat_value_compare(order->type, a, b);
    return order->descending ? compared > 0 : compared < 0;
}

static void merge_runs(const sort_order *order, const leat_value *from, leat_value *into, uint32_t begin,
                       uint32_t middle, uint32_t end)
{
    uint32_t a = begin, b = middle;
    for (uint32_t i = begin; i < end; i++) {
        bool second = a == middle || (b < end && comes_before(order, &from[b], &from[a]));
        into[i] = second ? from[b++] : from[a++];
    }
}

static leat_value *sorted(leat_call *call, const sort_order *order, leat_nested array)
{
    leat_value *from = items_new(call, array.count), *into = items_new(call, array.count), *swapped;
    if (array.count)
        memcpy(from, array.items, sizeof *from * array.count);
    for (uint32_t run = 1; run < array.count; run *= 2) {
        for (uint32_t begin = 0; begin < array.count; begin += 2 * run) {
            uint32_t middle = begin + run < array.count ? begin + run : array.count;
            uint32_t end = begin + 2 * run < array.count ? begin + 2 * run : array.count;
            merge_runs(order, from, into, begin, middle, end);
        }
        swapped = from;
        from = into;
        into = swapped;
    }
    return from;
}

static void sort(leat_call *call)
{
    uint32_t given = call->step->argument_count;
    LEAT_EACH(call, row)
    {
        bool ascending = given < 2 || leat_argument_boolean(call, 1, row);
        bool nulls_first = given < 3 ? ascending : leat_argument_boolean(call, 2, row);
        sort_order order = {element_of(call), !ascending, nulls_first};
        leat_nested array = leat_argument_nested(call, 0, row);
        call->out->nested[row] = (leat_nested){array.count, sorted(call, &order, array)};
    }
}

// -- texts

static void join(leat_call *call)
{
    bool has_null = call->step->argument_count > 2;
    leat_writer writer;
    leat_writer_init(&writer, call->eval->env, LEAT_STRING_BYTES_MAX);
    LEAT_EACH(call, row)
    {
        leat_nested array = leat_argument_nested(call, 0, row);
        leat_slice between = leat_argument_text(call, 1, row), text;
        bool any = false;
        leat_writer_reset(&writer);
        for (uint32_t i = 0; i < array.count; i++) {
            if (array.items[i].is_null && !has_null)
                continue;
            text = array.items[i].is_null ? leat_argument_text(call, 2, row) : array.items[i].text;
            if (any)
                leat_write_bytes(&writer, between.data, between.size);
            any = true;
            leat_write_bytes(&writer, text.data, text.size);
        }
        char *out = leat_call_text(call, writer.size);
        if (writer.size)
            memcpy(out, writer.bytes, writer.size);
        call->out->text[row] = leat_slice_of(out, writer.size);
        if (writer.failed)
            leat_call_fail(call, row, "ARRAY_JOIN: the text would be longer than %d bytes", LEAT_STRING_BYTES_MAX);
    }
    leat_writer_fini(&writer);
}

// -- result rules

static leat_code not_of(leat_rule *rule, const leat_error *error)
{
    char array[LEAT_TYPE_TEXT], element[LEAT_TYPE_TEXT];
    (void)error;
    return leat_error_set(rule->error, LEAT_E_INVALID, "%s: %s is no element of %s; write a CAST", rule->function->name,
                          leat_type_print(rule->arguments[1]->type, element),
                          leat_type_print(rule->arguments[0]->type, array));
}

// The second argument as an element of the first.
static leat_code element_coerced(leat_rule *rule)
{
    leat_error error;
    leat_type type = *rule->arguments[0]->type.fields[0].type;
    leat_code code = leat_expr_coerce(rule->scope, rule->arguments[1], type, &rule->arguments[1], &error);
    return code == LEAT_OK ? LEAT_OK : not_of(rule, &error);
}

// The common type of array and element: ARRAY[1] with 2.5 is an array of DECIMAL.
static leat_code widened(leat_rule *rule)
{
    leat_type array = rule->arguments[0]->type, common;
    if (!leat_type_common(*array.fields[0].type, rule->arguments[1]->type, &common))
        return not_of(rule, NULL);
    rule->type = leat_type_array(rule->scope->arena, common);
    leat_code code = leat_type_equal(array, rule->type) ? LEAT_OK
                                                        : leat_expr_cast(rule->scope, rule->arguments[0], rule->type,
                                                                         false, &rule->arguments[0], rule->error);
    if (code == LEAT_OK)
        code = leat_expr_coerce(rule->scope, rule->arguments[1], common, &rule->arguments[1], rule->error);
    return code;
}

static leat_code same_element(leat_rule *rule)
{
    leat_code code = element_coerced(rule);
    return code == LEAT_OK ? leat_result_first(rule) : code;
}

static leat_code position_type(leat_rule *rule)
{
    leat_code code = element_coerced(rule);
    return code == LEAT_OK ? leat_result_int(rule) : code;
}

static leat_code item_type(leat_rule *rule)
{
    char text[LEAT_TYPE_TEXT];
    rule->type = *rule->arguments[0]->type.fields[0].type;
    if (rule->type.kind >= LEAT_KIND_ARRAY)
        return leat_error_set(rule->error, LEAT_E_INVALID, "%s does not compare %s", rule->function->name,
                              leat_type_print(rule->type, text));
    return LEAT_OK;
}

static leat_code sort_type(leat_rule *rule)
{
    leat_code code = item_type(rule);
    return code == LEAT_OK ? leat_result_first(rule) : code;
}

static leat_code join_type(leat_rule *rule)
{
    char text[LEAT_TYPE_TEXT];
    if (rule->arguments[0]->type.fields[0].type->kind != LEAT_KIND_STRING)
        return leat_error_set(rule->error, LEAT_E_INVALID, "ARRAY_JOIN takes an ARRAY<STRING>, not %s",
                              leat_type_print(rule->arguments[0]->type, text));
    return leat_result_string(rule);
}

enum { SEES = LEAT_FUNCTION_LENIENT | LEAT_FUNCTION_NULLABLE, N = LEAT_FUNCTION_NULLABLE, F = LEAT_FUNCTION_FAILS };

// clang-format off: a row is a line
const leat_function leat_functions_array[] = {
    {"ARRAY_APPEND", "array, any", widened, append, NULL, SEES, "The array and an element behind it."},
    {"ARRAY_PREPEND", "array, any", widened, prepend, NULL, SEES, "The array and an element before it."},
    {"ARRAY_CONCAT", "array, array...", leat_result_common, concat, NULL, 0, "The arrays one behind the other."},
    {"ARRAY_DISTINCT", "array", leat_result_first, distinct, NULL, 0, "Every element once, in order."},
    {"ARRAY_UNION", "array, array", leat_result_common, union_of, NULL, 0,
     "What is in either array, every element once."},
    {"ARRAY_EXCEPT", "array, array", leat_result_common, except, NULL, 0,
     "What is in the first array only, every element once."},
    {"ARRAY_INTERSECT", "array, array", leat_result_common, intersect, NULL, 0,
     "What is in both arrays, every element once."},
    {"ARRAY_POSITION", "array, any", position_type, position, NULL, 0,
     "Where an element stands first, from 1; 0 when it does not."},
    {"ARRAY_REMOVE", "array, any", same_element, remove_all, NULL, SEES,
     "The array without an element, wherever it stands."},
    {"ARRAY_REVERSE", "array", leat_result_first, reverse, NULL, 0, "The elements from last to first."},
    {"ARRAY_SLICE", "array, integer, integer?", leat_result_first, slice, NULL, 0,
     "The elements from one position to another, both included, from 1, negative from the end."},
    {"ARRAY_SORT", "array, boolean?, boolean?", sort_type, sort, NULL, 0,
     "In order, ascending unless FALSE; the third argument says whether NULLs stand first."},
    {"ARRAY_MAX", "array", item_type, max_of, NULL, N, "The greatest element."},
    {"ARRAY_MIN", "array", item_type, min_of, NULL, N, "The least element."},
    {"ARRAY_JOIN", "array, text, text?", join_type, join, NULL, F,
     "Texts joined with a separator; NULLs left out, or as the third argument."},
    {.name = NULL},
};
// clang-format on
