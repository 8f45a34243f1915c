// Calls: functions by name, functions with words inside, and what only a GROUP BY window knows.
#include "config/sql/binder.h"

#include <stdio.h>
#include <string.h>

typedef leat_expr *bind_special(leat_sql_binder *binder, const leat_sql_expr *expr);

static leat_slice call_name(const leat_sql_expr *expr) { return expr->call.name.parts[expr->call.name.count - 1].text; }

static leat_expr *unit_text(leat_sql_binder *binder, const leat_sql_call *call)
{
    return leat_sql_text(binder->expr, leat_slice_text(leat_sql_unit_name(call->unit)));
}

static leat_expr *apply(leat_sql_binder *binder, leat_slice name, leat_expr **arguments, uint32_t count,
                        leat_sql_span span)
{
    return leat_sql_apply(binder, leat_arena_copy(binder->expr->arena, name.data, name.size), arguments, count, span);
}

// ---- words inside

static leat_expr *bind_with_unit(leat_sql_binder *binder, const leat_sql_expr *expr, bool unit_first)
{
    const leat_sql_call *call = &expr->call;
    uint32_t first = unit_first, count = call->args.count + 1;
    leat_expr **arguments = leat_arena_array(binder->expr->arena, leat_expr *, count);
    arguments[unit_first ? 0 : count - 1] = unit_text(binder, call);
    leat_sql_bind_all(binder, &call->args, arguments + first);
    return apply(binder, call_name(expr), arguments, count, expr->span);
}

static leat_expr *bind_unit_first(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    return bind_with_unit(binder, expr, true);
}

static leat_expr *bind_plain(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    uint32_t count = expr->call.args.count;
    leat_expr **arguments = leat_arena_array(binder->expr->arena, leat_expr *, count + 1);
    leat_sql_bind_all(binder, &expr->call.args, arguments);
    return apply(binder, call_name(expr), arguments, count, expr->span);
}

static leat_expr *bind_rounding(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    return expr->call.unit == LEAT_SQL_UNIT_NONE ? bind_plain(binder, expr) : bind_with_unit(binder, expr, false);
}

// TRIM(mode, characters, text)
static leat_expr *bind_trim(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    static const char *const modes[] = {[LEAT_SQL_TRIM_UNSAID] = "BOTH",
                                        [LEAT_SQL_TRIM_BOTH] = "BOTH",
                                        [LEAT_SQL_TRIM_LEADING] = "LEADING",
                                        [LEAT_SQL_TRIM_TRAILING] = "TRAILING"};
    const leat_sql_call *call = &expr->call;
    if (call->args.count < 1 || call->args.count > 2)
        return bind_plain(binder, expr);
    leat_expr *given[2] = {NULL, leat_sql_text(binder->expr, leat_slice_text(" "))};
    leat_sql_bind_all(binder, &call->args, given);
    leat_expr *arguments[] = {leat_sql_text(binder->expr, leat_slice_text(modes[call->trim])), given[1], given[0]};
    return leat_sql_apply(binder, "TRIM", arguments, 3, expr->span);
}

// ---- clocks

static leat_expr *bind_proctime(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    if (expr->call.args.count)
        leat_sql_binder_error(binder, expr->span, "PROCTIME() takes no arguments");
    return expr->call.args.count ? NULL : leat_expr_special(binder->expr, LEAT_EXPR_PROCTIME);
}

static leat_expr *bind_watermark(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    if (expr->call.args.count != 1) {
        leat_sql_binder_error(binder, expr->span,
                              "CURRENT_WATERMARK takes the event time column, as in CURRENT_WATERMARK(ts)");
        return NULL;
    }
    return leat_sql_bind(binder, expr->call.args.items[0]) ? leat_expr_special(binder->expr, LEAT_EXPR_WATERMARK)
                                                           : NULL;
}

// ---- windows of GROUP BY

bool leat_sql_is_group_window(const leat_sql_expr *expr)
{
    if (expr->kind != LEAT_SQL_EXPR_CALL || expr->call.name.count != 1)
        return false;
    leat_slice name = call_name(expr);
    return leat_slice_is_nocase(name, "TUMBLE") || leat_slice_is_nocase(name, "HOP") ||
           leat_slice_is_nocase(name, "SESSION");
}

static leat_expr *bind_group_window(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_slice name = call_name(expr);
    leat_sql_binder_error(binder, expr->span,
                          "%.*s is a window: it stands in FROM TABLE(%.*s(TABLE t, DESCRIPTOR(ts), ..)) or in GROUP BY",
                          (int)name.size, name.data, (int)name.size, name.data);
    return NULL;
}

static bool same_window(const leat_sql_expr *window, const leat_sql_expr *expr, size_t prefix)
{
    leat_slice name = call_name(expr), wanted = call_name(window);
    char text[16];
    snprintf(text, sizeof text, "%.*s", (int)prefix, name.data);
    if (!leat_slice_is_nocase(wanted, text) || window->call.args.count != expr->call.args.count)
        return false;
    for (uint32_t i = 0; i < expr->call.args.count; i++)
        if (!leat_sql_expr_equal(window->call.args.items[i], expr->call.args.items[i]))
            return false;
    return true;
}

