// Identities of state: a rule of one release finds its state in the next. Whoever changes one here loses what every board has kept for such a rule.
//
// A label that is to read better in `leat explain` may change; its node then keeps the old words in `computes`. An identity may only change where the
// state itself has another meaning or form.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/driver.h"
#include "firmware-agent/functions.h"
#include "firmware-agent/platform/env_posix.h"
#include "firmware-agent/savepoint.h"
#include "operators/base/hash.h"

typedef struct pinned {
    const char *operator_name, *rule; // without its name
    uint64_t identity;
} pinned;

static const char gateway_head[] =
    "agent: { name: pinned }\n"
    "sources:\n"
    "  s: { driver: file, path: in, format: json, fields: { k: string, v: double, n: bigint, ts: timestamp_ms }, "
    "event_time: ts,\n"
    "       processing_time: now, watermark: { out_of_orderness: 1s } }\n"
    "  r: { driver: file, path: in, format: json, fields: { k: string, w: double, ts: timestamp_ms }, event_time: ts,\n"
    "       watermark: { out_of_orderness: 1s }, changelog: upsert, changelog_field: op, primary_key: k }\n"
    "  t: { driver: file, path: in, format: json, fields: { k: string, w: double, ts: timestamp_ms }, event_time: ts,\n"
    "       watermark: { out_of_orderness: 1s } }\n"
    "rules:\n";

static const pinned rules[] = {
    {"window_time",
     "sql: \"SELECT k, window_end, COUNT(*) AS c, AVG(v) AS m FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '1' "
     "MINUTE)) GROUP BY k, window_start, window_end\"",
     0xb391c76e3f1a6e51},
    {"window_time",
     "sql: \"SELECT k, window_end, SUM(n) AS c FROM TABLE(HOP(TABLE s, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL "
     "'1' HOUR)) GROUP BY k, window_start, window_end\"",
     0xcc0a1360ce9cb18e},
    {"window_session",
     "sql: \"SELECT k, window_end, MAX(v) AS c FROM TABLE(SESSION(TABLE s PARTITION BY k, DESCRIPTOR(ts), INTERVAL "
     "'5' SECOND)) GROUP BY k, window_start, window_end\"",
     0xe43afc968c563967},
    {"group_aggregate", "sql: \"SELECT k, SUM(v) AS total, COUNT(DISTINCT n) AS c FROM s GROUP BY k\"",
     0x305a7b0bef4af331},
    {"over",
     "sql: \"SELECT k, AVG(v) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS m FROM "
     "s\"",
     0x1ea39b9058708df8},
    {"dedup",
     "sql: \"SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS place FROM s) WHERE "
     "place = 1\"",
     0xde30702e89ed38d8},
    {"dedup",
     "sql: \"SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS place FROM s) WHERE "
     "place = 1\"",
     0x795ba17c0f0a4e00},
    {"dedup", // the form that waits goes on with the state of the one before, and the other way round
     "sql: \"SELECT k, SUM(v) OVER (ORDER BY ts) AS total FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY "
     "ts) AS place FROM s) WHERE place = 1\"",
     0x795ba17c0f0a4e00},
    {"top_n",
     "sql: \"SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS place FROM s) WHERE "
     "place <= 3\"",
     0x71bf507e71336d60},
    {"join_interval",
     "sql: \"SELECT s.k, v, w FROM s JOIN t ON s.k = t.k AND t.ts BETWEEN s.ts - INTERVAL '5' SECOND AND s.ts\"",
     0x8f5394e20466a71c},
    {"join_temporal", "sql: \"SELECT s.k, v, w FROM s JOIN r FOR SYSTEM_TIME AS OF s.ts ON s.k = r.k\"",
     0x34f268bb1fbdc69a},
    {"join_regular", "sql: \"SELECT s.k, v, w FROM s JOIN t ON s.k = t.k\"", 0x36b39961d5189f71},
    {"join_regular",
     "sql: \"SELECT s.k, v, w FROM s JOIN (SELECT k, SUM(w) AS w FROM t GROUP BY k) AS t ON s.k = t.k\"",
     0x41d07c5a2a3c6c69},
    {"match",
     "sql: \"SELECT * FROM s MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES FIRST(a.v) AS low, LAST(b.v) AS high "
     "AFTER MATCH SKIP PAST LAST ROW PATTERN (a b+ c) WITHIN INTERVAL '1' MINUTE DEFINE b AS v > a.v, c AS v < "
     "a.v)\"",
     0x736a74e5924b20ec},
    {"process", "detect: rising, from: s, key: k, column: v, for: 10s", 0xa40e4f4c96c3db3c},
    {"window_stream", "window: { from: s, by: k, tumbling: 10s, allowed_lateness: 5s, select: { k: k, c: COUNT(*) } }",
     0x0d9343363540533b},
    {"window_rows",
     "sql: \"SELECT k, v, window_end FROM TABLE(SESSION(TABLE s PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' "
     "SECOND))\"",
     0x072474dd2ae967e6},
};
enum { RULES = sizeof rules / sizeof *rules };

