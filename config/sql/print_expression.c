#include "config/sql/precedence.h"
#include "config/sql/print_text.h"

static int precedence_of(const leat_sql_expr *expr)
{
    switch ((int)expr->kind) {
    case LEAT_SQL_EXPR_UNARY:
        return expr->unary.op == LEAT_SQL_NOT      ? PRECEDENCE_NOT
               : expr->unary.op < LEAT_SQL_IS_NULL ? PRECEDENCE_SIGN
                                                   : PRECEDENCE_IS;
    case LEAT_SQL_EXPR_BINARY:
        return leat_sql_binary_precedence(expr->binary.op);
    case LEAT_SQL_EXPR_QUANTIFIED:
        return PRECEDENCE_COMPARISON;
    case LEAT_SQL_EXPR_BETWEEN:
    case LEAT_SQL_EXPR_LIKE:
    case LEAT_SQL_EXPR_IN_LIST:
    case LEAT_SQL_EXPR_IN_QUERY:
        return PRECEDENCE_RANGE;
    default:
        return PRECEDENCE_PRIMARY;
    }
}

void put_operand(printer *out, const leat_sql_expr *expr, int minimum)
{
    bool looser = precedence_of(expr) < minimum;
    put(out, looser ? "(" : "");
    put_expr(out, expr);
    put(out, looser ? ")" : "");
}

// A row without the word ROW, and what stands behind PRIMARY brackets or dots.
static void put_postfix_operand(printer *out, const leat_sql_expr *expr)
{
    bool inside = expr->kind == LEAT_SQL_EXPR_COLUMN ||
                  (expr->kind == LEAT_SQL_EXPR_LITERAL && expr->literal.kind != LEAT_SQL_LITERAL_STRING);
    put(out, inside ? "(" : "");
    put_operand(out, expr, PRECEDENCE_PRIMARY);
    put(out, inside ? ")" : "");
}

void put_exprs(printer *out, const leat_sql_exprs *exprs)
{
    for (uint32_t i = 0; i < exprs->count; i++) {
        put(out, i ? ", " : "");
        put_expr(out, exprs->items[i]);
    }
}

void put_order(printer *out, const leat_sql_order *order)
{
    static const char *const nulls[] = {"", " NULLS FIRST", " NULLS LAST"};
    for (uint32_t i = 0; i < order->count; i++) {
        put(out, i ? ", " : "");
        put_expr(out, order->items[i].expr);
        put(out, order->items[i].descending ? " DESC" : "");
        put(out, nulls[order->items[i].nulls]);
    }
}

static void put_bound(printer *out, const leat_sql_bound *bound)
{
    static const char *const words[] = {"UNBOUNDED PRECEDING", " PRECEDING", "CURRENT ROW", " FOLLOWING",
                                        "UNBOUNDED FOLLOWING"};
    if (bound->expr)
        put_operand(out, bound->expr, PRECEDENCE_RANGE + 1);
    put(out, words[bound->kind]);
}

static void put_window_part(printer *out, bool *first, const char *words)
{
    put(out, *first ? "" : " ");
    put(out, words);
    *first = false;
}

void put_window(printer *out, const leat_sql_window *window)
{
    bool first = true;
    if (window->is_reference) {
        put_name(out, &window->base);
        return;
    }
    put(out, "(");
    if (window->base.text.data) {
        put_name(out, &window->base);
        first = false;
    }
    if (window->partition_by.count) {
        put_window_part(out, &first, "PARTITION BY ");
        put_exprs(out, &window->partition_by);
    }
    if (window->order_by.count) {
        put_window_part(out, &first, "ORDER BY ");
        put_order(out, &window->order_by);
    }
    if (window->frame) {
        put_window_part(out, &first, window->frame == LEAT_SQL_FRAME_ROWS ? "ROWS BETWEEN " : "RANGE BETWEEN ");
        put_bound(out, &window->start);
        put(out, " AND ");
        put_bound(out, &window->end);
    }
    put(out, ")");
}

static void put_interval(printer *out, const leat_sql_literal *literal)
{
    put(out, literal->interval_negative ? "INTERVAL -" : "INTERVAL ");
    put_string(out, literal->text);
    put(out, " ");
    put_qualifier(out, &literal->interval);
}

static void put_literal(printer *out, const leat_sql_literal *literal)
{
    static const char *const words[LEAT_SQL_LITERAL_KIND_COUNT] = {
        "NULL", "TRUE", "FALSE", "UNKNOWN", "", "", "", "", "X", "DATE ", "TIME ", "TIMESTAMP ", "TIMESTAMP_LTZ ", "",
    };
    if (literal->kind == LEAT_SQL_LITERAL_INTERVAL) {
        put_interval(out, literal);
        return;
    }
    put(out, words[literal->kind]);
    if (literal->kind >= LEAT_SQL_LITERAL_STRING)
        put_string(out, literal->text);
    else if (literal->kind >= LEAT_SQL_LITERAL_INTEGER)
        put_slice(out, literal->text);
}

