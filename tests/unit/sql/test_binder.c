// Expressions get the types that Flink gives them, and what cannot be is refused at its place with the nearest name.

#include "tests/unit/sql/plan_fixture.h"

static const struct {
    const char *expression, *type;
} types[] = {
#include "tests/unit/sql/golden_types.inc"
};

static const struct {
    const char *sql, *errors;
} refusals[] = {
#include "tests/unit/sql/golden_refusals.inc"
};

static const char *type_of_first(fixture *f)
{
    char type[LEAT_TYPE_TEXT];
    leat_writer_reset(&f->out);
    leat_write_text(&f->out, leat_type_print(f->result.schema->fields[0].type, type));
    leat_write_text(&f->out, f->result.schema->rowtime == 0 ? " ROWTIME" : "");
    leat_write_u8(&f->out, 0);
    return (const char *)f->out.bytes;
}

static void types_of_expressions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        fixture f;
        fixture_init(&f);
        f.request.unbounded = true;
        const char *sql = leat_arena_format(&f.arena, "SELECT %s AS x FROM lines", types[i].expression);
        if (plan(&f, sql) != LEAT_OK)
            fail_msg("%s: %s", sql, print_errors(&f));
        if (strcmp(type_of_first(&f), types[i].type))
            fail_msg("%s: is %s, not %s", types[i].expression, type_of_first(&f), types[i].type);
        fixture_fini(&f);
    }
}

static void refusals_at_their_places(void **state)
{
    (void)state;
    assert_true(sizeof refusals / sizeof *refusals >= 100);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        fixture f;
        uint32_t count;
        fixture_init(&f);
        if (plan(&f, refusals[i].sql) != LEAT_E_INVALID)
            fail_msg("%s\nis not refused", refusals[i].sql);
        if (strcmp(print_errors(&f), refusals[i].errors))
            fail_msg("%s\n%s\nnot\n%s", refusals[i].sql, print_errors(&f), refusals[i].errors);
        leat_planner_nodes(f.planner, &count);
        assert_int_equal(count, f.first_node); // nothing of a failed rule stays
        fixture_fini(&f);
    }
}

// A failed stream was reported where it failed.
static void readers_of_failed_streams_are_silent(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f);
    assert_int_equal(plan(&f, "SELECT * FROM broken"), LEAT_E_INVALID);
    assert_int_equal(f.diagnostics.count, 0);
    assert_true(f.result.reads_failed);
    f.request.name = "second";
    assert_int_equal(plan(&f, "SELECT * FROM r"), LEAT_E_INVALID);
    assert_int_equal(f.diagnostics.count, 0);
    assert_true(f.result.reads_failed);
    fixture_fini(&f);
}

static void errors_are_bounded(void **state)
{
    (void)state;
    fixture f;
    char sql[2048] = "SELECT a0";
    fixture_init(&f);
    for (int i = 1; i < 100; i++)
        snprintf(sql + strlen(sql), sizeof sql - strlen(sql), ", b%d", i);
    strcat(sql, " FROM boiler");
    assert_int_equal(plan(&f, sql), LEAT_E_INVALID);
    assert_int_equal(f.diagnostics.count, LEAT_SQL_DIAGNOSTICS_MAX);
    fixture_fini(&f);
}

// ---- single expressions

static leat_code expression(fixture *f, const char *text, const leat_type *wanted, const leat_program **out_program)
{
    leat_sql_expr *expr;
    const leat_schema *schema = leat_planner_find_stream(f->planner, leat_slice_text("boiler"))->schema;
    f->diagnostics.count = 0;
    assert_int_equal(leat_sql_parse_expression(&f->arena, leat_slice_text(text), 0, &expr, &f->diagnostics), LEAT_OK);
    return leat_planner_expression(f->planner, expr, "boiler", schema, wanted, out_program, &f->diagnostics);
}

static void watermark_expressions(void **state)
{
    (void)state;
    fixture f;
    const leat_program *program;
    leat_type timestamp = timestamp_type(LEAT_KIND_TIMESTAMP), boolean = leat_type_of(LEAT_KIND_BOOLEAN);
    fixture_init(&f);
    assert_int_equal(expression(&f, "ts - INTERVAL '2' SECOND", &timestamp, &program), LEAT_OK);
    assert_int_equal(leat_program_type(program).kind, LEAT_KIND_TIMESTAMP_LTZ);
    assert_int_equal(expression(&f, "boiler.ts", &timestamp, &program), LEAT_OK);
    assert_int_equal(leat_program_column(program), 4);
    assert_int_equal(expression(&f, "temperature > 1", &boolean, &program), LEAT_OK);
    assert_int_equal(expression(&f, "temperature", &timestamp, &program), LEAT_E_INVALID);
    assert_string_equal(print_errors(&f), "0+11 expected TIMESTAMP(3), found DOUBLE");
    assert_int_equal(expression(&f, "MAX(ts)", &timestamp, &program), LEAT_E_INVALID);
    assert_string_equal(print_errors(&f), "0+7 MAX is an aggregate: it may not stand in this expression");
    assert_int_equal(expression(&f, "tss", NULL, &program), LEAT_E_INVALID);
    assert_string_equal(print_errors(&f), "0+3 unknown column 'tss' (did you mean 'ts'?)");
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_of_expressions),
        cmocka_unit_test(refusals_at_their_places),
        cmocka_unit_test(readers_of_failed_streams_are_silent),
        cmocka_unit_test(errors_are_bounded),
        cmocka_unit_test(watermark_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