static leat_plan *compile(leat_env *env, const pinned *rule)
{
    static char text[4096];
    static leat_functions functions;
    leat_error error = {0};
    leat_diagnostics diagnostics;
    leat_plan *plan = NULL;
    assert_int_equal(leat_functions_init(&functions, env, &error), LEAT_OK);
    snprintf(text, sizeof text,
             "%s  pinned: { %s, unbounded: true, to: out }\nsinks: { out: { driver: file, path: out, changelog: "
             "retract } }\n",
             gateway_head, rule->rule);
    leat_compile_options options = {.env = env, .drivers = leat_driver_catalog_get(), .functions = &functions.catalog};
    leat_diagnostics_init(&diagnostics, env);
    leat_code code = leat_compile_text(&options, "g.yaml", leat_slice_text(text), &plan, &diagnostics, &error);
    if (code != LEAT_OK) {
        leat_writer written;
        leat_writer_init(&written, env, 1 << 20);
        leat_diagnostics_print(&diagnostics, &written);
        fail_msg("%s\n%.*s", text, (int)written.size, (const char *)written.bytes);
    }
    leat_diagnostics_fini(&diagnostics);
    return plan;
}

static const leat_plan_node *node_of(const leat_plan *plan, const char *operator_name)
{
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i].kind == LEAT_NODE_OPERATOR && strcmp(plan->nodes[i].operator_name, operator_name) == 0)
            return &plan->nodes[i];
    fail_msg("no operator %s in the plan", operator_name);
    return NULL;
}

static void test_pinned(void **state)
{
    (void)state;
    unsigned changed = 0;
    for (uint32_t i = 0; i < RULES; i++) {
        leat_plan *plan = compile(leat_env_posix(0), &rules[i]);
        const leat_plan_node *node = node_of(plan, rules[i].operator_name);
        uint64_t identity = leat_savepoint_identity(node);
        if (identity != rules[i].identity)
            print_error("rule %u, %s: expected 0x%016llx, found 0x%016llx of \"%s\"\n", i, rules[i].operator_name,
                        (unsigned long long)rules[i].identity, (unsigned long long)identity,
                        node->computes ? node->computes : node->label);
        changed += identity != rules[i].identity;
        leat_plan_destroy(plan);
    }
    assert_int_equal(changed, 0);
}

// The words of explain have no part in it once `computes` has the old ones; all else has.
static void test_of_what_it_is_made(void **state)
{
    (void)state;
    leat_plan *plan = compile(leat_env_posix(0), &rules[0]);
    leat_plan_node node = *node_of(plan, "window_time"), other = node;
    uint64_t identity = leat_savepoint_identity(&node);
    other.computes = node.computes ? node.computes : node.label;
    other.label = "told in other words";
    assert_true(leat_savepoint_identity(&other) == identity);
    other.computes = "another computation";
    assert_true(leat_savepoint_identity(&other) != identity);
    other = node;
    other.uid = "another";
    assert_true(leat_savepoint_identity(&other) != identity);
    leat_plan_destroy(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pinned), cmocka_unit_test(test_of_what_it_is_made)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
