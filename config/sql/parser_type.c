#include "config/sql/parser_state.h"

// CHARACTER VARYING, TIMESTAMP WITH LOCAL TIME ZONE and the like are put together below.
static const struct {
    uint16_t word;
    uint8_t kind;
    uint8_t numbers; // how many may stand in parentheses
} types[] = {
    {KW_BOOLEAN, LEAT_SQL_TYPE_BOOLEAN, 0},
    {KW_TINYINT, LEAT_SQL_TYPE_TINYINT, 0},
    {KW_SMALLINT, LEAT_SQL_TYPE_SMALLINT, 0},
    {KW_INT, LEAT_SQL_TYPE_INT, 0},
    {KW_INTEGER, LEAT_SQL_TYPE_INT, 0},
    {KW_BIGINT, LEAT_SQL_TYPE_BIGINT, 0},
    {KW_FLOAT, LEAT_SQL_TYPE_FLOAT, 0},
    {KW_REAL, LEAT_SQL_TYPE_FLOAT, 0},
    {KW_DOUBLE, LEAT_SQL_TYPE_DOUBLE, 0},
    {KW_DECIMAL, LEAT_SQL_TYPE_DECIMAL, 2},
    {KW_DEC, LEAT_SQL_TYPE_DECIMAL, 2},
    {KW_NUMERIC, LEAT_SQL_TYPE_DECIMAL, 2},
    {KW_CHAR, LEAT_SQL_TYPE_CHAR, 1},
    {KW_CHARACTER, LEAT_SQL_TYPE_CHAR, 1},
    {KW_VARCHAR, LEAT_SQL_TYPE_VARCHAR, 1},
    {KW_STRING, LEAT_SQL_TYPE_STRING, 0},
    {KW_BINARY, LEAT_SQL_TYPE_BINARY, 1},
    {KW_VARBINARY, LEAT_SQL_TYPE_VARBINARY, 1},
    {KW_BYTES, LEAT_SQL_TYPE_BYTES, 0},
    {KW_DATE, LEAT_SQL_TYPE_DATE, 0},
    {KW_TIME, LEAT_SQL_TYPE_TIME, 1},
    {KW_TIMESTAMP, LEAT_SQL_TYPE_TIMESTAMP, 1},
    {KW_TIMESTAMP_LTZ, LEAT_SQL_TYPE_TIMESTAMP_LTZ, 1},
    {KW_INTERVAL, LEAT_SQL_TYPE_INTERVAL, 0},
    {KW_ARRAY, LEAT_SQL_TYPE_ARRAY, 0},
    {KW_MULTISET, LEAT_SQL_TYPE_MULTISET, 0},
    {KW_MAP, LEAT_SQL_TYPE_MAP, 0},
    {KW_ROW, LEAT_SQL_TYPE_ROW, 0},
    {KW_NULL, LEAT_SQL_TYPE_NULL, 0},
};

static void parse_numbers(parser *p, leat_sql_type *type, int limit)
{
    uint32_t open = p->at, number;
    if (!limit || !take(p, TOKEN_LEFT))
        return;
    if (parse_count(p, "a number", &number))
        type->precision = (int32_t)number;
    if (limit > 1 && take(p, TOKEN_COMMA) && parse_count(p, "a number", &number))
        type->scale = (int32_t)number;
    expect_close(p, open);
}

static leat_sql_type *parse_between_angles(parser *p, leat_sql_type **out_key)
{
    if (!expect(p, TOKEN_LESS))
        return NULL;
    if (out_key) {
        *out_key = parse_type(p);
        expect(p, TOKEN_COMMA);
    }
    leat_sql_type *type = parse_type(p);
    expect(p, TOKEN_GREATER);
    return type;
}

static void parse_fields(parser *p, leat_sql_type *type)
{
    if (take(p, TOKEN_NOT_EQUAL)) // ROW<>
        return;
    leat_sql_token_kind close = at_kind(p, TOKEN_LEFT) ? TOKEN_RIGHT : TOKEN_GREATER;
    if (!take(p, TOKEN_LEFT) && !expect(p, TOKEN_LESS))
        return;
    if (take(p, close))
        return;
    do {
        leat_sql_type_field *field = append(p, type->fields, type->field_count);
        if (!parse_name(p, "a field's name", &field->name))
            return;
        field->type = parse_type(p);
        take(p, TOKEN_STRING); // a comment
    } while (take(p, TOKEN_COMMA));
    expect(p, close);
}

