// Functions over regular expressions. A constant pattern is compiled with the query, and a wrong one is an error of the query;
// a pattern out of a column is compiled where it changes, and a wrong one gives what Flink gives: NULL, or FALSE.
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/regex.h"
#include "operators/expr/utf8.h"

// The matcher of the rows of one call.
typedef struct pattern_use {
    leat_call *call;
    leat_regex_form form;
    leat_slice pattern; // of the matcher
    leat_matcher *matcher;
    bool begun;
} pattern_use;

static int escape_of(const leat_call *call, uint32_t row)
{
    leat_slice escape = call->step->argument_count > 2 ? leat_argument_text(call, 2, row) : (leat_slice){NULL, 0};
    return escape.size ? (unsigned char)escape.data[0] : -1;
}

// The matcher for a row; NULL when its pattern is none.
static leat_matcher *matcher_of(pattern_use *use, uint32_t row)
{
    leat_call *call = use->call;
    const leat_regex *regex = call->step->expr->prepared;
    if (use->begun && regex)
        return use->matcher;
    leat_slice pattern = leat_argument_text(call, 1, row);
    if (use->begun && leat_slice_equal(pattern, use->pattern))
        return use->matcher;
    char error[LEAT_REGEX_ERROR];
    leat_arena *scratch = &call->eval->scratch;
    if (!regex) {
        int escape = use->form == LEAT_REGEX_SIMILAR ? escape_of(call, row) : -1;
        regex = leat_regex_compile(scratch, pattern, use->form, escape, error);
    }
    use->begun = true;
    use->pattern = pattern;
    use->matcher = regex ? leat_matcher_begin(scratch, regex) : NULL;
    return use->matcher;
}

static bool find(leat_call *call, uint32_t row, leat_matcher *matcher, leat_slice text, size_t from)
{
    if (from > text.size)
        return false;
    leat_regex_found found = leat_matcher_find(matcher, text, from);
    if (found == LEAT_REGEX_TOO_LONG)
        leat_call_fail(call, row, "%s: the pattern takes more than %d steps on this text",
                       call->step->expr->function->name, LEAT_REGEX_STEPS_MAX);
    return found == LEAT_REGEX_FOUND;
}

static leat_slice group_text(const leat_matcher *matcher, leat_slice text, uint32_t group, bool *out_set)
{
    size_t begin = 0, end = 0;
    *out_set = leat_matcher_group(matcher, group, &begin, &end);
    return leat_slice_of(text.data + begin, end - begin);
}

// An empty pattern finds nothing here, though it does elsewhere: Flink's exception.
static void regexp(leat_call *call)
{
    pattern_use use = {.call = call};
    LEAT_EACH(call, row)
    {
        leat_matcher *matcher = leat_argument_text(call, 1, row).size ? matcher_of(&use, row) : NULL;
        call->out->boolean[row] = matcher && find(call, row, matcher, leat_argument_text(call, 0, row), 0);
    }
}

static void similar(leat_call *call)
{
    pattern_use use = {.call = call, .form = LEAT_REGEX_SIMILAR};
    LEAT_EACH(call, row)
    {
        leat_matcher *matcher = matcher_of(&use, row);
        if (!matcher)
            leat_call_fail(call, row, "SIMILAR TO: the pattern is none");
        call->out->boolean[row] = matcher && find(call, row, matcher, leat_argument_text(call, 0, row), 0);
    }
}

static void set_text(leat_call *call, uint32_t row, bool set, leat_slice text)
{
    call->out->text[row] = set ? text : leat_slice_of(NULL, 0);
    if (!set)
        leat_call_null(call, row);
}

static void extract(leat_call *call)
{
    pattern_use use = {.call = call};
    bool has_group = call->step->argument_count > 2;
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row), found = {NULL, 0};
        int64_t group = has_group ? leat_argument_i64(call, 2, row) : 0;
        leat_matcher *matcher = matcher_of(&use, row);
        bool set = matcher && group >= 0 && group <= UINT16_MAX && find(call, row, matcher, text, 0);
        if (set)
            found = group_text(matcher, text, (uint32_t)group, &set);
        set_text(call, row, set, found);
    }
}

