// Queries become plans: nodes, exchanges, uids, schemas, and the parameters of their operators.

#include "tests/unit/sql/plan_fixture.h"

static const struct {
    const char *sql, *plan;
} plans[] =
    {
#include "tests/unit/sql/golden_plans.inc"
},
  late[] = {
#include "tests/unit/sql/golden_late.inc"
};

// Every text that the parser is tested with: none may bring the planner down.
static const char *const dialect[] = {
#include "tests/unit/sql/dialect_queries.inc"
};

static void inputs_come_first(fixture *f)
{
    uint32_t count;
    const leat_plan_node *nodes = leat_planner_nodes(f->planner, &count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < nodes[i].input_count; k++) {
            assert_true(nodes[i].inputs[k].node < i);
            assert_true(nodes[i].inputs[k].output < nodes[nodes[i].inputs[k].node].output_count);
            assert_true(nodes[i].inputs[k].port < nodes[i].port_count);
        }
}

static void uids_differ(fixture *f)
{
    uint32_t count;
    const leat_plan_node *nodes = leat_planner_nodes(f->planner, &count);
    for (uint32_t i = f->first_node; i < count; i++)
        for (uint32_t k = f->first_node; k < i; k++)
            assert_string_not_equal(nodes[i].uid, nodes[k].uid);
}

static void golden_plans(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        fixture f;
        fixture_init(&f);
        f.request.unbounded = true;
        if (plan(&f, plans[i].sql) != LEAT_OK)
            fail_msg("%s: %s", plans[i].sql, print_errors(&f));
        if (strcmp(print_plan(&f), plans[i].plan))
            fail_msg("%s\n%s\nnot\n%s", plans[i].sql, print_plan(&f), plans[i].plan);
        inputs_come_first(&f);
        uids_differ(&f);
        fixture_fini(&f);
    }
}

static const char *plan_with_late(fixture *f, const char *sql)
{
    uint32_t count;
    f->request.allowed_lateness_ms = 5000;
    f->request.late_output = true;
    if (plan(f, sql) != LEAT_OK)
        return leat_arena_format(&f->arena, "!! %s", print_errors(f));
    const char *text = print_plan(f);
    assert_int_not_equal(f->result.late_node, UINT32_MAX);
    return leat_arena_format(&f->arena, "%s\nlate: %s:%u", text,
                             leat_planner_nodes(f->planner, &count)[f->result.late_node].uid, f->result.late_output);
}

static void golden_late(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
        fixture f;
        fixture_init(&f);
        assert_string_equal(plan_with_late(&f, late[i].sql), late[i].plan);
        fixture_fini(&f);
    }
}

static void every_query_of_the_dialect_is_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialect / sizeof *dialect; i++) {
        fixture f;
        fixture_init(&f);
        f.request.unbounded = true;
        leat_code code = plan(&f, dialect[i]);
        if (code != LEAT_OK && !f.diagnostics.count)
            fail_msg("%s: refused without a word", dialect[i]);
        inputs_come_first(&f);
        fixture_fini(&f);
    }
}

// ---- what operators are told

static const leat_plan_node *node_named(fixture *f, const char *uid)
{
    uint32_t count;
    const leat_plan_node *nodes = leat_planner_nodes(f->planner, &count);
    for (uint32_t i = f->first_node; i < count; i++)
        if (!strcmp(nodes[i].uid, uid))
            return &nodes[i];
    fail_msg("no node %s", uid);
    return NULL;
}

static void planned(fixture *f, const char *sql)
{
    if (plan(f, sql) != LEAT_OK)
        fail_msg("%s: %s", sql, print_errors(f));
}