static leat_sql_type_kind parse_zone(parser *p, leat_sql_type_kind kind)
{
    bool without = at_words(p, KW_WITHOUT, KW_TIME), with = at_word(p, KW_WITH);
    if (!without && !with)
        return kind;
    advance(p);
    bool local = with && take_word(p, KW_LOCAL);
    expect_word(p, KW_TIME);
    expect_word(p, KW_ZONE);
    return without ? kind : local ? LEAT_SQL_TYPE_TIMESTAMP_LTZ : LEAT_SQL_TYPE_TIMESTAMP_TZ;
}

static void parse_known_type(parser *p, leat_sql_type *type, int numbers)
{
    if (type->kind == LEAT_SQL_TYPE_DOUBLE)
        take_word(p, KW_PRECISION);
    if ((type->kind == LEAT_SQL_TYPE_CHAR || type->kind == LEAT_SQL_TYPE_BINARY) && take_word(p, KW_VARYING))
        type->kind++; // VARCHAR, VARBINARY
    parse_numbers(p, type, numbers);
    if (type->kind == LEAT_SQL_TYPE_TIMESTAMP || type->kind == LEAT_SQL_TYPE_TIME) {
        leat_sql_span zone = here(p);
        leat_sql_type_kind kind = parse_zone(p, type->kind);
        if (type->kind == LEAT_SQL_TYPE_TIME && kind != LEAT_SQL_TYPE_TIME)
            error_at(p, zone, "TIME has no time zone");
        type->kind = kind;
    } else if (type->kind == LEAT_SQL_TYPE_INTERVAL) {
        parse_interval_qualifier(p, &type->interval);
    } else if (type->kind == LEAT_SQL_TYPE_ARRAY || type->kind == LEAT_SQL_TYPE_MULTISET) {
        type->element = parse_between_angles(p, NULL);
    } else if (type->kind == LEAT_SQL_TYPE_MAP) {
        type->element = parse_between_angles(p, &type->key);
    } else if (type->kind == LEAT_SQL_TYPE_ROW) {
        parse_fields(p, type);
    }
}

_Static_assert(LEAT_SQL_TYPE_CHAR + 1 == LEAT_SQL_TYPE_VARCHAR && LEAT_SQL_TYPE_BINARY + 1 == LEAT_SQL_TYPE_VARBINARY,
               "VARYING is the next kind");

static leat_sql_type *new_type(parser *p)
{
    leat_sql_type *type = leat_arena_new(p->arena, leat_sql_type);
    type->precision = type->scale = type->interval.precision = type->interval.precision_to = -1;
    return type;
}

static leat_sql_type *parse_plain_type(parser *p)
{
    leat_sql_type *type = new_type(p);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!at_word(p, types[i].word))
            continue;
        advance(p);
        type->kind = types[i].kind;
        parse_known_type(p, type, types[i].numbers);
        return type;
    }
    type->kind = LEAT_SQL_TYPE_NAMED;
    type->name = parse_path(p, "a type, as INT, BIGINT, DOUBLE, STRING, BOOLEAN or TIMESTAMP");
    return type;
}

static void parse_nullability(parser *p, leat_sql_type *type)
{
    if (take_words(p, KW_NOT, KW_NULL))
        type->not_null = true;
    else if (type->kind != LEAT_SQL_TYPE_NULL && at_word(p, KW_NULL) && token_ahead(p, 1)->keyword != KW_ON)
        advance(p); // INT NULL, but not JSON_VALUE(.. RETURNING INT NULL ON EMPTY)
}

leat_sql_type *parse_type(parser *p)
{
    uint32_t first = p->at, outside = height_begin(p);
    if (!enter(p)) {
        leave(p);
        return new_type(p);
    }
    leat_sql_type *type = parse_plain_type(p);
    parse_nullability(p, type);
    type->span = span_since(p, first);
    while (at_word(p, KW_ARRAY) || at_word(p, KW_MULTISET)) { // INT ARRAY
        leat_sql_type *collection = new_type(p);
        collection->kind = at_word(p, KW_ARRAY) ? LEAT_SQL_TYPE_ARRAY : LEAT_SQL_TYPE_MULTISET;
        advance(p);
        collection->element = type;
        type = collection;
        parse_nullability(p, type);
        type->span = span_since(p, first);
        height_add(p);
    }
    height_end(p, outside);
    leave(p);
    return type;
}
