#include "config/sql/parser_state.h"

static bool parse_behavior(parser *p, leat_sql_json_behavior *out, leat_sql_expr **out_default)
{
    static const struct {
        uint16_t word;
        uint8_t behavior;
    } words[] = {
        {KW_NULL, LEAT_SQL_JSON_NULL},   {KW_ERROR, LEAT_SQL_JSON_ERROR},     {KW_TRUE, LEAT_SQL_JSON_TRUE},
        {KW_FALSE, LEAT_SQL_JSON_FALSE}, {KW_UNKNOWN, LEAT_SQL_JSON_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (take_word(p, words[i].word)) {
            *out = words[i].behavior;
            return true;
        }
    if (take_word(p, KW_DEFAULT)) {
        *out = LEAT_SQL_JSON_DEFAULT;
        *out_default = parse_expr(p);
        return true;
    }
    if (!take_word(p, KW_EMPTY))
        return false;
    *out = take_word(p, KW_OBJECT) ? LEAT_SQL_JSON_EMPTY_OBJECT : LEAT_SQL_JSON_EMPTY_ARRAY;
    if (*out == LEAT_SQL_JSON_EMPTY_ARRAY && !take_word(p, KW_ARRAY))
        unexpected(p, "ARRAY or OBJECT");
    return true;
}

// NULL ON EMPTY, DEFAULT x ON ERROR: each at most once.
static void parse_behaviors(parser *p, leat_sql_json *json)
{
    leat_sql_json_behavior behavior;
    leat_sql_expr *value = NULL;
    while (parse_behavior(p, &behavior, &value)) {
        leat_sql_span place = here(p);
        expect_word(p, KW_ON);
        bool empty = take_word(p, KW_EMPTY);
        if (!empty && !take_word(p, KW_ERROR))
            unexpected(p, "EMPTY or ERROR after ON");
        leat_sql_json_behavior *target = empty ? &json->on_empty : &json->on_error;
        if (*target)
            error_at(p, place, "ON %s is given twice", empty ? "EMPTY" : "ERROR");
        *target = behavior;
        *(empty ? &json->empty_default : &json->error_default) = value;
        value = NULL;
    }
}

static void parse_wrapper(parser *p, leat_sql_json *json)
{
    if (take_word(p, KW_WITHOUT)) {
        take_word(p, KW_ARRAY);
        json->wrapper = LEAT_SQL_JSON_WITHOUT_WRAPPER;
    } else if (take_word(p, KW_WITH)) {
        bool conditional = take_word(p, KW_CONDITIONAL);
        if (!conditional)
            take_word(p, KW_UNCONDITIONAL);
        take_word(p, KW_ARRAY);
        json->wrapper = conditional ? LEAT_SQL_JSON_WITH_CONDITIONAL_WRAPPER : LEAT_SQL_JSON_WITH_UNCONDITIONAL_WRAPPER;
    } else {
        return;
    }
    expect_word(p, KW_WRAPPER);
}

static void parse_path_function(parser *p, leat_sql_json *json)
{
    *append(p, json->args.items, json->args.count) = parse_expr(p);
    expect(p, TOKEN_COMMA);
    *append(p, json->args.items, json->args.count) = parse_expr(p);
    if (json->function != LEAT_SQL_JSON_EXISTS && take_word(p, KW_RETURNING))
        json->returning = parse_type(p);
    if (json->function == LEAT_SQL_JSON_QUERY)
        parse_wrapper(p, json);
    parse_behaviors(p, json);
}

static void parse_nulls(parser *p, leat_sql_json *json)
{
    bool absent = at_word(p, KW_ABSENT);
    if (!(absent || at_word(p, KW_NULL)) || token_ahead(p, 1)->keyword != KW_ON)
        return;
    advance(p);
    advance(p);
    expect_word(p, KW_NULL);
    json->nulls = absent ? LEAT_SQL_JSON_ABSENT_ON_NULL : LEAT_SQL_JSON_NULL_ON_NULL;
}

// [KEY] name VALUE value, name : value, name, value
static void parse_pair(parser *p, leat_sql_json *json)
{
    bool key = at_word(p, KW_KEY);
    const leat_sql_token *next = token_ahead(p, 1);
    if (key && next->kind != TOKEN_COMMA && next->keyword != KW_VALUE && next->kind != TOKEN_COLON &&
        next->kind != TOKEN_DOT)
        advance(p);
    *append(p, json->args.items, json->args.count) = parse_expr(p);
    if (!take_word(p, KW_VALUE) && !take(p, TOKEN_COLON) && !take(p, TOKEN_COMMA))
        unexpected(p, "VALUE");
    *append(p, json->args.items, json->args.count) = parse_expr(p);
}

static bool at_nulls(const parser *p) { return at_words(p, KW_NULL, KW_ON) || at_words(p, KW_ABSENT, KW_ON); }

static void parse_object(parser *p, leat_sql_json *json)
{
    if (!at_kind(p, TOKEN_RIGHT) && !at_nulls(p))
        do
            parse_pair(p, json);
        while (json->function == LEAT_SQL_JSON_OBJECT && take(p, TOKEN_COMMA));
    parse_nulls(p, json);
}

static void parse_array(parser *p, leat_sql_json *json)
{
    if (!at_kind(p, TOKEN_RIGHT) && !at_nulls(p))
        json->args = parse_exprs(p);
    parse_nulls(p, json);
}

static const struct {
    uint16_t word;
    uint8_t function;
    bool aggregate;
    void (*parse)(parser *p, leat_sql_json *json);
} functions[] = {
    {KW_JSON_EXISTS, LEAT_SQL_JSON_EXISTS, false, parse_path_function},
    {KW_JSON_VALUE, LEAT_SQL_JSON_VALUE, false, parse_path_function},
    {KW_JSON_QUERY, LEAT_SQL_JSON_QUERY, false, parse_path_function},
    {KW_JSON_OBJECT, LEAT_SQL_JSON_OBJECT, false, parse_object},
    {KW_JSON_ARRAY, LEAT_SQL_JSON_ARRAY, false, parse_array},
    {KW_JSON_OBJECTAGG, LEAT_SQL_JSON_OBJECTAGG, true, parse_object},
    {KW_JSON_ARRAYAGG, LEAT_SQL_JSON_ARRAYAGG, true, parse_array},
};

leat_sql_expr *parse_json(parser *p)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (!at_word(p, functions[i].word))
            continue;
        leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_JSON);
        expr->json.function = functions[i].function;
        advance(p);
        uint32_t open = p->at;
        expect(p, TOKEN_LEFT);
        functions[i].parse(p, &expr->json);
        expect_close(p, open);
        if (functions[i].aggregate) {
            expr->json.filter = parse_filter(p);
            if (take_word(p, KW_OVER))
                expr->json.over = parse_window(p, true);
        }
        return expr;
    }
    return NULL;
}
