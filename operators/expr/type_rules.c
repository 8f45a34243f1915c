// What types functions take, coerce to and give: Flink's LogicalTypeMerging, LogicalTypeCasts and return type strategies.
//
// Words of an argument pattern:
//   any boolean integer exact(integer or DECIMAL) number approximate(FLOAT or DOUBLE) double(any number, made DOUBLE)
//   text bytes date time timestamp(either) local(TIMESTAMP) ltz datetime(DATE or timestamp) temporal interval months
//   array map row, literal (a constant text), unit (a constant text that names a unit of time)
// A bare NULL fits every word and takes its type.
#include <string.h>

#include "operators/expr/function.h"

enum { DECIMAL_PRECISION_MAX = LEAT_DECIMAL_DIGITS, DECIMAL_SCALE_KEPT = 6 };

leat_variant leat_variant_of(leat_type type)
{
    switch (type.kind) {
    case LEAT_KIND_TINYINT:
        return LEAT_VARIANT_I8;
    case LEAT_KIND_SMALLINT:
        return LEAT_VARIANT_I16;
    case LEAT_KIND_INT:
        return LEAT_VARIANT_I32;
    case LEAT_KIND_FLOAT:
        return LEAT_VARIANT_F32;
    default:
        break;
    }
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        return LEAT_VARIANT_BOOL;
    case LEAT_PHYSICAL_I64:
        return LEAT_VARIANT_I64;
    case LEAT_PHYSICAL_F64:
        return LEAT_VARIANT_F64;
    case LEAT_PHYSICAL_I128:
        return LEAT_VARIANT_I128;
    case LEAT_PHYSICAL_TEXT:
        return LEAT_VARIANT_TEXT;
    case LEAT_PHYSICAL_NESTED:
        return LEAT_VARIANT_NESTED;
    }
    return LEAT_VARIANT_I64;
}

// -- DECIMAL

leat_type leat_type_as_decimal(leat_type type)
{
    switch (type.kind) {
    case LEAT_KIND_TINYINT:
        return leat_type_decimal(3, 0);
    case LEAT_KIND_SMALLINT:
        return leat_type_decimal(5, 0);
    case LEAT_KIND_INT:
        return leat_type_decimal(10, 0);
    case LEAT_KIND_BIGINT:
        return leat_type_decimal(19, 0);
    default:
        return type;
    }
}

static unsigned max_of(unsigned a, unsigned b) { return a > b ? a : b; }

static unsigned min_of(unsigned a, unsigned b) { return a < b ? a : b; }

// When 38 digits do not suffice the integer part is kept and the scale gives way, down to 6.
static leat_type adjusted(unsigned precision, unsigned scale)
{
    if (precision <= DECIMAL_PRECISION_MAX)
        return leat_type_decimal(precision, scale);
    unsigned digits = precision - scale, kept = min_of(scale, DECIMAL_SCALE_KEPT);
    unsigned room = digits < DECIMAL_PRECISION_MAX ? DECIMAL_PRECISION_MAX - digits : 0;
    return leat_type_decimal(DECIMAL_PRECISION_MAX, max_of(room, kept));
}

leat_type leat_decimal_type_add(leat_type a, leat_type b)
{
    unsigned scale = max_of(a.scale, b.scale);
    return adjusted(max_of(a.precision - a.scale, b.precision - b.scale) + scale + 1u, scale);
}

leat_type leat_decimal_type_multiply(leat_type a, leat_type b)
{
    return adjusted(a.precision + b.precision + 1u, (unsigned)a.scale + b.scale);
}

leat_type leat_decimal_type_divide(leat_type a, leat_type b)
{
    unsigned scale = max_of(DECIMAL_SCALE_KEPT, a.scale + b.precision + 1u);
    return adjusted(a.precision - a.scale + b.scale + scale, scale);
}

leat_type leat_decimal_type_modulo(leat_type a, leat_type b)
{
    unsigned scale = max_of(a.scale, b.scale);
    return adjusted(max_of(1, min_of(a.precision - a.scale, b.precision - b.scale) + scale), scale);
}

leat_type leat_decimal_type_round(leat_type a, int64_t digits)
{
    if (digits >= a.scale)
        return a;
    unsigned whole = a.precision - a.scale + 1u, scale = digits < 0 ? 0 : (unsigned)digits;
    return leat_type_decimal(min_of(DECIMAL_PRECISION_MAX, whole + scale), scale);
}

// -- common types

static leat_type common_decimal(leat_type a, leat_type b)
{
    unsigned scale = max_of(a.scale, b.scale);
    unsigned digits = max_of(a.precision - a.scale, b.precision - b.scale);
    return leat_type_decimal(min_of(DECIMAL_PRECISION_MAX, digits + scale), scale);
}

