// Finding a function by name and overload, and the names of Flink that leat does not have.
#include <stdio.h>
#include <string.h>

#include "operators/base/suggest.h"
#include "operators/expr/function.h"

const leat_function *const leat_function_tables[] = {
    leat_functions_arithmetic,  leat_functions_math,          leat_functions_compare,    leat_functions_logic,
    leat_functions_conditional, leat_functions_text,          leat_functions_search,     leat_functions_time,
    leat_functions_clock,       leat_functions_calendar_text, leat_functions_collection, NULL,
};

// Built-in functions of Flink SQL 2.0 without an implementation here.
static const char *const flink_only[] = {
    "ACOSH",
    "ASINH",
    "ATANH",
    "APPROX_COUNT_DISTINCT",
    "ARRAY_APPEND",
    "ARRAY_CONCAT",
    "ARRAY_DISTINCT",
    "ARRAY_EXCEPT",
    "ARRAY_INTERSECT",
    "ARRAY_JOIN",
    "ARRAY_MAX",
    "ARRAY_MIN",
    "ARRAY_POSITION",
    "ARRAY_PREPEND",
    "ARRAY_REMOVE",
    "ARRAY_REVERSE",
    "ARRAY_SLICE",
    "ARRAY_SORT",
    "ARRAY_UNION",
    "BIN",
    "CONVERT_TZ",
    "CURRENT_CATALOG",
    "CURRENT_DATABASE",
    "CURRENT_ROW_TIMESTAMP",
    "CUME_DIST",
    "DECODE",
    "DENSE_RANK",
    "ELT",
    "ENCODE",
    "FROM_BASE64",
    "GROUP_ID",
    "GROUPING",
    "GROUPING_ID",
    "HASH_CODE",
    "HEX",
    "IS_JSON",
    "IS JSON",
    "JSON",
    "JSON_ARRAY",
    "JSON_ARRAYAGG",
    "JSON_EXISTS",
    "JSON_OBJECT",
    "JSON_OBJECTAGG",
    "JSON_QUERY",
    "JSON_QUOTE",
    "JSON_STRING",
    "JSON_UNQUOTE",
    "JSON_VALUE",
    "LAG",
    "LEAD",
    "MAP_ENTRIES",
    "MAP_FROM_ARRAYS",
    "MAP_KEYS",
    "MAP_UNION",
    "MAP_VALUES",
    "MD5",
    "NTH_VALUE",
    "NTILE",
    "OCTET_LENGTH",
    "OVERLAPS",
    "PARSE_URL",
    "PARSE_JSON",
    "PERCENT_RANK",
    "PERCENTILE",
    "PRINTF",
    "RANK",
    "REGEXP",
    "REGEXP_COUNT",
    "REGEXP_EXTRACT",
    "REGEXP_EXTRACT_ALL",
    "REGEXP_INSTR",
    "REGEXP_REPLACE",
    "REGEXP_SUBSTR",
    "SHA1",
    "SHA2",
    "SHA224",
    "SHA256",
    "SHA384",
    "SHA512",
    "SIMILAR TO",
    "NOT SIMILAR TO",
    "SOURCE_WATERMARK",
    "SPLIT",
    "STREAMRECORD_TIMESTAMP",
    "STR_TO_MAP",
    "TO_BASE64",
    "TRANSLATE",
    "TRANSLATE3",
    "TRY_PARSE_JSON",
    "UNHEX",
    "URL_DECODE",
    "URL_ENCODE",
    "MULTISET",
};

bool leat_function_of_flink(leat_slice name)
{
    for (size_t i = 0; i < sizeof flink_only / sizeof *flink_only; i++)
        if (leat_slice_is_nocase(name, flink_only[i]))
            return true;
    return false;
}

enum { NAMES_MAX = 512 };

const char *leat_function_suggest(leat_slice name, char out_text[128])
{
    leat_slice names[NAMES_MAX];
    char upper[LEAT_NAME_SIZE];
    size_t count = 0, size = name.size < sizeof upper ? name.size : sizeof upper;
    for (size_t i = 0; i < size; i++)
        upper[i] = name.data[i] >= 'a' && name.data[i] <= 'z' ? (char)(name.data[i] - 32) : name.data[i];
    for (const leat_function *const *table = leat_function_tables; *table; table++)
        for (const leat_function *row = *table; row->name && count < NAMES_MAX; row++)
            if (count == 0 || !leat_slice_is(names[count - 1], row->name))
                names[count++] = leat_slice_text(row->name);
    return leat_suggest_text(leat_slice_of(upper, size), names, count, out_text);
}

leat_kernel leat_function_kernel(const leat_function *function, leat_type first)
{
    return function->kernels ? function->kernels[leat_variant_of(first)] : function->kernel;
}

static void print_types(const leat_rule *rule, char *out_text, size_t size)
{
    size_t used = 0;
    out_text[0] = 0;
    for (uint32_t i = 0; i < rule->count && used + LEAT_TYPE_TEXT + 2 < size; i++) {
        char text[LEAT_TYPE_TEXT];
        const char *type = leat_type_print(rule->arguments[i]->type, text);
        used += (size_t)snprintf(out_text + used, size - used, "%s%s", i ? ", " : "", type);
    }
}

static leat_code no_overload(leat_rule *rule, leat_slice name)
{
    char types[256], takes[256];
    size_t used = 0;
    takes[0] = 0;
    for (const leat_function *const *table = leat_function_tables; *table; table++)
        for (const leat_function *row = *table; row->name; row++)
            if (leat_slice_is_nocase(name, row->name) && used + strlen(row->arguments) + 8 < sizeof takes)
                used +=
                    (size_t)snprintf(takes + used, sizeof takes - used, "%s(%s)", used ? " or " : "", row->arguments);
    print_types(rule, types, sizeof types);
    return leat_error_set(rule->error, LEAT_E_INVALID, "%.*s takes %s, but was given (%s)", (int)name.size, name.data,
                          takes, types);
}

static leat_code unknown(leat_rule *rule, leat_slice name)
{
    char suggestion[128];
    if (leat_function_of_flink(name))
        return leat_error_set(rule->error, LEAT_E_UNSUPPORTED, "function %.*s of Flink is not in leat yet",
                              (int)name.size, name.data);
    return leat_error_set(rule->error, LEAT_E_NOT_FOUND, "there is no function '%.*s'%s", (int)name.size, name.data,
                          leat_function_suggest(name, suggestion));
}

leat_code leat_function_resolve(leat_rule *rule, leat_slice name)
{
    bool known = false;
    for (const leat_function *const *table = leat_function_tables; *table; table++)
        for (const leat_function *row = *table; row->name; row++) {
            if (!leat_slice_is_nocase(name, row->name))
                continue;
            known = true;
            if (!leat_pattern_match(rule, row->arguments))
                continue;
            rule->function = row;
            return row->result(rule);
        }
    return known ? no_overload(rule, name) : unknown(rule, name);
}
