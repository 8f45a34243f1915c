// COALESCE, IF and NULLIF; CASE has a node of its own (expr.c).
#include "operators/expr/function.h"

// IF(condition, then, else) is CASE WHEN condition THEN then ELSE else END.
static leat_code if_as_case(leat_rule *rule)
{
    return leat_expr_case(rule->scope, rule->arguments, 3, &rule->replaced, rule->error);
}

// NULLIF(a, b) is CASE WHEN a = b THEN NULL ELSE a END.
static leat_code nullif_as_case(leat_rule *rule)
{
    leat_expr *parts[3] = {NULL, leat_expr_literal(rule->scope, rule->arguments[0]->type, leat_value_null()),
                           rule->arguments[0]};
    leat_code code = leat_expr_call(rule->scope, leat_slice_text("="), rule->arguments, 2, &parts[0], rule->error);
    return code == LEAT_OK ? leat_expr_case(rule->scope, parts, 3, &rule->replaced, rule->error) : code;
}

// clang-format off: a row is a line
const leat_function leat_functions_conditional[] = {
    {"COALESCE", "any, any...", leat_result_common, NULL, NULL, LEAT_FUNCTION_COALESCE, "The first that is not NULL."},
    {"IFNULL", "any, any", leat_result_common, NULL, NULL, LEAT_FUNCTION_COALESCE,
     "The first, or the second when it is NULL."},
    {"IF", "boolean, any, any", if_as_case, NULL, NULL, LEAT_FUNCTION_NAMED,
     "The second when the first is TRUE, else the third."},
    {"NULLIF", "any, any", nullif_as_case, NULL, NULL, LEAT_FUNCTION_NAMED,
     "NULL when both are equal, else the first."},
    {.name = NULL},
};
// clang-format on