static leat_type common_number(leat_type a, leat_type b)
{
    bool has_decimal = a.kind == LEAT_KIND_DECIMAL || b.kind == LEAT_KIND_DECIMAL;
    bool has_float = a.kind == LEAT_KIND_FLOAT || b.kind == LEAT_KIND_FLOAT;
    if (a.kind == LEAT_KIND_DOUBLE || b.kind == LEAT_KIND_DOUBLE || (has_float && has_decimal))
        return leat_type_of(LEAT_KIND_DOUBLE);
    if (has_float)
        return leat_type_of(LEAT_KIND_FLOAT);
    if (has_decimal)
        return common_decimal(leat_type_as_decimal(a), leat_type_as_decimal(b));
    return a.kind > b.kind ? a : b;
}

static leat_type wider_timestamp(leat_type a, leat_type b)
{
    leat_type wide = a.kind == LEAT_KIND_TIMESTAMP_LTZ   ? a
                     : b.kind == LEAT_KIND_TIMESTAMP_LTZ ? b
                     : a.kind == LEAT_KIND_DATE          ? b
                                                         : a;
    wide.precision =
        (uint8_t)max_of(a.kind == LEAT_KIND_DATE ? 0 : a.precision, b.kind == LEAT_KIND_DATE ? 0 : b.precision);
    return wide;
}

static bool is_date_or_timestamp(leat_type type) { return type.kind == LEAT_KIND_DATE || leat_type_is_timestamp(type); }

static bool is_nested(leat_type type) { return type.kind >= LEAT_KIND_ARRAY; }

// Nested types meet only in types that lie alike; names of fields are those of the first.
static bool nested_alike(leat_type a, leat_type b)
{
    if (a.kind != b.kind || a.field_count != b.field_count)
        return false;
    for (uint32_t i = 0; i < a.field_count; i++) {
        leat_type common;
        if (!leat_type_common(*a.fields[i].type, *b.fields[i].type, &common) ||
            !leat_type_equal(common, *a.fields[i].type))
            return false;
    }
    return true;
}

bool leat_type_common(leat_type a, leat_type b, leat_type *out_type)
{
    if (b.kind == LEAT_KIND_NULL || leat_type_equal(a, b))
        return *out_type = a, true;
    if (a.kind == LEAT_KIND_NULL)
        return *out_type = b, true;
    if (leat_type_is_numeric(a) && leat_type_is_numeric(b))
        return *out_type = common_number(a, b), true;
    if (is_date_or_timestamp(a) && is_date_or_timestamp(b))
        return *out_type = wider_timestamp(a, b), true;
    if (a.kind == b.kind && !is_nested(a))
        return *out_type = a.precision >= b.precision ? a : b, true;
    if (is_nested(a) && nested_alike(a, b))
        return *out_type = a, true;
    if (is_nested(b) && nested_alike(b, a))
        return *out_type = b, true;
    return false;
}

bool leat_type_operated(leat_type a, leat_type b, leat_type *out_type)
{
    if ((a.kind == LEAT_KIND_FLOAT && b.kind == LEAT_KIND_DOUBLE) ||
        (a.kind == LEAT_KIND_TIMESTAMP && b.kind == LEAT_KIND_TIMESTAMP_LTZ))
        return *out_type = a, true;
    return leat_type_common(a, b, out_type);
}

bool leat_type_casts_implicitly(leat_type from, leat_type to)
{
    if (from.kind == LEAT_KIND_NULL || leat_type_equal(from, to) || from.kind == to.kind)
        return is_nested(to) && from.kind == to.kind ? nested_alike(to, from) : true;
    if (leat_type_is_integer(from) && leat_type_is_numeric(to))
        return !leat_type_is_integer(to) || to.kind > from.kind;
    if (leat_type_is_numeric(from))
        return to.kind == LEAT_KIND_DOUBLE || to.kind == LEAT_KIND_FLOAT;
    return (from.kind == LEAT_KIND_DATE && leat_type_is_timestamp(to)) ||
           (leat_type_is_timestamp(from) && leat_type_is_timestamp(to));
}

// -- argument patterns

typedef struct pattern_word {
    const char *name;
    leat_kind typical; // of a bare NULL
} pattern_word;