static void substr(leat_call *call)
{
    pattern_use use = {.call = call};
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row), found = {NULL, 0};
        leat_matcher *matcher = matcher_of(&use, row);
        bool set = matcher && find(call, row, matcher, text, 0);
        if (set)
            found = group_text(matcher, text, 0, &set);
        set_text(call, row, set, found);
    }
}

static void instr(leat_call *call)
{
    pattern_use use = {.call = call};
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        leat_matcher *matcher = matcher_of(&use, row);
        size_t begin = 0, end;
        call->out->i64[row] = 0;
        if (!matcher)
            leat_call_null(call, row);
        else if (find(call, row, matcher, text, 0) && leat_matcher_group(matcher, 0, &begin, &end))
            call->out->i64[row] = (int64_t)leat_utf8_count(leat_slice_of(text.data, begin)) + 1;
    }
}

static void count(leat_call *call)
{
    pattern_use use = {.call = call};
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        leat_matcher *matcher = matcher_of(&use, row);
        int64_t found = 0;
        for (size_t at = 0; matcher && find(call, row, matcher, text, at); at = leat_matcher_next(matcher, text))
            found++;
        call->out->i64[row] = found;
        if (!matcher)
            leat_call_null(call, row);
    }
}

// The texts of a group, match by match, into an array of the result's memory.
static leat_nested all_of_group(leat_call *call, uint32_t row, leat_matcher *matcher, leat_slice text, uint32_t group)
{
    uint32_t capacity = 0, made = 0;
    leat_value *items = NULL;
    for (size_t at = 0; find(call, row, matcher, text, at); at = leat_matcher_next(matcher, text)) {
        if (made == capacity) {
            leat_value *grown =
                leat_arena_alloc_aligned(call->memory, sizeof *grown * (capacity = capacity ? 2 * capacity : 8), 16);
            if (made)
                memcpy(grown, items, sizeof *items * made);
            items = grown;
        }
        bool set;
        items[made] = leat_value_null();
        leat_slice found = group_text(matcher, text, group, &set);
        if (set)
            items[made] = (leat_value){.text = found};
        made++;
    }
    return (leat_nested){made, items};
}

static void extract_all(leat_call *call)
{
    pattern_use use = {.call = call};
    bool has_group = call->step->argument_count > 2;
    LEAT_EACH(call, row)
    {
        int64_t group = has_group ? leat_argument_i64(call, 2, row) : 1;
        leat_matcher *matcher = matcher_of(&use, row);
        call->out->nested[row] = (leat_nested){0, NULL};
        if (!matcher || group < 0 || group > (int64_t)leat_matcher_groups(matcher))
            leat_call_null(call, row);
        else
            call->out->nested[row] =
                all_of_group(call, row, matcher, leat_argument_text(call, 0, row), (uint32_t)group);
    }
}

static void replace_row(leat_call *call, uint32_t row, leat_matcher *matcher, leat_writer *writer)
{
    leat_slice text = leat_argument_text(call, 0, row), with = leat_argument_text(call, 2, row);
    size_t done = 0, begin, end;
    leat_writer_reset(writer);
    for (size_t at = 0; find(call, row, matcher, text, at); at = leat_matcher_next(matcher, text)) {
        if (!leat_matcher_group(matcher, 0, &begin, &end))
            break;
        leat_write_bytes(writer, text.data + done, begin - done);
        leat_write_bytes(writer, with.data, with.size);
        done = end;
    }
    leat_write_bytes(writer, text.data + done, text.size - done);
    char *out = leat_call_text(call, writer->size);
    if (writer->size)
        memcpy(out, writer->bytes, writer->size);
    call->out->text[row] = leat_slice_of(out, writer->size);
    if (writer->failed)
        leat_call_fail(call, row, "REGEXP_REPLACE: the text would be longer than %d bytes", LEAT_STRING_BYTES_MAX);
}

