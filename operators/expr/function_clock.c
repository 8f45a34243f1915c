// Functions of the processing time: that of the batch, the same for all rows of it.
#include "operators/expr/function.h"

enum { DAY_MS = 86400000 };

static void fill(leat_call *call, int64_t value) { LEAT_EACH(call, row) call->out->i64[row] = value; }

static int64_t local_now(const leat_call *call) { return leat_zone_to_local_ms(call->zone, call->eval->now_ms); }

static int64_t days_of(int64_t ms) { return ms / DAY_MS - (ms % DAY_MS < 0); }

static void now(leat_call *call) { fill(call, call->eval->now_ms); }

static void local_timestamp(leat_call *call) { fill(call, local_now(call)); }

static void current_date(leat_call *call) { fill(call, days_of(local_now(call))); }

static void current_time(leat_call *call)
{
    int64_t ms = local_now(call);
    fill(call, ms - days_of(ms) * DAY_MS);
}

static void unix_timestamp(leat_call *call) { fill(call, call->eval->now_ms / 1000); }

static leat_code proctime(leat_rule *rule)
{
    rule->replaced = leat_expr_special(rule->scope, LEAT_EXPR_PROCTIME);
    return LEAT_OK;
}

static leat_code current_watermark(leat_rule *rule)
{
    rule->replaced = leat_expr_special(rule->scope, LEAT_EXPR_WATERMARK);
    return LEAT_OK;
}

enum { V = LEAT_FUNCTION_VOLATILE, NAMED = LEAT_FUNCTION_NAMED };

// clang-format off: a row is a line
const leat_function leat_functions_clock[] = {
    {"PROCTIME", "", proctime, NULL, NULL, NAMED, "The processing time when the row is handled."},
    {"CURRENT_WATERMARK", "any?", current_watermark, NULL, NULL, NAMED,
     "The watermark before the row, NULL while there is none."},
    {"CURRENT_TIMESTAMP", "", leat_result_timestamp_ltz, now, NULL, V, "The processing time."},
    {"CURRENT_ROW_TIMESTAMP", "", leat_result_timestamp_ltz, now, NULL, V, "The same as CURRENT_TIMESTAMP."},
    {"NOW", "", leat_result_timestamp_ltz, now, NULL, V, "The processing time."},
    {"LOCALTIMESTAMP", "", leat_result_timestamp, local_timestamp, NULL, V,
     "The processing time in the session's zone, without it."},
    {"CURRENT_DATE", "", leat_result_date, current_date, NULL, V, "Today in the session's zone."},
    {"CURRENT_TIME", "", leat_result_time, current_time, NULL, V, "The time of day in the session's zone."},
    {"LOCALTIME", "", leat_result_time, current_time, NULL, V, "The time of day in the session's zone."},
    {"UNIX_TIMESTAMP", "", leat_result_bigint, unix_timestamp, NULL, V, "Seconds since 1970 of the processing time."},
    {.name = NULL},
};
// clang-format on