static const pattern_word words[] = {
    {"any", LEAT_KIND_NULL},           {"boolean", LEAT_KIND_BOOLEAN},   {"integer", LEAT_KIND_INT},
    {"exact", LEAT_KIND_DECIMAL},      {"number", LEAT_KIND_DOUBLE},     {"approximate", LEAT_KIND_DOUBLE},
    {"double", LEAT_KIND_DOUBLE},      {"text", LEAT_KIND_STRING},       {"bytes", LEAT_KIND_BYTES},
    {"date", LEAT_KIND_DATE},          {"time", LEAT_KIND_TIME},         {"timestamp", LEAT_KIND_TIMESTAMP},
    {"local", LEAT_KIND_TIMESTAMP},    {"ltz", LEAT_KIND_TIMESTAMP_LTZ}, {"datetime", LEAT_KIND_TIMESTAMP},
    {"temporal", LEAT_KIND_TIMESTAMP}, {"interval", LEAT_KIND_INTERVAL}, {"months", LEAT_KIND_INTERVAL_MONTH},
    {"array", LEAT_KIND_ARRAY},        {"map", LEAT_KIND_MAP},           {"row", LEAT_KIND_ROW},
    {"literal", LEAT_KIND_STRING},     {"unit", LEAT_KIND_STRING},
};

static const pattern_word *word_find(leat_slice name)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (leat_slice_is(name, words[i].name))
            return &words[i];
    LEAT_ASSERT(!"a word of an argument pattern");
    return NULL;
}

static bool is_constant_text(const leat_expr *argument)
{
    return argument->kind == LEAT_EXPR_LITERAL && argument->type.kind == LEAT_KIND_STRING && !argument->literal.is_null;
}

static bool type_is(leat_slice word, leat_type type)
{
    if (leat_slice_is(word, "any"))
        return true;
    if (leat_slice_is(word, "integer"))
        return leat_type_is_integer(type);
    if (leat_slice_is(word, "exact"))
        return leat_type_is_integer(type) || type.kind == LEAT_KIND_DECIMAL;
    if (leat_slice_is(word, "number") || leat_slice_is(word, "double"))
        return leat_type_is_numeric(type);
    if (leat_slice_is(word, "approximate"))
        return type.kind == LEAT_KIND_FLOAT || type.kind == LEAT_KIND_DOUBLE;
    if (leat_slice_is(word, "timestamp"))
        return leat_type_is_timestamp(type);
    if (leat_slice_is(word, "datetime"))
        return is_date_or_timestamp(type);
    if (leat_slice_is(word, "temporal"))
        return leat_type_is_temporal(type);
    return type.kind == word_find(word)->typical;
}

static bool word_fits(leat_slice word, const leat_expr *argument)
{
    if (leat_slice_is(word, "literal"))
        return is_constant_text(argument);
    if (leat_slice_is(word, "unit"))
        return is_constant_text(argument) && leat_unit_of(argument->literal.text) != LEAT_UNIT_NONE;
    return argument->type.kind == LEAT_KIND_NULL || type_is(word, argument->type);
}

// The word of the argument `index`, NULL text when there may be no such argument. Sets out_missing_ok when it may be absent.
static leat_slice pattern_at(const char *pattern, uint32_t index, bool *out_missing_ok)
{
    leat_slice word = {NULL, 0};
    *out_missing_ok = true;
    while (*pattern) {
        size_t size = strcspn(pattern, ",");
        const char *next = pattern + size + (pattern[size] == ',');
        next += strspn(next, " ");
        bool repeats = size > 3 && memcmp(pattern + size - 3, "...", 3) == 0, optional = pattern[size - 1] == '?';
        word = leat_slice_of(pattern, repeats ? size - 3 : optional ? size - 1 : size);
        if (index == 0 || repeats) {
            *out_missing_ok = repeats || optional;
            return word;
        }
        index--;
        pattern = next;
    }
    return (leat_slice){NULL, 0};
}

static bool pattern_fits(const leat_rule *rule, const char *pattern)
{
    bool missing_ok;
    for (uint32_t i = 0; i < rule->count; i++) {
        leat_slice word = pattern_at(pattern, i, &missing_ok);
        if (!word.data || !word_fits(word, rule->arguments[i]))
            return false;
    }
    pattern_at(pattern, rule->count, &missing_ok);
    return missing_ok;
}

static leat_expr *coerced_to_word(leat_rule *rule, leat_slice word, leat_expr *argument)
{
    leat_type type = argument->type;
    if (type.kind == LEAT_KIND_NULL)
        type = leat_type_of(word_find(word)->typical);
    else if (leat_slice_is(word, "double"))
        type = leat_type_of(LEAT_KIND_DOUBLE);
    leat_expr *result = argument;
    if (leat_expr_coerce(rule->scope, argument, type, &result, NULL) != LEAT_OK)
        return argument;
    return result;
}

bool leat_pattern_match(leat_rule *rule, const char *pattern)
{
    if (!pattern_fits(rule, pattern))
        return false;
    bool missing_ok;
    for (uint32_t i = 0; i < rule->count; i++)
        rule->arguments[i] = coerced_to_word(rule, pattern_at(pattern, i, &missing_ok), rule->arguments[i]);
    return true;
}

// -- result rules

