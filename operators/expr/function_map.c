// Functions that take maps apart and make them. Of a key that stands twice the last entry counts.
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/regex.h"
#include "operators/expr/utf8.h"

static leat_value *items_new(leat_call *call, size_t count)
{
    return leat_arena_alloc_aligned(call->memory, sizeof(leat_value) * (count + 1), 16);
}

static void every_other(leat_call *call, uint32_t first)
{
    LEAT_EACH(call, row)
    {
        leat_nested map = leat_argument_nested(call, 0, row);
        leat_value *items = items_new(call, map.count / 2);
        for (uint32_t i = 0; i < map.count / 2; i++)
            items[i] = map.items[2 * i + first];
        call->out->nested[row] = (leat_nested){map.count / 2, items};
    }
}

static void keys(leat_call *call) { every_other(call, 0); }

static void values(leat_call *call) { every_other(call, 1); }

static void entries(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_nested map = leat_argument_nested(call, 0, row);
        leat_value *items = items_new(call, map.count / 2);
        for (uint32_t i = 0; i < map.count / 2; i++)
            items[i] = (leat_value){.nested = {2, &map.items[2 * i]}};
        call->out->nested[row] = (leat_nested){map.count / 2, items};
    }
}

// Sets a key; an entry of the same key is replaced where it stands.
static uint32_t put(leat_type key_type, leat_value *items, uint32_t count, const leat_value *key,
                    const leat_value *value)
{
    for (uint32_t i = 0; i < count; i += 2)
        if (leat_value_equal(key_type, &items[i], key)) {
            items[i + 1] = *value;
            return count;
        }
    items[count] = *key;
    items[count + 1] = *value;
    return count + 2;
}

static void from_arrays(leat_call *call)
{
    leat_type key_type = *call->out->type.fields[0].type;
    LEAT_EACH(call, row)
    {
        leat_nested a = leat_argument_nested(call, 0, row), b = leat_argument_nested(call, 1, row);
        leat_value *items = items_new(call, (size_t)a.count * 2);
        uint32_t count = 0;
        for (uint32_t i = 0; i < a.count && i < b.count; i++)
            count = put(key_type, items, count, &a.items[i], &b.items[i]);
        call->out->nested[row] = (leat_nested){count, items};
        if (a.count != b.count)
            leat_call_fail(call, row, "MAP_FROM_ARRAYS takes arrays of one length, not of %u and %u", a.count, b.count);
    }
}

static void union_of(leat_call *call)
{
    leat_type key_type = *call->out->type.fields[0].type;
    LEAT_EACH(call, row)
    {
        size_t total = 0;
        uint32_t count = 0;
        for (uint32_t i = 0; i < call->step->argument_count; i++)
            total += leat_argument_nested(call, i, row).count;
        leat_value *items = items_new(call, total);
        for (uint32_t i = 0; i < call->step->argument_count; i++) {
            leat_nested map = leat_argument_nested(call, i, row);
            for (uint32_t k = 0; k + 1 < map.count; k += 2)
                count = put(key_type, items, count, &map.items[k], &map.items[k + 1]);
        }
        call->out->nested[row] = (leat_nested){count, items};
    }
}

// -- texts into arrays and maps

// The first separator; an empty one parts every two characters.
static bool separator_find(leat_slice text, leat_slice separator, size_t *out_at)
{
    if (separator.size == 0) {
        *out_at = text.size ? leat_utf8_size(text.data, text.size) : 0;
        return *out_at < text.size;
    }
    const char *found = text.size ? memmem(text.data, text.size, separator.data, separator.size) : NULL;
    *out_at = found ? (size_t)(found - text.data) : text.size;
    return found != NULL;
}

static uint32_t split_into(leat_slice text, leat_slice separator, leat_value *items)
{
    uint32_t count = 0;
    bool more = text.size > 0;
    while (more) {
        size_t at;
        more = separator_find(text, separator, &at);
        if (items)
            items[count] = (leat_value){.text = leat_slice_of(text.data, at)};
        count++;
        size_t skip = more ? at + separator.size : at;
        text = leat_slice_of(text.data + skip, text.size - skip);
    }
    return count;
}