static bool starts_with_sign(const leat_sql_expr *expr)
{
    return expr->kind == LEAT_SQL_EXPR_UNARY &&
           (expr->unary.op == LEAT_SQL_NEGATE || expr->unary.op == LEAT_SQL_PLUS_SIGN);
}

static void put_unary(printer *out, const leat_sql_expr *expr)
{
    leat_sql_unary_op op = expr->unary.op;
    if (op >= LEAT_SQL_IS_NULL) {
        put_operand(out, expr->unary.operand, PRECEDENCE_IS);
        put(out, " ");
        put(out, leat_sql_unary_op_text(op));
        return;
    }
    put(out, leat_sql_unary_op_text(op));
    put(out, op == LEAT_SQL_NOT || starts_with_sign(expr->unary.operand) ? " " : ""); // `--` would be a comment
    put_operand(out, expr->unary.operand, op == LEAT_SQL_NOT ? PRECEDENCE_NOT : PRECEDENCE_SIGN);
}

static void put_binary(printer *out, const leat_sql_expr *expr)
{
    int precedence = leat_sql_binary_precedence(expr->binary.op);
    put_operand(out, expr->binary.left, precedence);
    put(out, " ");
    put(out, leat_sql_binary_op_text(expr->binary.op));
    put(out, " ");
    put_operand(out, expr->binary.right, precedence + 1);
}

static void put_case(printer *out, const leat_sql_expr *expr)
{
    put(out, "CASE");
    if (expr->case_when.operand) {
        put(out, " ");
        put_expr(out, expr->case_when.operand);
    }
    for (uint32_t i = 0; i < expr->case_when.when_count; i++) {
        put(out, " WHEN ");
        put_expr(out, expr->case_when.whens[i].condition);
        put(out, " THEN ");
        put_expr(out, expr->case_when.whens[i].result);
    }
    if (expr->case_when.otherwise) {
        put(out, " ELSE ");
        put_expr(out, expr->case_when.otherwise);
    }
    put(out, " END");
}

static void put_between(printer *out, const leat_sql_expr *expr)
{
    put_operand(out, expr->between.operand, PRECEDENCE_RANGE);
    put(out, expr->between.negated ? " NOT BETWEEN " : " BETWEEN ");
    put(out, expr->between.symmetric ? "SYMMETRIC " : "");
    put_operand(out, expr->between.low, PRECEDENCE_RANGE + 1);
    put(out, " AND ");
    put_operand(out, expr->between.high, PRECEDENCE_RANGE + 1);
}

static void put_like(printer *out, const leat_sql_expr *expr)
{
    put_operand(out, expr->like.operand, PRECEDENCE_RANGE);
    put(out, expr->like.negated ? " NOT" : "");
    put(out, expr->like.similar ? " SIMILAR TO " : " LIKE ");
    put_operand(out, expr->like.pattern, PRECEDENCE_RANGE + 1);
    if (expr->like.escape) {
        put(out, " ESCAPE ");
        put_operand(out, expr->like.escape, PRECEDENCE_RANGE + 1);
    }
}

static void put_in(printer *out, const leat_sql_expr *expr)
{
    bool list = expr->kind == LEAT_SQL_EXPR_IN_LIST, negated = list ? expr->in_list.negated : expr->in_query.negated;
    put_operand(out, list ? expr->in_list.operand : expr->in_query.operand, PRECEDENCE_RANGE);
    put(out, negated ? " NOT IN " : " IN ");
    if (!list) {
        put_query_block(out, expr->in_query.query);
        return;
    }
    put(out, "(");
    put_exprs(out, &expr->in_list.items);
    put(out, ")");
}

static void put_quantified(printer *out, const leat_sql_expr *expr)
{
    static const char *const words[] = {" ANY ", " SOME ", " ALL "};
    put_operand(out, expr->quantified.operand, PRECEDENCE_COMPARISON);
    put(out, " ");
    put(out, leat_sql_binary_op_text(expr->quantified.op));
    put(out, words[expr->quantified.quantifier]);
    put_query_block(out, expr->quantified.query);
}

// ---- calls

static void put_arguments(printer *out, const leat_sql_call *call)
{
    for (uint32_t i = 0; i < call->args.count; i++) {
        put(out, i ? ", " : "");
        if (call->arg_names && call->arg_names[i].text.data) {
            put_name(out, &call->arg_names[i]);
            put(out, " => ");
        }
        put_expr(out, call->args.items[i]);
    }
}

static void put_rest(printer *out, const leat_sql_call *call, uint32_t first, const char *const words[2])
{
    LEAT_ASSERT(call->args.count <= first + 2); // the parser takes no more where there are words
    for (uint32_t i = first; i < call->args.count; i++) {
        put(out, words[i - first]);
        put_expr(out, call->args.items[i]);
    }
}

