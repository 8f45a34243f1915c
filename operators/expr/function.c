// Finding a function by name and overload, and the names of Flink that leat does not have.
#include <stdio.h>
#include <string.h>

#include "operators/base/suggest.h"
#include "operators/expr/function.h"

const leat_function *const leat_function_tables[] = {
    leat_functions_arithmetic, leat_functions_math,          leat_functions_compare,
    leat_functions_logic,      leat_functions_conditional,   leat_functions_text,
    leat_functions_format,     leat_functions_search,        leat_functions_regex,
    leat_functions_encode,     leat_functions_url,           leat_functions_time,
    leat_functions_clock,      leat_functions_calendar_text, leat_functions_zone,
    leat_functions_collection, leat_functions_array,         leat_functions_map,
    leat_functions_json,       leat_functions_json_make,     NULL,
};

// Functions of Flink that mean nothing on a gateway, or are something else here; and what to write instead.
static const struct {
    const char *name, *instead;
} elsewhere[] = {
    {"CURRENT_CATALOG", "a gateway file has no catalogs"},
    {"CURRENT_DATABASE", "a gateway file has no databases"},
    {"SOURCE_WATERMARK", "write the watermark under the source"},
    {"STREAMRECORD_TIMESTAMP", "use the column that event_time names"},
    {"HASH_CODE", "use MD5 or SHA256"},
    {"OCTET_LENGTH", "use CHAR_LENGTH(HEX(text)) / 2"},
    {"PARSE_JSON", "leat has no VARIANT; use JSON_VALUE and JSON_QUERY on the text"},
    {"TRY_PARSE_JSON", "leat has no VARIANT; use JSON_VALUE and JSON_QUERY on the text"},
    {"JSON_LENGTH", "use CARDINALITY(JSON_QUERY(text, path RETURNING ARRAY<STRING>))"},
    {"JSON_TYPE", "use IS JSON OBJECT, IS JSON ARRAY, IS JSON SCALAR"},
    {"OBJECT_OF", "leat has no structured types; use ROW(..)"},
    {"OBJECT_UPDATE", "leat has no structured types; use ROW(..)"},
    {"MULTISET", "leat has no MULTISET; use ARRAY"},
    {"MAP_FROM_ENTRIES", "use MAP_FROM_ARRAYS"},
    {"URL_DECODE_RECURSIVE", "use URL_DECODE as often as the text was encoded"},
    {"ML_PREDICT", "there are no models on a gateway; write a function in C"},
    {"ML_EVALUATE", "there are no models on a gateway; write a function in C"},
    {"BITMAP_BUILD", "leat has no BITMAP; use APPROX_COUNT_DISTINCT or COUNT(DISTINCT ..)"},
    {"RLIKE", "use REGEXP"},
    {"REGEXP_LIKE", "use REGEXP"},
    {"LAG", "write it with OVER: LAG(x) OVER (PARTITION BY .. ORDER BY ts)"},
    {"LEAD", "use LAG or MATCH_RECOGNIZE: a row that has not come is not known"},
    {"NTH_VALUE", "use FIRST_VALUE or MATCH_RECOGNIZE"},
    {"NTILE", "use PERCENTILE"},
    {"CUME_DIST", "use PERCENTILE"},
    {"PERCENT_RANK", "use PERCENTILE"},
    // Not Flink's, but what other dialects call things.
    {"MEDIAN", "use PERCENTILE(x, 0.5)"},
    {"NVL", "use COALESCE"},
    {"ISNULL", "write x IS NULL, or COALESCE(x, ..)"},
    {"LEN", "use CHAR_LENGTH"},
    {"LENGTH", "use CHAR_LENGTH"},
    {"TO_CHAR", "use DATE_FORMAT(ts, 'yyyy-MM-dd')"},
    {"DATE_TRUNC", "use FLOOR(ts TO HOUR)"},
    {"DATEDIFF", "use TIMESTAMPDIFF(DAY, a, b)"},
    {"DATE_ADD", "write ts + INTERVAL '1' DAY"},
    {"STRING_AGG", "use LISTAGG"},
    {"GROUP_CONCAT", "use LISTAGG"},
    {"ANY_VALUE", "use FIRST_VALUE"},
    {"HAD_CHANGED", "compare with LAG(x) OVER (PARTITION BY .. ORDER BY ts)"},
    {"LATEST", "use LAST_VALUE"},
};

static const char *instead_of(leat_slice name)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (leat_slice_is_nocase(name, elsewhere[i].name))
            return elsewhere[i].instead;
    return NULL;
}

bool leat_function_of_flink(leat_slice name) { return instead_of(name) != NULL; }

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
    if (instead_of(name))
        return leat_error_set(rule->error, LEAT_E_UNSUPPORTED, "function %.*s is not in leat: %s", (int)name.size,
                              name.data, instead_of(name));
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