static void split(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row), separator = leat_argument_text(call, 1, row);
        uint32_t count = split_into(text, separator, NULL);
        leat_value *items = items_new(call, count);
        split_into(text, separator, items);
        call->out->nested[row] = (leat_nested){count, items};
    }
}

// The delimiters of STR_TO_MAP are regular expressions.
typedef struct map_patterns {
    const leat_regex *pair, *entry;
} map_patterns;

typedef struct map_reader {
    leat_call *call;
    uint32_t row;
    leat_matcher *pair, *entry;
    leat_value *items;
    uint32_t count, capacity;
    bool failed;
} map_reader;

static bool delimiter_find(map_reader *r, leat_matcher *matcher, leat_slice text, size_t *out_begin, size_t *out_end)
{
    leat_regex_found found = text.size ? leat_matcher_find(matcher, text, 0) : LEAT_REGEX_NONE;
    if (found == LEAT_REGEX_TOO_LONG) {
        leat_call_fail(r->call, r->row, "STR_TO_MAP: a delimiter takes more than %d steps", LEAT_REGEX_STEPS_MAX);
        r->failed = true;
    }
    return found == LEAT_REGEX_FOUND && leat_matcher_group(matcher, 0, out_begin, out_end) && *out_end > 0;
}

static void put_entry(map_reader *r, leat_slice entry)
{
    size_t begin = entry.size, end = entry.size;
    bool has_value = delimiter_find(r, r->entry, entry, &begin, &end);
    leat_value key = {.text = leat_slice_of(entry.data, begin)}, value = leat_value_null();
    if (has_value)
        value = (leat_value){.text = leat_slice_of(entry.data + end, entry.size - end)};
    if (r->count + 2 > r->capacity) {
        leat_value *grown = items_new(r->call, r->capacity = r->capacity ? 2 * r->capacity : 16);
        if (r->count)
            memcpy(grown, r->items, sizeof *grown * r->count);
        r->items = grown;
    }
    r->count = put(leat_type_of(LEAT_KIND_STRING), r->items, r->count, &key, &value);
}

// Empty pieces at the end are dropped, as String.split does.
static void read_map(map_reader *r, leat_slice text)
{
    bool empty = false; // pieces before this one
    while (!r->failed && text.size) {
        size_t begin = text.size, end = text.size;
        delimiter_find(r, r->pair, text, &begin, &end);
        if (begin && empty)
            put_entry(r, leat_slice_of(text.data, 0));
        if (begin)
            put_entry(r, leat_slice_of(text.data, begin));
        empty = !begin;
        text = leat_slice_of(text.data + end, text.size - end);
    }
}

static const leat_regex *delimiter(leat_call *call, uint32_t index, uint32_t row, const char *otherwise)
{
    char error[LEAT_REGEX_ERROR];
    leat_slice text =
        call->step->argument_count > index ? leat_argument_text(call, index, row) : leat_slice_text(otherwise);
    return leat_regex_compile(&call->eval->scratch, text, LEAT_REGEX_JAVA, -1, error);
}

static void str_to_map(leat_call *call)
{
    const map_patterns *patterns = call->step->expr->prepared;
    map_reader r = {.call = call};
    LEAT_EACH(call, row)
    {
        if (!patterns || !r.pair) {
            const leat_regex *pair = patterns ? patterns->pair : delimiter(call, 1, row, ",");
            const leat_regex *entry = patterns ? patterns->entry : delimiter(call, 2, row, "=");
            r.pair = pair ? leat_matcher_begin(&call->eval->scratch, pair) : NULL;
            r.entry = entry ? leat_matcher_begin(&call->eval->scratch, entry) : NULL;
        }
        r.row = row;
        r.items = NULL;
        r.count = r.capacity = 0;
        r.failed = false;
        if (r.pair && r.entry)
            read_map(&r, leat_argument_text(call, 0, row));
        call->out->nested[row] = (leat_nested){r.count, r.items};
        if (!r.pair || !r.entry)
            leat_call_fail(call, row, "STR_TO_MAP: a delimiter is no regular expression");
    }
}

// -- result rules