static void window_parameters(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f);
    f.request.allowed_lateness_ms = 5000;
    planned(&f, "SELECT line, n, SUM(reading) AS s, COUNT(*) AS c FROM TABLE(HOP(TABLE lines, DESCRIPTOR(ts), INTERVAL "
                "'10' SECOND, "
                "INTERVAL '1' MINUTE, INTERVAL '3' SECOND)) GROUP BY n, window_end, line, window_start");
    const leat_window_aggregate_spec *spec = node_named(&f, "r/window_time-1")->spec;
    assert_int_equal(spec->window.kind, LEAT_WINDOW_HOP);
    assert_int_equal(spec->window.size_ms, 60000);
    assert_int_equal(spec->window.slide_ms, 10000);
    assert_int_equal(spec->window.offset_ms, 3000);
    assert_int_equal(spec->window.time_column, 8);
    assert_int_equal(spec->key_count, 2);
    assert_int_equal(spec->key_columns[0], 2);
    assert_int_equal(spec->key_columns[1], 0);
    assert_int_equal(spec->aggregate_count, 2);
    assert_int_equal(spec->allowed_lateness_ms, 5000);
    assert_true(spec->keep_watermark);
    assert_false(spec->input_retracts);
    assert_false(spec->late_output);
    fixture_fini(&f);
}

// Windows that rows already belong to fire through a window of 1 ms over the event time.
static void attached_window_parameters(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f);
    planned(&f, "SELECT window_end, MAX(c) AS m FROM (SELECT window_start, window_end, unit, COUNT(*) AS c FROM "
                "TABLE(TUMBLE(TABLE boiler, "
                "DESCRIPTOR(ts), INTERVAL '1' DAY)) GROUP BY window_start, window_end, unit) GROUP BY window_start, "
                "window_end");
    const leat_window_aggregate_spec *spec = node_named(&f, "r/window_time-2")->spec;
    assert_int_equal(spec->window.kind, LEAT_WINDOW_TUMBLE);
    assert_int_equal(spec->window.size_ms, 1);
    assert_int_equal(spec->window.time_column, -1);
    assert_int_equal(spec->key_count, 2);
    fixture_fini(&f);
}

static void group_parameters(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f);
    f.request.state_ttl_ms = 60000;
    planned(&f,
            "SELECT line, SUM(c) AS s FROM (SELECT line, n, COUNT(*) AS c FROM lines GROUP BY line, n) GROUP BY line");
    const leat_group_aggregate_spec *first = node_named(&f, "r/group_aggregate-1")->spec;
    const leat_group_aggregate_spec *second = node_named(&f, "r/group_aggregate-2")->spec;
    assert_int_equal(first->state_ttl_ms, 60000);
    assert_int_equal(first->key_count, 2);
    assert_false(first->input_retracts);
    assert_true(second->input_retracts);
    assert_true(second->emit_before);
    assert_string_equal(node_named(&f, "r/group_aggregate-1")->state_bound,
                        "every key, until 1m after its last change");
    assert_int_equal(f.result.schema->changelog, LEAT_CHANGELOG_RETRACT);
    assert_int_equal(f.result.schema->key_count, 1);
    fixture_fini(&f);
}

static void process_parameters(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f);
    f.request.state_ttl_ms = 1000;
    planned(&f, "SELECT * FROM rising(r => TABLE boiler PARTITION BY (source, unit), on_time => DESCRIPTOR(ts), "
                "col => DESCRIPTOR(temperature, pressure), duration => INTERVAL '5' SECOND)");
    const leat_plan_node *node = node_named(&f, "r/process-1");
    const leat_process_spec *spec = node->spec;
    assert_string_equal(spec->function->name, "rising");
    assert_int_equal(spec->argument_count, 4);
    assert_true(spec->arguments[0].given);
    assert_int_equal(spec->arguments[0].table, 0);
    assert_int_equal(spec->arguments[1].descriptor_count, 2);
    assert_int_equal(spec->arguments[1].descriptor_columns[1], 2);
    assert_int_equal(spec->arguments[2].scalar.i64, 5000);
    assert_int_equal(spec->arguments[2].type.kind, LEAT_KIND_INTERVAL);
    assert_false(spec->arguments[3].given);
    assert_true(spec->arguments[3].scalar.is_null);
    assert_int_equal(spec->table_count, 1);
    assert_int_equal(spec->tables[0].key_count, 2);
    assert_int_equal(spec->tables[0].key_columns[0], 3);
    assert_int_equal(spec->tables[0].time_column, 4);
    assert_int_equal(spec->state_count, 2);
    assert_string_equal(spec->states[1].name, "last");
    assert_int_equal(spec->states[1].ttl_ms, 3600000);
    assert_true(spec->emit_keys);
    assert_true(spec->emit_rowtime);
    assert_int_equal(spec->state_ttl_ms, 1000);
    assert_string_equal(node->state_bound, "since (1s), last (1h) per key");
    assert_int_equal(node->inputs[0].exchange, LEAT_EXCHANGE_KEY);
    assert_int_equal(f.result.schema->rowtime, 4);
    fixture_fini(&f);
}

