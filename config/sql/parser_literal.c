#include "config/sql/parser_state.h"

static leat_sql_expr *new_literal(parser *p, leat_sql_literal_kind kind)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_LITERAL);
    expr->literal.kind = kind;
    return expr;
}

static leat_sql_expr *parse_constant(parser *p, leat_sql_literal_kind kind)
{
    leat_sql_expr *expr = new_literal(p, kind);
    expr->literal.text = token_text(p, current(p));
    advance(p);
    return expr;
}

// ---- DATE, TIME, TIMESTAMP

// Digits at *at: at least one, at most `digits`. -1 when there is none.
static int64_t take_number(leat_slice text, size_t *at, size_t digits)
{
    int64_t value = 0;
    size_t start = *at;
    for (; *at < text.size && *at - start < digits && text.data[*at] >= '0' && text.data[*at] <= '9'; ++*at)
        value = value * 10 + (text.data[*at] - '0');
    return *at > start ? value : -1;
}

static bool take_sign(leat_slice text, size_t *at, char sign)
{
    bool found = *at < text.size && text.data[*at] == sign;
    *at += found;
    return found;
}

static bool take_date(leat_slice text, size_t *at)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    size_t start = *at;
    int64_t year = take_number(text, at, 4);
    if (*at - start != 4 || !take_sign(text, at, '-'))
        return false;
    int64_t month = take_number(text, at, 2);
    if (month < 1 || month > 12 || !take_sign(text, at, '-'))
        return false;
    int64_t day = take_number(text, at, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

static bool take_time(leat_slice text, size_t *at)
{
    int64_t hour = take_number(text, at, 2);
    if (hour < 0 || hour > 23 || !take_sign(text, at, ':'))
        return false;
    int64_t minute = take_number(text, at, 2);
    if (minute < 0 || minute > 59 || !take_sign(text, at, ':'))
        return false;
    int64_t second = take_number(text, at, 2);
    if (second < 0 || second > 59)
        return false;
    return !take_sign(text, at, '.') || take_number(text, at, 9) >= 0;
}

static const struct {
    const char *name, *form;
    bool date, time;
} datetimes[] = {
    {"DATE", "YYYY-MM-DD", true, false},
    {"TIME", "HH:MM:SS", false, true},
    {"TIMESTAMP", "YYYY-MM-DD HH:MM:SS", true, true},
    {"TIMESTAMP_LTZ", "YYYY-MM-DD HH:MM:SS", true, true},
};

static void check_datetime(parser *p, const leat_sql_literal *literal)
{
    size_t at = 0, form = literal->kind - LEAT_SQL_LITERAL_DATE;
    bool good = !datetimes[form].date || take_date(literal->text, &at);
    if (good && datetimes[form].date && datetimes[form].time)
        good = take_sign(literal->text, &at, ' ');
    if (good && datetimes[form].time)
        good = take_time(literal->text, &at);
    if (!good || at != literal->text.size) {
        leat_slice source = token_source(p, current(p));
        error_at(p, here(p), "found %.*s, expected %s '%s'", (int)(source.size > 48 ? 48 : source.size), source.data,
                 datetimes[form].name, datetimes[form].form);
    }
}

static leat_sql_expr *parse_datetime(parser *p, leat_sql_literal_kind kind)
{
    leat_sql_expr *expr = new_literal(p, kind);
    expr->literal.text = token_text(p, current(p));
    check_datetime(p, &expr->literal);
    advance(p);
    return expr;
}

static leat_sql_expr *parse_datetime_word(parser *p)
{
    leat_sql_keyword word = current(p)->keyword;
    bool zoned = word == KW_TIMESTAMP && token_ahead(p, 1)->keyword == KW_WITH;
    if (!zoned && token_ahead(p, 1)->kind != TOKEN_STRING)
        return NULL;
    advance(p);
    if (zoned) {
        advance(p);
        expect_word(p, KW_LOCAL);
        expect_word(p, KW_TIME);
        expect_word(p, KW_ZONE);
        if (!at_kind(p, TOKEN_STRING))
            unexpected(p, "a string");
    }
    if (zoned || word == KW_TIMESTAMP_LTZ)
        return parse_datetime(p, LEAT_SQL_LITERAL_TIMESTAMP_LTZ);
    return parse_datetime(p, word == KW_DATE   ? LEAT_SQL_LITERAL_DATE
                             : word == KW_TIME ? LEAT_SQL_LITERAL_TIME
                                               : LEAT_SQL_LITERAL_TIMESTAMP);
}

// ---- INTERVAL

static const struct {
    uint16_t word, plural; // NO_KEYWORD: none
    uint8_t unit;
} units[] = {
    {KW_YEAR, KW_YEARS, LEAT_SQL_UNIT_YEAR},
    {KW_QUARTER, NO_KEYWORD, LEAT_SQL_UNIT_QUARTER},
    {KW_MONTH, KW_MONTHS, LEAT_SQL_UNIT_MONTH},
    {KW_WEEK, KW_WEEKS, LEAT_SQL_UNIT_WEEK},
    {KW_DAY, KW_DAYS, LEAT_SQL_UNIT_DAY},
    {KW_HOUR, KW_HOURS, LEAT_SQL_UNIT_HOUR},
    {KW_MINUTE, KW_MINUTES, LEAT_SQL_UNIT_MINUTE},
    {KW_SECOND, KW_SECONDS, LEAT_SQL_UNIT_SECOND},
    {KW_MILLISECOND, NO_KEYWORD, LEAT_SQL_UNIT_MILLISECOND},
    {KW_MICROSECOND, NO_KEYWORD, LEAT_SQL_UNIT_MICROSECOND},
    {KW_NANOSECOND, NO_KEYWORD, LEAT_SQL_UNIT_NANOSECOND},
    {KW_DECADE, NO_KEYWORD, LEAT_SQL_UNIT_DECADE},
    {KW_CENTURY, NO_KEYWORD, LEAT_SQL_UNIT_CENTURY},
    {KW_MILLENNIUM, NO_KEYWORD, LEAT_SQL_UNIT_MILLENNIUM},
    {KW_EPOCH, NO_KEYWORD, LEAT_SQL_UNIT_EPOCH},
    {KW_DOW, NO_KEYWORD, LEAT_SQL_UNIT_DOW},
    {KW_DOY, NO_KEYWORD, LEAT_SQL_UNIT_DOY},
    {KW_ISODOW, NO_KEYWORD, LEAT_SQL_UNIT_ISODOW},
    {KW_ISOYEAR, NO_KEYWORD, LEAT_SQL_UNIT_ISOYEAR},
};

#define UNIT_WORDS "YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE or SECOND"

// plural: MINUTES stands for MINUTE, as it does in INTERVAL.
static leat_sql_unit read_unit(parser *p, bool plural, leat_sql_span *out_span)
{
    leat_sql_keyword word = current(p)->keyword;
    *out_span = here(p);
    for (size_t i = 0; i < sizeof units / sizeof *units && word; i++) {
        if (word == units[i].word || (plural && word == units[i].plural)) {
            advance(p);
            return units[i].unit;
        }
        if (word == units[i].plural)
            error_at(p, here(p), "found '%s', expected %s", leat_sql_keyword_text(word),
                     leat_sql_keyword_text(units[i].word));
    }
    unexpected(p, UNIT_WORDS);
    return LEAT_SQL_UNIT_NONE;
}

leat_sql_unit parse_unit(parser *p, leat_sql_span *out_span) { return read_unit(p, false, out_span); }

static bool parse_precision(parser *p, int32_t *out, int32_t *out_second)
{
    uint32_t open = p->at, number = 0;
    if (!take(p, TOKEN_LEFT))
        return true;
    if (parse_count(p, "a precision", &number))
        *out = (int32_t)number;
    if (out_second && take(p, TOKEN_COMMA) && parse_count(p, "a precision", &number))
        *out_second = (int32_t)number;
    return expect_close(p, open);
}

static bool units_follow(leat_sql_unit from, leat_sql_unit to)
{
    if (from == LEAT_SQL_UNIT_YEAR)
        return to == LEAT_SQL_UNIT_MONTH;
    return from >= LEAT_SQL_UNIT_DAY && to > from && to <= LEAT_SQL_UNIT_SECOND;
}

bool parse_interval_qualifier(parser *p, leat_sql_interval_qualifier *out)
{
    leat_sql_span from, to;
    *out = (leat_sql_interval_qualifier){.precision = -1, .precision_to = -1};
    out->from = read_unit(p, true, &from);
    if (out->from > LEAT_SQL_UNIT_SECOND)
        error_at(p, from, "an INTERVAL has no %s, expected " UNIT_WORDS, leat_sql_unit_name(out->from));
    parse_precision(p, &out->precision, out->from == LEAT_SQL_UNIT_SECOND ? &out->precision_to : NULL);
    if (!take_word(p, KW_TO))
        return !p->panic;
    out->to = read_unit(p, true, &to);
    if (!p->panic && !units_follow(out->from, out->to))
        error_at(p, to, "an INTERVAL does not go from %s TO %s", leat_sql_unit_name(out->from),
                 leat_sql_unit_name(out->to));
    if (out->to == LEAT_SQL_UNIT_SECOND)
        parse_precision(p, &out->precision_to, NULL);
    return !p->panic;
}

static int64_t unit_size(leat_sql_unit unit)
{
    static const int64_t sizes[] = {
        [LEAT_SQL_UNIT_YEAR] = 12,        [LEAT_SQL_UNIT_QUARTER] = 3,    [LEAT_SQL_UNIT_MONTH] = 1,
        [LEAT_SQL_UNIT_WEEK] = 604800000, [LEAT_SQL_UNIT_DAY] = 86400000, [LEAT_SQL_UNIT_HOUR] = 3600000,
        [LEAT_SQL_UNIT_MINUTE] = 60000,   [LEAT_SQL_UNIT_SECOND] = 1000};
    LEAT_ASSERT(unit <= LEAT_SQL_UNIT_SECOND); // parse_interval_qualifier refuses the others
    return sizes[unit];
}

static int64_t unit_limit(leat_sql_unit unit)
{
    return unit == LEAT_SQL_UNIT_MONTH ? 12 : unit == LEAT_SQL_UNIT_HOUR ? 24 : 60;
}

// Milliseconds of ".5", ".0051": digits below are cut.
static int64_t take_fraction(leat_slice text, size_t *at, bool *good)
{
    size_t start = *at;
    int64_t value = take_number(text, at, 3);
    *good &= value >= 0;
    for (size_t digits = *at - start; digits < 3; digits++)
        value *= 10;
    take_number(text, at, 6);
    return value;
}

enum { INTERVAL_DIGITS = 10 }; // of the first field: 10 digits of weeks in milliseconds fit into 63 bits

static leat_sql_unit unit_after(leat_sql_unit unit)
{
    return unit == LEAT_SQL_UNIT_YEAR ? LEAT_SQL_UNIT_MONTH : unit + 1;
}

static bool interval_value(leat_slice text, const leat_sql_interval_qualifier *qualifier, int64_t *out)
{
    size_t at = 0;
    bool negative = take_sign(text, &at, '-'), good = true;
    if (!negative)
        take_sign(text, &at, '+');
    int64_t total = 0;
    leat_sql_unit last = qualifier->to ? qualifier->to : qualifier->from;
    for (leat_sql_unit unit = qualifier->from;; unit = unit_after(unit)) {
        bool first = unit == qualifier->from;
        int64_t value = take_number(text, &at, first ? INTERVAL_DIGITS : 2);
        good &= value >= 0 && (first || value < unit_limit(unit));
        total += good ? value * unit_size(unit) : 0;
        if (unit == last || !good)
            break;
        good &= take_sign(text, &at, unit == LEAT_SQL_UNIT_YEAR ? '-' : unit == LEAT_SQL_UNIT_DAY ? ' ' : ':');
    }
    if (good && last == LEAT_SQL_UNIT_SECOND && take_sign(text, &at, '.'))
        total += take_fraction(text, &at, &good);
    *out = negative ? -total : total;
    return good && at == text.size;
}

static const char *interval_example(const leat_sql_interval_qualifier *qualifier)
{
    switch ((int)qualifier->to) {
    case LEAT_SQL_UNIT_MONTH:
        return "'1-6'";
    case LEAT_SQL_UNIT_HOUR:
        return "'1 12'";
    case LEAT_SQL_UNIT_MINUTE:
        return qualifier->from == LEAT_SQL_UNIT_DAY ? "'1 12:30'" : "'12:30'";
    case LEAT_SQL_UNIT_SECOND:
        return qualifier->from == LEAT_SQL_UNIT_DAY    ? "'1 12:30:15'"
               : qualifier->from == LEAT_SQL_UNIT_HOUR ? "'12:30:15'"
                                                       : "'30:15'";
    default:
        return qualifier->from == LEAT_SQL_UNIT_SECOND ? "'10' or '0.5'" : "'10'";
    }
}

static leat_sql_expr *parse_interval(parser *p)
{
    leat_sql_expr *expr = new_literal(p, LEAT_SQL_LITERAL_INTERVAL);
    advance(p);
    expr->literal.interval_negative = take(p, TOKEN_MINUS);
    if (!expr->literal.interval_negative)
        take(p, TOKEN_PLUS);
    leat_sql_span place = here(p);
    if (at_kind(p, TOKEN_PARAMETER))
        error_at(p, place, "a parameter cannot stand inside INTERVAL: bind a duration and write the parameter alone");
    if (at_kind(p, TOKEN_INTEGER) || at_kind(p, TOKEN_DECIMAL)) {
        leat_slice number = token_source(p, current(p));
        error_at(p, place, "found '%.*s', expected a string: INTERVAL '%.*s'",
                 (int)(number.size > 40 ? 40 : number.size), number.data, (int)(number.size > 40 ? 40 : number.size),
                 number.data);
    }
    expr->literal.text = token_text(p, current(p));
    if (!expect(p, TOKEN_STRING) || !parse_interval_qualifier(p, &expr->literal.interval))
        return expr;
    if (!interval_value(expr->literal.text, &expr->literal.interval, &expr->literal.interval_value))
        error_at(p, place, "found '%.*s', expected %s%s",
                 (int)(expr->literal.text.size > 40 ? 40 : expr->literal.text.size), expr->literal.text.data,
                 interval_example(&expr->literal.interval),
                 strspn(expr->literal.text.data, "0123456789") > INTERVAL_DIGITS ? ", at most ten digits" : "");
    if (expr->literal.interval_negative)
        expr->literal.interval_value = -expr->literal.interval_value;
    return expr;
}

leat_sql_expr *parse_literal(parser *p)
{
    switch ((int)current(p)->kind) {
    case TOKEN_INTEGER:
        return parse_constant(p, LEAT_SQL_LITERAL_INTEGER);
    case TOKEN_DECIMAL:
        return parse_constant(p, LEAT_SQL_LITERAL_DECIMAL);
    case TOKEN_APPROXIMATE:
        return parse_constant(p, LEAT_SQL_LITERAL_APPROXIMATE);
    case TOKEN_STRING:
    case TOKEN_UNICODE:
        return parse_constant(p, LEAT_SQL_LITERAL_STRING);
    case TOKEN_BINARY:
        return parse_constant(p, LEAT_SQL_LITERAL_BINARY);
    default:
        break;
    }
    switch ((int)current(p)->keyword) {
    case KW_NULL:
        return parse_constant(p, LEAT_SQL_LITERAL_NULL);
    case KW_TRUE:
        return parse_constant(p, LEAT_SQL_LITERAL_TRUE);
    case KW_FALSE:
        return parse_constant(p, LEAT_SQL_LITERAL_FALSE);
    case KW_UNKNOWN:
        return parse_constant(p, LEAT_SQL_LITERAL_UNKNOWN);
    case KW_DATE:
    case KW_TIME:
    case KW_TIMESTAMP:
    case KW_TIMESTAMP_LTZ:
        return parse_datetime_word(p);
    case KW_INTERVAL:
        return parse_interval(p);
    default:
        return NULL;
    }
}