static void put_trim(printer *out, const leat_sql_call *call)
{
    static const char *const sides[] = {"", "BOTH ", "LEADING ", "TRAILING "};
    put(out, sides[call->trim]);
    if (call->args.count > 1) {
        put_expr(out, call->args.items[1]);
        put(out, " ");
    }
    put(out, "FROM ");
    put_expr(out, call->args.items[0]);
}

// Functions with words inside; false: the plain form will do.
static bool put_special_arguments(printer *out, const leat_sql_call *call)
{
    leat_slice name = call->name.parts[0].text;
    if (call->name.parts[0].quoted || call->name.count > 1 || !call->args.count)
        return false;
    if (leat_slice_is_nocase(name, "TRIM") && (call->trim || call->args.count == 2)) {
        put_trim(out, call);
        return true;
    }
    if (leat_slice_is_nocase(name, "POSITION") && call->args.count > 1) {
        put_operand(out, call->args.items[0], PRECEDENCE_RANGE + 1);
        put_rest(out, call, 1, (const char *const[]){" IN ", " FROM "});
        return true;
    }
    if (!call->unit)
        return false;
    const char *unit = leat_sql_unit_name(call->unit);
    if (leat_slice_is_nocase(name, "EXTRACT")) {
        put(out, unit);
        put(out, " FROM ");
        put_expr(out, call->args.items[0]);
    } else if (call->args.count == 1) { // FLOOR, CEIL
        put_expr(out, call->args.items[0]);
        put(out, " TO ");
        put(out, unit);
    } else { // TIMESTAMPADD, TIMESTAMPDIFF
        put(out, unit);
        put_rest(out, call, 0, (const char *const[]){", ", ", "});
    }
    return true;
}

static void put_filter(printer *out, const leat_sql_expr *filter)
{
    if (!filter)
        return;
    put(out, " FILTER (WHERE ");
    put_expr(out, filter);
    put(out, ")");
}

static void put_over(printer *out, const leat_sql_window *over)
{
    if (!over)
        return;
    put(out, " OVER ");
    put_window(out, over);
}

static void put_call(printer *out, const leat_sql_call *call)
{
    static const char *const nulls[] = {"", " RESPECT NULLS", " IGNORE NULLS"};
    put_path(out, &call->name);
    if (call->no_parentheses)
        return;
    put(out, call->distinct ? "(DISTINCT " : "(");
    if (!put_special_arguments(out, call))
        put_arguments(out, call);
    if (call->order_by.count) {
        put(out, call->args.count ? " ORDER BY " : "ORDER BY ");
        put_order(out, &call->order_by);
    }
    put(out, ")");
    put(out, nulls[call->nulls]);
    if (call->within_group.count) {
        put(out, " WITHIN GROUP (ORDER BY ");
        put_order(out, &call->within_group);
        put(out, ")");
    }
    put_filter(out, call->filter);
    put_over(out, call->over);
}

static void put_behavior(printer *out, leat_sql_json_behavior behavior, const leat_sql_expr *value, const char *event)
{
    static const char *const words[] = {"",      " NULL",  " ERROR",  " DEFAULT ", " EMPTY ARRAY", " EMPTY OBJECT",
                                        " TRUE", " FALSE", " UNKNOWN"};
    if (!behavior)
        return;
    put(out, words[behavior]);
    if (value)
        put_expr(out, value);
    put(out, event);
}

static void put_json_arguments(printer *out, const leat_sql_json *json)
{
    bool pairs = json->function == LEAT_SQL_JSON_OBJECT || json->function == LEAT_SQL_JSON_OBJECTAGG;
    if (!pairs) {
        put_exprs(out, &json->args);
        return;
    }
    for (uint32_t i = 0; i + 1 < json->args.count; i += 2) {
        put(out, i ? ", KEY " : "KEY ");
        put_expr(out, json->args.items[i]);
        put(out, " VALUE ");
        put_expr(out, json->args.items[i + 1]);
    }
}

static void put_json(printer *out, const leat_sql_json *json)
{
    static const char *const wrappers[] = {"", " WITHOUT WRAPPER", " WITH CONDITIONAL WRAPPER",
                                           " WITH UNCONDITIONAL WRAPPER"};
    static const char *const nulls[] = {"", " NULL ON NULL", " ABSENT ON NULL"};
    put(out, leat_sql_json_function_name(json->function));
    put(out, "(");
    put_json_arguments(out, json);
    if (json->returning) {
        put(out, " RETURNING ");
        put_type(out, json->returning);
    }
    put(out, wrappers[json->wrapper]);
    put_behavior(out, json->on_empty, json->empty_default, " ON EMPTY");
    put_behavior(out, json->on_error, json->error_default, " ON ERROR");
    put(out, nulls[json->nulls]);
    put(out, ")");
    put_filter(out, json->filter);
    put_over(out, json->over);
}