static void default_arguments(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f);
    planned(&f, "SELECT * FROM rising(TABLE boiler PARTITION BY unit, DESCRIPTOR(temperature))");
    const leat_process_spec *spec = node_named(&f, "r/process-1")->spec;
    assert_true(spec->arguments[2].given); // by its default
    assert_int_equal(spec->arguments[2].scalar.i64, 1000);
    assert_false(spec->emit_rowtime);
    fixture_fini(&f);
}

// ---- rules that read rules

static void rules_are_streams(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f);
    f.request.late_output = true;
    f.request.name = f.request.uid = "minutes";
    planned(&f, "SELECT line, window_start, window_end, window_time, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE lines, "
                "DESCRIPTOR(ts), "
                "INTERVAL '1' MINUTE)) GROUP BY line, window_start, window_end, window_time");
    f.request = (leat_rule_request){.rule = 1, .name = "hours", .uid = "hours"};
    planned(&f, "SELECT line, SUM(c) AS c FROM TABLE(TUMBLE(TABLE (SELECT line, c, window_time AS t FROM minutes), "
                "DESCRIPTOR(t), "
                "INTERVAL '1' HOUR)) GROUP BY line, window_start, window_end");
    f.request = (leat_rule_request){.rule = 2, .name = "all_lines", .uid = "all_lines"};
    planned(&f, "SELECT window_end, SUM(c) AS c FROM minutes GROUP BY window_start, window_end");
    f.request = (leat_rule_request){.rule = 3, .name = "too_late", .uid = "too_late"};
    planned(&f, "SELECT line, reading FROM minutes.late");
    f.request = (leat_rule_request){.rule = 4, .name = "parts", .uid = "parts"};
    planned(&f, "SELECT * FROM split(TABLE lines, n)");
    assert_int_equal(f.result.output_count, 1);
    assert_string_equal(f.result.outputs[0].name, "rest");
    f.request = (leat_rule_request){.rule = 5, .name = "rests", .uid = "rests"};
    planned(&f, "SELECT reason FROM parts.rest");
    assert_string_equal(
        print_plan(&f),
        "minutes/window_time-1 [TUMBLE(ts, 1m) BY line: COUNT(*)] parallel <- lines key(line) {windows of 1m per key}\n"
        "minutes/project-1 [line, window_start, window_end, window_time, COUNT(*) AS c] parallel <- "
        "minutes/window_time-1 forward\n"
        "hours/project-1 [line, c, window_time AS t] parallel <- minutes/project-1 forward\n"
        "hours/window_time-1 [TUMBLE(t, 1h) BY line: SUM(c)] parallel <- hours/project-1 key(line) {windows of 1h per "
        "key}\n"
        "hours/project-2 [line, SUM(c) AS c] parallel <- hours/window_time-1 forward\n"
        "all_lines/window_time-1 [window of the input BY window_start, window_end: SUM(c)] parallel <- "
        "minutes/project-1 "
        "key(window_start,window_end) {windows that the input has open per key}\n"
        "all_lines/project-1 [window_end, SUM(c) AS c] parallel <- all_lines/window_time-1 forward\n"
        "too_late/project-1 [line, reading] parallel <- minutes/window_time-1:1 forward\n"
        "parts/process-1 [split] <- lines forward\n"
        "rests/project-1 [*] <- parts/process-1:1 forward\n"
        "= rests/project-1 (reason STRING)");
    inputs_come_first(&f);
    uids_differ(&f);
    fixture_fini(&f);
}