static leat_type map_of(leat_rule *rule, const leat_type *key, const leat_type *value)
{
    leat_type_field *fields = leat_arena_array(rule->scope->arena, leat_type_field, 2);
    fields[0] = (leat_type_field){leat_slice_text("key"), key};
    fields[1] = (leat_type_field){leat_slice_text("value"), value};
    leat_type type = leat_type_of(LEAT_KIND_MAP);
    type.field_count = 2;
    type.fields = fields;
    return type;
}

static leat_code keys_type(leat_rule *rule)
{
    rule->type = leat_type_array(rule->scope->arena, *rule->arguments[0]->type.fields[0].type);
    return LEAT_OK;
}

static leat_code values_type(leat_rule *rule)
{
    rule->type = leat_type_array(rule->scope->arena, *rule->arguments[0]->type.fields[1].type);
    return LEAT_OK;
}

static leat_code entries_type(leat_rule *rule)
{
    leat_type entry = rule->arguments[0]->type;
    leat_type named = map_of(rule, entry.fields[0].type, entry.fields[1].type);
    named.kind = LEAT_KIND_ROW;
    rule->type = leat_type_array(rule->scope->arena, named);
    return LEAT_OK;
}

static leat_code arrays_type(leat_rule *rule)
{
    rule->type = map_of(rule, rule->arguments[0]->type.fields[0].type, rule->arguments[1]->type.fields[0].type);
    return LEAT_OK;
}

static leat_code texts_type(leat_rule *rule)
{
    rule->type = leat_type_array(rule->scope->arena, leat_type_of(LEAT_KIND_STRING));
    return LEAT_OK;
}

static const leat_regex *checked(leat_rule *rule, uint32_t index, const char *otherwise, bool *out_constant)
{
    const leat_expr *given = rule->count > index ? rule->arguments[index] : NULL;
    char error[LEAT_REGEX_ERROR];
    *out_constant &= !given || (given->kind == LEAT_EXPR_LITERAL && !given->literal.is_null);
    if (!*out_constant)
        return NULL;
    leat_slice text = given ? given->literal.text : leat_slice_text(otherwise);
    const leat_regex *regex = leat_regex_compile(rule->scope->arena, text, LEAT_REGEX_JAVA, -1, error);
    if (!regex)
        (void)!leat_error_set(rule->error, LEAT_E_INVALID, "STR_TO_MAP: the delimiter '%.*s' is no pattern: %s",
                              (int)(text.size < 80 ? text.size : 80), text.data, error);
    return regex;
}

static leat_code str_to_map_type(leat_rule *rule)
{
    leat_type *text = leat_arena_new(rule->scope->arena, leat_type);
    *text = leat_type_of(LEAT_KIND_STRING);
    rule->type = map_of(rule, text, text);
    map_patterns *patterns = leat_arena_new(rule->scope->arena, map_patterns);
    bool constant = true;
    patterns->pair = checked(rule, 1, ",", &constant);
    if (constant && !patterns->pair)
        return LEAT_E_INVALID;
    patterns->entry = checked(rule, 2, "=", &constant);
    if (constant && !patterns->entry)
        return LEAT_E_INVALID;
    rule->prepared = constant ? patterns : NULL;
    rule->cannot_fail = false;
    return LEAT_OK;
}

enum { F = LEAT_FUNCTION_FAILS };

// clang-format off: a row is a line
const leat_function leat_functions_map[] = {
    {"MAP_KEYS", "map", keys_type, keys, NULL, 0, "The keys as an array."},
    {"MAP_VALUES", "map", values_type, values, NULL, 0, "The values as an array."},
    {"MAP_ENTRIES", "map", entries_type, entries, NULL, 0, "The entries as an array of rows (key, value)."},
    {"MAP_FROM_ARRAYS", "array, array", arrays_type, from_arrays, NULL, F, "A map out of keys and values."},
    {"MAP_UNION", "map, map...", leat_result_common, union_of, NULL, 0,
     "The entries of all maps; of a key the last one counts."},
    {"SPLIT", "text, text", texts_type, split, NULL, 0,
     "The pieces of a text between separators; its characters when the separator is empty."},
    {"STR_TO_MAP", "text, text?, text?", str_to_map_type, str_to_map, NULL, F,
     "A map out of a text like k=v,k=v; the delimiters are regular expressions."},
    {.name = NULL},
};
// clang-format on