static void replace(leat_call *call)
{
    pattern_use use = {.call = call};
    leat_writer writer;
    leat_writer_init(&writer, call->eval->env, LEAT_STRING_BYTES_MAX);
    LEAT_EACH(call, row)
    {
        leat_matcher *matcher = matcher_of(&use, row);
        if (matcher)
            replace_row(call, row, matcher, &writer);
        else
            set_text(call, row, false, leat_slice_of(NULL, 0));
    }
    leat_writer_fini(&writer);
}

// -- result rules

static leat_code checked(leat_rule *rule, leat_regex_form form, int escape)
{
    const leat_expr *pattern = rule->arguments[1];
    char error[LEAT_REGEX_ERROR];
    if (pattern->kind != LEAT_EXPR_LITERAL || pattern->literal.is_null)
        return LEAT_OK;
    leat_slice text = pattern->literal.text;
    rule->prepared = leat_regex_compile(rule->scope->arena, text, form, escape, error);
    if (rule->prepared)
        return LEAT_OK;
    return leat_error_set(rule->error, LEAT_E_INVALID, "%s: '%.*s' is no pattern: %s", rule->function->name,
                          (int)(text.size < 80 ? text.size : 80), text.data, error);
}

static leat_code boolean_type(leat_rule *rule)
{
    leat_code code = checked(rule, LEAT_REGEX_JAVA, -1);
    return code == LEAT_OK ? leat_result_boolean(rule) : code;
}

static leat_code int_type(leat_rule *rule)
{
    leat_code code = checked(rule, LEAT_REGEX_JAVA, -1);
    return code == LEAT_OK ? leat_result_int(rule) : code;
}

static leat_code text_type(leat_rule *rule)
{
    leat_code code = checked(rule, LEAT_REGEX_JAVA, -1);
    return code == LEAT_OK ? leat_result_string(rule) : code;
}

static leat_code texts_type(leat_rule *rule)
{
    leat_code code = checked(rule, LEAT_REGEX_JAVA, -1);
    rule->type = leat_type_array(rule->scope->arena, leat_type_of(LEAT_KIND_STRING));
    return code;
}

static leat_code similar_type(leat_rule *rule)
{
    int escape = -1;
    if (rule->count > 2) {
        leat_slice text = rule->arguments[2]->literal.text;
        if (text.size != 1)
            return leat_error_set(rule->error, LEAT_E_INVALID, "ESCAPE takes one ASCII character, but was given '%.*s'",
                                  (int)text.size, text.data);
        escape = (unsigned char)text.data[0];
    }
    leat_code code = checked(rule, LEAT_REGEX_SIMILAR, escape);
    return code == LEAT_OK ? leat_result_boolean(rule) : code;
}

enum { F = LEAT_FUNCTION_FAILS, NF = LEAT_FUNCTION_NULLABLE | LEAT_FUNCTION_FAILS };

// clang-format off: a row is a line
const leat_function leat_functions_regex[] = {
    {"REGEXP", "text, text", boolean_type, regexp, NULL, F, "Whether a part of a text matches a regular expression."},
    {"REGEXP_COUNT", "text, text", int_type, count, NULL, NF, "How many parts match, without overlapping."},
    {"REGEXP_EXTRACT", "text, text, integer?", text_type, extract, NULL, NF,
     "The first part that matches, or a group of it."},
    {"REGEXP_EXTRACT_ALL", "text, text, integer?", texts_type, extract_all, NULL, NF,
     "A group, the first unless given, of all parts that match."},
    {"REGEXP_INSTR", "text, text", int_type, instr, NULL, NF,
     "Where the first part that matches begins, from 1, else 0."},
    {"REGEXP_REPLACE", "text, text, text", text_type, replace, NULL, NF,
     "Every part that matches replaced by a text as it stands."},
    {"REGEXP_SUBSTR", "text, text", text_type, substr, NULL, NF, "The first part that matches."},
    {"SIMILAR TO", "text, text", similar_type, similar, NULL, F | LEAT_FUNCTION_INFIX,
     "Whether a whole text matches SQL's own patterns: % any text, _ a character, | * + ? {m,n} ( ) [ ]."},
    {"SIMILAR TO", "text, text, literal", similar_type, similar, NULL, F, "SIMILAR TO with an escape character."},
    {.name = NULL},
};
// clang-format on