leat_code leat_result_first(leat_rule *rule)
{
    rule->type = rule->arguments[0]->type;
    return LEAT_OK;
}

leat_code leat_result_second(leat_rule *rule)
{
    rule->type = rule->arguments[1]->type;
    return LEAT_OK;
}

static bool is_text_constant_for(const leat_expr *text, leat_type type)
{
    return text->type.kind == LEAT_KIND_STRING && leat_type_is_temporal(type);
}

// A text beside a time is read as one: ts > '2020-01-01 00:00:00'.
static bool common_of_all(const leat_rule *rule, bool compared, leat_type *out_type)
{
    leat_type common = rule->arguments[0]->type;
    for (uint32_t i = 1; i < rule->count; i++) {
        leat_type type = rule->arguments[i]->type;
        if (leat_type_common(common, type, &common))
            continue;
        if (compared && is_text_constant_for(rule->arguments[i], common))
            continue;
        if (compared && common.kind == LEAT_KIND_STRING && leat_type_is_temporal(type)) {
            common = type;
            continue;
        }
        return false;
    }
    *out_type = common;
    return true;
}

static leat_code coerce_all(leat_rule *rule, leat_type common)
{
    for (uint32_t i = 0; i < rule->count; i++) {
        leat_code code = leat_expr_coerce(rule->scope, rule->arguments[i], common, &rule->arguments[i], rule->error);
        if (code != LEAT_OK)
            return code;
    }
    return LEAT_OK;
}

static leat_code no_common(leat_rule *rule)
{
    char first[LEAT_TYPE_TEXT], other[LEAT_TYPE_TEXT];
    uint32_t k = rule->count - 1;
    leat_type common = rule->arguments[0]->type, type;
    for (uint32_t i = 1; i < rule->count; i++, common = type)
        if (!leat_type_common(common, rule->arguments[i]->type, &type)) {
            k = i;
            break;
        }
    return leat_error_set(rule->error, LEAT_E_INVALID, "%s: %s and %s have no common type; write a CAST",
                          rule->function->name, leat_type_print(rule->arguments[0]->type, first),
                          leat_type_print(rule->arguments[k]->type, other));
}

leat_code leat_result_common(leat_rule *rule)
{
    if (!common_of_all(rule, false, &rule->type))
        return no_common(rule);
    return coerce_all(rule, rule->type);
}

leat_code leat_result_operated(leat_rule *rule)
{
    if (!leat_type_operated(rule->arguments[0]->type, rule->arguments[1]->type, &rule->type))
        return no_common(rule);
    return coerce_all(rule, rule->type);
}

leat_code leat_result_equated(leat_rule *rule)
{
    leat_type common;
    rule->type = leat_type_of(LEAT_KIND_BOOLEAN);
    if (!common_of_all(rule, true, &common))
        return no_common(rule);
    leat_type_operated(rule->arguments[0]->type, rule->arguments[1]->type, &common);
    return coerce_all(rule, common);
}

leat_code leat_result_compared(leat_rule *rule)
{
    leat_type common;
    rule->type = leat_type_of(LEAT_KIND_BOOLEAN);
    if (!common_of_all(rule, true, &common))
        return no_common(rule);
    return coerce_all(rule, common);
}

static leat_code result_of(leat_rule *rule, leat_kind kind)
{
    rule->type = leat_type_of(kind);
    return LEAT_OK;
}

leat_code leat_result_boolean(leat_rule *rule) { return result_of(rule, LEAT_KIND_BOOLEAN); }

leat_code leat_result_int(leat_rule *rule) { return result_of(rule, LEAT_KIND_INT); }

leat_code leat_result_bigint(leat_rule *rule) { return result_of(rule, LEAT_KIND_BIGINT); }

leat_code leat_result_double(leat_rule *rule) { return result_of(rule, LEAT_KIND_DOUBLE); }

leat_code leat_result_string(leat_rule *rule) { return result_of(rule, LEAT_KIND_STRING); }

leat_code leat_result_date(leat_rule *rule) { return result_of(rule, LEAT_KIND_DATE); }

leat_code leat_result_time(leat_rule *rule) { return result_of(rule, LEAT_KIND_TIME); }

static leat_type with_milliseconds(leat_kind kind)
{
    leat_type type = leat_type_of(kind);
    type.precision = 3;
    return type;
}

leat_code leat_result_timestamp(leat_rule *rule)
{
    rule->type = with_milliseconds(LEAT_KIND_TIMESTAMP);
    return LEAT_OK;
}

leat_code leat_result_timestamp_ltz(leat_rule *rule)
{
    rule->type = with_milliseconds(LEAT_KIND_TIMESTAMP_LTZ);
    return LEAT_OK;
}

leat_code leat_result_interval(leat_rule *rule) { return result_of(rule, LEAT_KIND_INTERVAL); }