// ---- the rest

static void put_constructor(printer *out, const leat_sql_expr *expr)
{
    static const char *const open[] = {"ROW(", "(", "ARRAY[", "MAP["};
    leat_sql_constructor_kind kind = expr->constructor.kind;
    put(out, open[kind]);
    put_exprs(out, &expr->constructor.items);
    put(out, kind >= LEAT_SQL_CONSTRUCT_ARRAY ? "]" : ")");
}

static void put_table_argument(printer *out, const leat_sql_expr *expr)
{
    put(out, "TABLE ");
    if (expr->table.query)
        put_query_block(out, expr->table.query);
    else
        put_path(out, &expr->table.path);
    if (expr->table.partition_by.count) {
        put(out, " PARTITION BY (");
        put_exprs(out, &expr->table.partition_by);
        put(out, ")");
    }
    if (expr->table.order_by.count) {
        put(out, " ORDER BY (");
        put_order(out, &expr->table.order_by);
        put(out, ")");
    }
}

static void put_cast(printer *out, const leat_sql_expr *expr)
{
    put(out, expr->cast.is_try ? "TRY_CAST(" : "CAST(");
    put_expr(out, expr->cast.operand);
    put(out, " AS ");
    put_type(out, expr->cast.type);
    put(out, ")");
}

static void put_star(printer *out, const leat_sql_path *qualifier)
{
    put_path(out, qualifier);
    put(out, qualifier->count ? ".*" : "*");
}

static void put_index(printer *out, const leat_sql_expr *expr)
{
    put_operand(out, expr->index.operand, PRECEDENCE_PRIMARY);
    put(out, "[");
    put_expr(out, expr->index.index);
    put(out, "]");
}

static void put_field(printer *out, const leat_sql_expr *expr)
{
    put_postfix_operand(out, expr->field.operand);
    put(out, ".");
    put_name(out, &expr->field.field);
}

static void put_descriptor(printer *out, const leat_sql_names *columns)
{
    put(out, "DESCRIPTOR(");
    put_names(out, columns);
    put(out, ")");
}

void put_expr(printer *out, const leat_sql_expr *expr)
{
    switch (expr->kind) {
    case LEAT_SQL_EXPR_LITERAL:
        put_literal(out, &expr->literal);
        break;
    case LEAT_SQL_EXPR_COLUMN:
        put_path(out, &expr->column);
        break;
    case LEAT_SQL_EXPR_STAR:
        put_star(out, &expr->star);
        break;
    case LEAT_SQL_EXPR_PARAMETER:
        put_name(out, &expr->parameter);
        break;
    case LEAT_SQL_EXPR_UNARY:
        put_unary(out, expr);
        break;
    case LEAT_SQL_EXPR_BINARY:
        put_binary(out, expr);
        break;
    case LEAT_SQL_EXPR_BETWEEN:
        put_between(out, expr);
        break;
    case LEAT_SQL_EXPR_LIKE:
        put_like(out, expr);
        break;
    case LEAT_SQL_EXPR_IN_LIST:
    case LEAT_SQL_EXPR_IN_QUERY:
        put_in(out, expr);
        break;
    case LEAT_SQL_EXPR_QUANTIFIED:
        put_quantified(out, expr);
        break;
    case LEAT_SQL_EXPR_EXISTS:
        put(out, "EXISTS "); // fall through
    case LEAT_SQL_EXPR_SUBQUERY:
        put_query_block(out, expr->query);
        break;
    case LEAT_SQL_EXPR_CASE:
        put_case(out, expr);
        break;
    case LEAT_SQL_EXPR_CAST:
        put_cast(out, expr);
        break;
    case LEAT_SQL_EXPR_CALL:
        put_call(out, &expr->call);
        break;
    case LEAT_SQL_EXPR_JSON:
        put_json(out, &expr->json);
        break;
    case LEAT_SQL_EXPR_CONSTRUCTOR:
        put_constructor(out, expr);
        break;
    case LEAT_SQL_EXPR_INDEX:
        put_index(out, expr);
        break;
    case LEAT_SQL_EXPR_FIELD:
        put_field(out, expr);
        break;
    case LEAT_SQL_EXPR_TABLE:
        put_table_argument(out, expr);
        break;
    case LEAT_SQL_EXPR_DESCRIPTOR:
        put_descriptor(out, &expr->descriptor);
        break;
    case LEAT_SQL_EXPR_DEFAULT:
        put(out, "DEFAULT");
        break;
    case LEAT_SQL_EXPR_LIST:
        put_exprs(out, &expr->list);
        break;
    case LEAT_SQL_EXPR_KIND_COUNT:
        break;
    }
}