// A view that only an unread view reads is planned again where it is read.
static void unread_views_leave_nothing(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f);
    planned(&f, "WITH a AS (SELECT unit FROM boiler WHERE unit > 1) SELECT unit FROM "
                "(WITH b AS (SELECT unit FROM a) SELECT unit FROM boiler) UNION ALL SELECT unit FROM a");
    assert_string_equal(print_plan(&f), "r/project-1 [unit] <- boiler forward\n"
                                        "r/filter-1 [unit > 1] <- boiler forward\n"
                                        "r/project-2 [unit] <- r/filter-1 forward\n"
                                        "r/union-1 [UNION ALL] <- r/project-1 forward + r/project-2 forward\n"
                                        "= r/union-1 (unit INT)");
    fixture_fini(&f);
}

// A view that is read often is planned once.
static void shared_views_do_not_multiply(void **state)
{
    (void)state;
    fixture f;
    char sql[4096] = "CREATE VIEW v0 AS SELECT unit FROM boiler";
    uint32_t count;
    fixture_init(&f);
    for (int i = 1; i < 30; i++)
        snprintf(sql + strlen(sql), sizeof sql - strlen(sql),
                 "; CREATE VIEW v%d AS SELECT unit FROM v%d UNION ALL SELECT unit FROM v%d", i, i - 1, i - 1);
    strcat(sql, "; SELECT unit FROM v29");
    planned(&f, sql);
    leat_planner_nodes(f.planner, &count);
    assert_true(count < 100);
    fixture_fini(&f);
}

static void columns_are_bounded(void **state)
{
    (void)state;
    fixture f;
    char sql[4096] = "SELECT ts";
    fixture_init(&f);
    for (int i = 0; i < 300; i++)
        snprintf(sql + strlen(sql), sizeof sql - strlen(sql), ", unit a%d", i);
    strcat(sql, " FROM boiler");
    assert_int_equal(plan(&f, sql), LEAT_E_INVALID);
    assert_string_equal(print_errors(&f), "7+2 a stream has at most 256 columns");
    fixture_fini(&f);
}

// ---- what a script reads

static void tables_of_a_script(void **state)
{
    (void)state;
    fixture f;
    leat_sql_script *script;
    const leat_planner_table *tables;
    fixture_init(&f);
    const char *sql = "CREATE VIEW v AS SELECT * FROM a; WITH w AS (SELECT * FROM v, b) SELECT * FROM w JOIN r.late ON "
                      "EXISTS (SELECT 1 FROM c) "
                      "WHERE x IN (SELECT y FROM TABLE(TUMBLE(TABLE d, DESCRIPTOR(ts), INTERVAL '1' DAY))) UNION ALL "
                      "SELECT * FROM f(r => TABLE (SELECT * FROM e), s => TABLE a)";
    assert_int_equal(leat_sql_parse_statements(&f.arena, leat_slice_text(sql), &script, &f.diagnostics), LEAT_OK);
    uint32_t count = leat_planner_tables(&f.arena, script, &tables);
    leat_writer_reset(&f.out);
    for (uint32_t i = 0; i < count; i++)
        leat_write_format(&f.out, "%.*s@%u ", (int)tables[i].name.size, tables[i].name.data, tables[i].span.offset);
    leat_write_u8(&f.out, 0);
    assert_string_equal((const char *)f.out.bytes, "a@31 b@62 r.late@86 c@118 d@166 e@257 ");
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_plans),
        cmocka_unit_test(golden_late),
        cmocka_unit_test(every_query_of_the_dialect_is_answered),
        cmocka_unit_test(window_parameters),
        cmocka_unit_test(attached_window_parameters),
        cmocka_unit_test(group_parameters),
        cmocka_unit_test(process_parameters),
        cmocka_unit_test(default_arguments),
        cmocka_unit_test(rules_are_streams),
        cmocka_unit_test(unread_views_leave_nothing),
        cmocka_unit_test(shared_views_do_not_multiply),
        cmocka_unit_test(columns_are_bounded),
        cmocka_unit_test(tables_of_a_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