static leat_expr *bind_window_property(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_slice name = call_name(expr);
    const char *underscore = memchr(name.data, '_', name.size);
    size_t prefix = (size_t)(underscore - name.data);
    if (!binder->group_window || !same_window(binder->group_window, expr, prefix)) {
        leat_sql_binder_error(binder, expr->span, "%.*s needs %.*s with the same arguments in GROUP BY", (int)name.size,
                              name.data, (int)prefix, name.data);
        return NULL;
    }
    leat_type type = leat_type_of(LEAT_KIND_TIMESTAMP);
    type.precision = 3;
    char kind = underscore[1] & 0x5F;
    bool by_clock = binder->window_by_clock;
    if ((kind == 'P' && !by_clock) || (kind == 'R' && by_clock)) {
        leat_sql_binder_error(binder, expr->span,
                              by_clock ? "the window is one of processing time: write %.*s_PROCTIME"
                                       : "the window is one of event time: write %.*s_ROWTIME",
                              (int)prefix, name.data);
        return NULL;
    }
    uint32_t property = kind == 'S' ? LEAT_SQL_WINDOW_START : kind == 'E' ? LEAT_SQL_WINDOW_END : LEAT_SQL_WINDOW_TIME;
    return leat_expr_column(binder->expr, LEAT_SQL_INPUT_WINDOW, property,
                            kind == 'R' || kind == 'P' ? binder->window_time_type : type);
}

// ---- the table

static leat_expr *bind_top_n(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_slice name = call_name(expr);
    if (expr->call.over)
        leat_sql_binder_error(binder, expr->span,
                              "%.*s over an OVER window stands in SELECT and QUALIFY only: filter it in a query around",
                              (int)name.size, name.data);
    else
        leat_sql_binder_error(binder, expr->span, "%.*s needs a window: %.*s(..) OVER (PARTITION BY .. ORDER BY ..)",
                              (int)name.size, name.data, (int)name.size, name.data);
    return NULL;
}

static const struct {
    const char *name;
    bind_special *bind;
} specials[] = {
    {"EXTRACT", bind_unit_first},
    {"TIMESTAMPADD", bind_unit_first},
    {"TIMESTAMPDIFF", bind_unit_first},
    {"FLOOR", bind_rounding},
    {"CEIL", bind_rounding},
    {"CEILING", bind_rounding},
    {"TRIM", bind_trim},
    {"PROCTIME", bind_proctime},
    {"CURRENT_WATERMARK", bind_watermark},
    {"TUMBLE", bind_group_window},
    {"HOP", bind_group_window},
    {"CUMULATE", bind_group_window},
    {"SESSION", bind_group_window},
    {"TUMBLE_START", bind_window_property},
    {"TUMBLE_END", bind_window_property},
    {"TUMBLE_ROWTIME", bind_window_property},
    {"TUMBLE_PROCTIME", bind_window_property},
    {"HOP_START", bind_window_property},
    {"HOP_END", bind_window_property},
    {"HOP_ROWTIME", bind_window_property},
    {"HOP_PROCTIME", bind_window_property},
    {"SESSION_START", bind_window_property},
    {"SESSION_END", bind_window_property},
    {"SESSION_ROWTIME", bind_window_property},
    {"SESSION_PROCTIME", bind_window_property},
    {"GROUPING", leat_sql_bind_grouping},
    {"GROUPING_ID", leat_sql_bind_grouping},
    {"GROUP_ID", leat_sql_bind_group_id},
    {"ROW_NUMBER", bind_top_n},
    {"RANK", bind_top_n},
    {"DENSE_RANK", bind_top_n},
    {"LAG", bind_top_n},
    {"LEAD", bind_top_n},
};

static bind_special *special_find(leat_slice name)
{
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (leat_slice_is_nocase(name, specials[i].name))
            return specials[i].bind;
    return NULL;
}

// Parts of a call that only some functions take.
static const char *call_refusal(const leat_sql_call *call, bool aggregate)
{
    if (call->over)
        return ": functions over OVER windows stand in SELECT and QUALIFY only";
    if (call->arg_names)
        return " takes arguments by position; names are for table functions";
    if (call->within_group.count || call->order_by.count)
        return ": ORDER BY inside an aggregate is not in leat, nor in Flink's streaming mode";
    if (call->nulls != LEAT_SQL_NULLS_UNSAID)
        return ": IGNORE NULLS and RESPECT NULLS are not in leat";
    if (!aggregate && call->distinct)
        return " is no aggregate: DISTINCT has no place in it";
    if (!aggregate && call->filter)
        return " is no aggregate: FILTER has no place after it";
    return NULL;
}

static bool call_check(leat_sql_binder *binder, const leat_sql_expr *expr, bool aggregate)
{
    leat_slice name = call_name(expr);
    const char *refused = call_refusal(&expr->call, aggregate);
    if (expr->call.name.count > 1)
        leat_sql_binder_error(binder, expr->call.name.span, "functions have no catalog in leat: write %.*s alone",
                              (int)name.size, name.data);
    else if (refused)
        leat_sql_binder_error(binder, expr->span, "%.*s%s", (int)name.size, name.data, refused);
    return !refused && expr->call.name.count == 1;
}

leat_expr *leat_sql_bind_call(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_slice name = call_name(expr);
    leat_expr *own = NULL;
    if (binder->own_call && binder->own_call(binder, expr, &own))
        return own;
    bind_special *special = special_find(name);
    if (special == bind_top_n)
        return bind_top_n(binder, expr);
    bool aggregate = !special && leat_aggregate_known(name);
    if (!call_check(binder, expr, aggregate))
        return NULL;
    if (aggregate)
        return leat_sql_bind_aggregate(binder, expr);
    return special ? special(binder, expr) : bind_plain(binder, expr);
}
