// Aggregates against a model that keeps every row: random adds, retractions, merges and round trips through the stored form; and
// budgets that refuse.
#include <math.h>

#include "tests/unit/expr/expr_support.h"

static uint64_t seed = 1234567890123u;

static uint32_t dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % sides;
}

enum {
    COLUMNS = 5,
    GROUPS = 4,
    MODEL_ROWS = 4096,
    INT_COLUMN = 0,
    DOUBLE_COLUMN = 1,
    DECIMAL_COLUMN = 2,
    TEXT_COLUMN = 3,
    FLAG_COLUMN = 4
};

typedef struct model_row {
    leat_value values[COLUMNS];
    bool alive;
} model_row;

typedef struct group_model {
    model_row rows[MODEL_ROWS];
    uint32_t count;
} group_model;

typedef struct tested_call {
    const char *name;
    int column; // -1: *
    bool distinct, filtered;
} tested_call;

static const tested_call calls[] = {
    {"COUNT", -1, false, false},
    {"COUNT", INT_COLUMN, false, false},
    {"COUNT", TEXT_COLUMN, false, false},
    {"COUNT", -1, false, true},
    {"COUNT", INT_COLUMN, true, false},
    {"COUNT", TEXT_COLUMN, true, true},
    {"SUM", INT_COLUMN, false, false},
    {"SUM", DOUBLE_COLUMN, false, false},
    {"SUM", DECIMAL_COLUMN, false, false},
    {"SUM", INT_COLUMN, true, false},
    {"SUM", DECIMAL_COLUMN, true, false},
    {"SUM", DOUBLE_COLUMN, false, true},
    {"AVG", INT_COLUMN, false, false},
    {"AVG", DOUBLE_COLUMN, false, false},
    {"AVG", DECIMAL_COLUMN, false, false},
    {"AVG", INT_COLUMN, true, false},
    {"MIN", INT_COLUMN, false, false},
    {"MAX", INT_COLUMN, false, false},
    {"MIN", DOUBLE_COLUMN, false, false},
    {"MAX", DOUBLE_COLUMN, false, true},
    {"MIN", TEXT_COLUMN, false, false},
    {"MAX", TEXT_COLUMN, false, false},
    {"MIN", DECIMAL_COLUMN, false, false},
    {"MAX", FLAG_COLUMN, false, false},
    {"FIRST_VALUE", TEXT_COLUMN, false, false},
    {"LAST_VALUE", INT_COLUMN, false, false},
    {"STDDEV_POP", DOUBLE_COLUMN, false, false},
    {"STDDEV", DOUBLE_COLUMN, false, false},
    {"VAR_POP", DOUBLE_COLUMN, false, false},
    {"VARIANCE", DOUBLE_COLUMN, false, false},
    {"LISTAGG", TEXT_COLUMN, false, false},
    {"COLLECT", INT_COLUMN, false, false},
    {"ARRAY_AGG", INT_COLUMN, false, false},
    {"COLLECT", TEXT_COLUMN, true, false},
};
enum { CALLS = sizeof calls / sizeof *calls };

static void types_of(leat_type types[COLUMNS])
{
    types[INT_COLUMN] = leat_type_of(LEAT_KIND_INT);
    types[DOUBLE_COLUMN] = leat_type_of(LEAT_KIND_DOUBLE);
    types[DECIMAL_COLUMN] = leat_type_decimal(10, 2);
    types[TEXT_COLUMN] = leat_type_of(LEAT_KIND_STRING);
    types[FLAG_COLUMN] = leat_type_of(LEAT_KIND_BOOLEAN);
}

static leat_value random_value(leat_type type)
{
    static const char *const texts[] = {"", "a", "bb", "ccc", "dddd dddd dddd dddd", "é"};
    leat_value value = {.is_null = false};
    if (dice(5) == 0)
        return leat_value_null();
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        value.boolean = dice(2);
        break;
    case LEAT_PHYSICAL_I64:
        value.i64 = dice(50) == 0 ? 2147483600 : (int64_t)dice(40) - 20;
        break;
    case LEAT_PHYSICAL_F64:
        value.f64 = (double)dice(64) / 4 - 8;
        break;
    case LEAT_PHYSICAL_I128:
        value.i128 = (int)dice(2000) - 1000;
        break;
    default:
        value.text = leat_slice_text(texts[dice(6)]);
        break;
    }
    return value;
}

// -- the model

static bool counted(const group_model *model, uint32_t r, const tested_call *call)
{
    const model_row *row = &model->rows[r];
    const leat_value *flag = &row->values[FLAG_COLUMN];
    if (!row->alive || (call->filtered && (flag->is_null || !flag->boolean)))
        return false;
    return call->column < 0 || !strcmp(call->name, "ARRAY_AGG") || !row->values[call->column].is_null;
}

static bool seen_before(const group_model *model, uint32_t r, const tested_call *call, leat_type type)
{
    for (uint32_t i = 0; i < r; i++)
        if (counted(model, i, call) &&
            leat_value_equal(type, &model->rows[i].values[call->column], &model->rows[r].values[call->column]))
            return true;
    return false;
}

typedef struct expectation {
    int64_t count;
    double sum, squares;
    leat_i128 exact;
    const leat_value *min, *max, *first, *last;
    char list[65536], array[65536];
} expectation;

static void summarise(const group_model *model, const tested_call *call, const leat_type *types, expectation *out,
                      leat_env *env)
{
    memset(out, 0, sizeof *out);
    leat_type type = call->column < 0 ? leat_type_of(LEAT_KIND_INT) : types[call->column];
    for (uint32_t r = 0; r < model->count; r++) {
        if (!counted(model, r, call) || (call->distinct && seen_before(model, r, call, type)))
            continue;
        out->count++;
        if (call->column < 0)
            continue;
        const leat_value *value = &model->rows[r].values[call->column];
        leat_writer writer;
        leat_writer_init(&writer, env, 4096);
        leat_value_print(type, value, NULL, &writer);
        snprintf(out->list + strlen(out->list), sizeof out->list - strlen(out->list), "%s%.*s",
                 out->count > 1 ? "," : "", (int)writer.size, (const char *)writer.bytes);
        snprintf(out->array + strlen(out->array), sizeof out->array - strlen(out->array), "%s%.*s",
                 out->count > 1 ? ", " : "", (int)writer.size, (const char *)writer.bytes);
        leat_writer_fini(&writer);
        if (value->is_null)
            continue;
        out->sum += leat_type_physical(type) == LEAT_PHYSICAL_F64 ? value->f64 : 0;
        out->exact += leat_type_physical(type) == LEAT_PHYSICAL_I64    ? value->i64
                      : leat_type_physical(type) == LEAT_PHYSICAL_I128 ? value->i128
                                                                       : 0;
        out->min = !out->min || leat_value_compare(type, value, out->min) < 0 ? value : out->min;
        out->max = !out->max || leat_value_compare(type, value, out->max) > 0 ? value : out->max;
        out->first = out->first ? out->first : value;
        out->last = value;
    }
    for (uint32_t r = 0; r < model->count; r++)
        if (call->column == DOUBLE_COLUMN && counted(model, r, call)) {
            double distance = model->rows[r].values[DOUBLE_COLUMN].f64 - out->sum / (double)out->count;
            out->squares += distance * distance;
        }
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-6 * (1 + fabs(a)); }

static bool same_value(leat_type type, const leat_value *wanted, const leat_value *found)
{
    return wanted ? !found->is_null && leat_value_equal(type, wanted, found) : found->is_null;
}

static bool same_text(expr_test *test, leat_type type, const leat_value *found, const char *wanted, bool any,
                      bool array)
{
    char text[65536], expected[65600];
    if (!any)
        return found->is_null;
    print_value(test, type, true, found, text, sizeof text);
    snprintf(expected, sizeof expected, array ? "[%s]" : "%s", wanted);
    return !strcmp(text, expected);
}

static bool is(const tested_call *call, const char *name) { return !strcmp(call->name, name); }

static bool number_as_expected(const tested_call *call, const expectation *want, leat_type type,
                               const leat_value *found)
{
    if (want->count == 0)
        return found->is_null;
    if (found->is_null)
        return false;
    bool average = is(call, "AVG");
    if (call->column == DOUBLE_COLUMN)
        return near(average ? want->sum / (double)want->count : want->sum, found->f64);
    if (call->column == INT_COLUMN)
        return found->i64 == (average ? (int32_t)(want->exact / want->count) : (int32_t)want->exact);
    return near(leat_decimal_to_double(want->exact, 2) / (average ? (double)want->count : 1),
                leat_decimal_to_double(found->i128, type.scale));
}

static bool spread_as_expected(const tested_call *call, const expectation *want, const leat_value *found)
{
    bool sample = is(call, "STDDEV") || is(call, "VARIANCE");
    if (want->count <= sample)
        return found->is_null;
    double variance = want->squares / (double)(want->count - sample);
    return !found->is_null &&
           near(is(call, "STDDEV") || is(call, "STDDEV_POP") ? sqrt(variance) : variance, found->f64);
}

static bool as_expected(expr_test *test, const tested_call *call, const expectation *want, const leat_type *types,
                        leat_type type, const leat_value *found)
{
    leat_type argument = call->column < 0 ? type : types[call->column];
    if (is(call, "COUNT"))
        return !found->is_null && found->i64 == want->count;
    if (is(call, "MIN") || is(call, "MAX"))
        return same_value(argument, is(call, "MIN") ? want->min : want->max, found);
    if (is(call, "FIRST_VALUE") || is(call, "LAST_VALUE"))
        return same_value(argument, is(call, "FIRST_VALUE") ? want->first : want->last, found);
    if (is(call, "LISTAGG"))
        return same_text(test, type, found, want->list, want->count, false);
    if (is(call, "COLLECT") && want->count == 0)
        return !found->is_null && found->nested.count == 0;
    if (is(call, "COLLECT") || is(call, "ARRAY_AGG"))
        return same_text(test, type, found, want->array, want->count, true);
    if (is(call, "SUM") || is(call, "AVG"))
        return number_as_expected(call, want, type, found);
    return spread_as_expected(call, want, found);
}

// -- driving both

typedef struct tested_world {
    expr_test test;
    leat_type types[COLUMNS];
    leat_aggregate aggregates[CALLS];
    leat_accumulators *set;
    leat_budget budget;
    void *accumulators[GROUPS];
    group_model models[GROUPS];
    bool retract;
} tested_world;

static void world_init(tested_world *world, bool retract, uint32_t first, uint32_t count)
{
    memset(world, 0, sizeof *world);
    expr_test_init(&world->test);
    types_of(world->types);
    world->retract = retract;
    leat_budget_init(&world->budget, &world->test.env->env, 0);
    for (uint32_t i = 0; i < count; i++) {
        const tested_call *call = &calls[first + i];
        leat_expr *argument = call->column < 0 ? NULL
                                               : leat_expr_column(&world->test.scope, 0, (uint32_t)call->column,
                                                                  world->types[call->column]);
        leat_expr *filter =
            call->filtered ? leat_expr_column(&world->test.scope, 0, FLAG_COLUMN, world->types[FLAG_COLUMN]) : NULL;
        leat_code code =
            leat_aggregate_resolve(&world->test.scope, leat_slice_text(call->name), call->distinct, &argument,
                                   argument != NULL, filter, retract, &world->aggregates[i], &world->test.error);
        if (code != LEAT_OK)
            fail_msg("%s: %s", call->name, world->test.error.message);
    }
    assert_int_equal(leat_accumulators_create(&world->test.arena, world->aggregates, count, retract, &world->set, NULL),
                     LEAT_OK);
    for (int g = 0; g < GROUPS; g++) {
        world->accumulators[g] = leat_arena_alloc_aligned(&world->test.arena, leat_accumulators_size(world->set), 16);
        leat_accumulators_init(world->set, world->accumulators[g]);
    }
}

static void world_fini(tested_world *world)
{
    for (int g = 0; g < GROUPS; g++)
        leat_accumulators_release(world->set, world->accumulators[g], &world->budget);
    assert_int_equal(world->budget.used, 0);
    expr_test_fini(&world->test);
}

static bool same_row(const tested_world *world, const model_row *a, const model_row *b)
{
    for (int c = 0; c < COLUMNS; c++)
        if (!leat_value_equal(world->types[c], &a->values[c], &b->values[c]))
            return false;
    return true;
}

// A retraction takes out the oldest row like it, as the bag does.
static void model_remove(const tested_world *world, group_model *model, const model_row *row)
{
    for (uint32_t i = 0; i < model->count; i++)
        if (model->rows[i].alive && same_row(world, &model->rows[i], row)) {
            model->rows[i].alive = false;
            return;
        }
    fail_msg("a row to retract is not there");
}

static bool random_alive(const group_model *model, uint32_t *out_row)
{
    uint32_t start = model->count ? dice(model->count) : 0;
    for (uint32_t i = 0; i < model->count; i++) {
        *out_row = (start + i) % model->count;
        if (model->rows[*out_row].alive)
            return true;
    }
    return false;
}

static void add_batch(tested_world *world, uint32_t rows)
{
    leat_column columns[COLUMNS];
    uint8_t kinds[TEST_ROWS];
    void *accumulators[TEST_ROWS];
    leat_batch batch = {.count = rows, .selected = rows, .columns = columns, .row_kind = world->retract ? kinds : NULL};
    bool nulls = dice(2);
    for (int c = 0; c < COLUMNS; c++)
        column_new(&world->test.arena, world->types[c], rows, &columns[c]);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t g = dice(GROUPS), old;
        group_model *model = &world->models[g];
        model_row row = {.alive = true};
        bool out = world->retract && dice(3) == 0 && random_alive(model, &old);
        for (int c = 0; c < COLUMNS; c++) {
            row.values[c] = random_value(world->types[c]);
            while (!nulls && row.values[c].is_null)
                row.values[c] = random_value(world->types[c]);
        }
        if (out)
            row = model->rows[old];
        for (int c = 0; c < COLUMNS; c++)
            leat_column_set(&columns[c], i, &row.values[c], NULL);
        kinds[i] = out ? LEAT_DELETE : LEAT_INSERT;
        accumulators[i] = world->accumulators[g];
        if (out) {
            model_remove(world, model, &row);
        } else {
            assert_true(model->count < MODEL_ROWS);
            model->rows[model->count++] = row;
        }
    }
    leat_eval_begin(&world->test.eval, &batch, 0);
    if (dice(2)) {
        assert_int_equal(
            leat_accumulators_add(world->set, &world->test.eval, &batch, accumulators, &world->budget, NULL), LEAT_OK);
        return;
    }
    const leat_accumulators_input *input = leat_accumulators_prepare(world->set, &world->test.eval, &batch);
    for (uint32_t i = 0; i < rows; i++)
        assert_int_equal(leat_accumulators_add_row(world->set, input, i, world->retract && kinds[i] == LEAT_DELETE,
                                                   accumulators[i], &world->budget, NULL),
                         LEAT_OK);
}

static void check(tested_world *world, uint32_t first, uint32_t count, const char *when)
{
    static expectation want;
    leat_arena arena;
    leat_arena_init(&arena, &world->test.env->env, 4096);
    for (int g = 0; g < GROUPS; g++)
        for (uint32_t i = 0; i < count; i++) {
            const tested_call *call = &calls[first + i];
            leat_value found;
            summarise(&world->models[g], call, world->types, &want, &world->test.env->env);
            leat_accumulators_result(world->set, world->accumulators[g], i, &arena, &found);
            // A list takes out the oldest equal value, not the row's own: only whether there is something is the same.
            bool ordered = call->column >= 0 && (is(call, "FIRST_VALUE") || is(call, "LAST_VALUE") ||
                                                 is(call, "LISTAGG") || is(call, "COLLECT") || is(call, "ARRAY_AGG"));
            if (world->retract && ordered) {
                assert_int_equal(found.is_null, want.count == 0 && !is(call, "COLLECT"));
                continue;
            }
            if (!as_expected(&world->test, call, &want, world->types, world->aggregates[i].type, &found)) {
                char text[65536];
                print_value(&world->test, world->aggregates[i].type, true, &found, text, sizeof text);
                fail_msg("%s of column %d%s%s %s: %s; count %lld exact %lld sum %g list %s", call->name, call->column,
                         call->distinct ? " DISTINCT" : "", call->filtered ? " FILTER" : "", when, text,
                         (long long)want.count, (long long)want.exact, want.sum, want.list);
            }
        }
    leat_arena_fini(&arena);
}

static void round_trip(tested_world *world, int group)
{
    leat_writer writer;
    leat_reader reader;
    leat_writer_init(&writer, &world->test.env->env, 1 << 24);
    leat_accumulators_encode(world->set, world->accumulators[group], &writer);
    leat_accumulators_release(world->set, world->accumulators[group], &world->budget);
    memset(world->accumulators[group], 0xee, leat_accumulators_size(world->set));
    leat_reader_init(&reader, writer.bytes, writer.size);
    assert_int_equal(leat_accumulators_decode(world->set, world->accumulators[group], &reader, &world->budget, NULL),
                     LEAT_OK);
    assert_int_equal(leat_reader_left(&reader), 0);
    leat_writer_fini(&writer);
}

// Appends the rows of one group to another, which starts anew.
static void merge(tested_world *world, int into, int from)
{
    assert_int_equal(
        leat_accumulators_merge(world->set, world->accumulators[into], world->accumulators[from], &world->budget, NULL),
        LEAT_OK);
    group_model *a = &world->models[into], *b = &world->models[from];
    for (uint32_t i = 0; i < b->count; i++)
        if (b->rows[i].alive)
            a->rows[a->count++] = b->rows[i];
    b->count = 0;
    leat_accumulators_release(world->set, world->accumulators[from], &world->budget);
    leat_accumulators_init(world->set, world->accumulators[from]);
}

static void run_world(bool retract, uint32_t first, uint32_t count)
{
    static tested_world world;
    world_init(&world, retract, first, count);
    check(&world, first, count, "empty");
    for (int step = 0; step < 8; step++) {
        add_batch(&world, 1 + dice(60));
        check(&world, first, count, retract ? "after retracting batch" : "after batch");
        if (dice(2))
            round_trip(&world, (int)dice(GROUPS));
        check(&world, first, count, "after round trip");
        uint32_t into = dice(GROUPS), from = (into + 1) % GROUPS;
        if (dice(3) == 0) {
            merge(&world, (int)into, (int)from);
            check(&world, first, count, "after merge");
        }
    }
    world_fini(&world);
}

static void against_the_model(void **state)
{
    (void)state;
    for (int run = 0; run < 6; run++) {
        run_world(false, 0, CALLS);
        run_world(true, 0, CALLS);
        for (uint32_t i = 0; i < CALLS; i++)
            run_world(run % 2, i, 1);
    }
    // COUNT, SUM, AVG, MIN, MAX of one column: the fused loop.
    for (int run = 0; run < 20; run++)
        run_world(false, 16, 2), run_world(false, 0, 2);
}

static void budget_refuses(void **state)
{
    (void)state;
    static tested_world world;
    for (size_t limit = 1; limit < 4000; limit += 37) {
        leat_column columns[COLUMNS];
        void *accumulators[64];
        leat_batch batch = {.count = 64, .selected = 64, .columns = columns};
        world_init(&world, true, 0, CALLS);
        world.budget.limit = limit;
        for (int c = 0; c < COLUMNS; c++) {
            column_new(&world.test.arena, world.types[c], 64, &columns[c]);
            for (uint32_t i = 0; i < 64; i++) {
                leat_value value = random_value(world.types[c]);
                leat_column_set(&columns[c], i, &value, NULL);
            }
        }
        for (int i = 0; i < 64; i++)
            accumulators[i] = world.accumulators[0];
        leat_eval_begin(&world.test.eval, &batch, 0);
        assert_int_equal(
            leat_accumulators_add(world.set, &world.test.eval, &batch, accumulators, &world.budget, &world.test.error),
            LEAT_E_LIMIT);
        assert_true(world.budget.used <= limit);
        world_fini(&world);
    }
}

static void damaged_bytes(void **state)
{
    (void)state;
    static tested_world world;
    leat_writer writer;
    world_init(&world, true, 0, CALLS);
    add_batch(&world, 200);
    leat_writer_init(&writer, &world.test.env->env, 1 << 24);
    leat_accumulators_encode(world.set, world.accumulators[0], &writer);
    void *other = leat_arena_alloc_aligned(&world.test.arena, leat_accumulators_size(world.set), 16);
    for (size_t size = 0; size < writer.size; size++) {
        leat_reader reader;
        leat_reader_init(&reader, writer.bytes, size);
        assert_int_equal(leat_accumulators_decode(world.set, other, &reader, &world.budget, NULL), LEAT_E_CORRUPT);
    }
    leat_writer_fini(&writer);
    world_fini(&world);
}

static void bad_rows_are_left_out(void **state)
{
    (void)state;
    expr_test test;
    leat_type types[1] = {leat_type_of(LEAT_KIND_INT)};
    leat_column column;
    leat_aggregate aggregates[2];
    leat_accumulators *set;
    leat_budget budget;
    leat_value value;
    expr_test_init(&test);
    test.schema = types;
    leat_budget_init(&budget, &test.env->env, 0);
    leat_expr *argument = expr_of(&test, "(/ 12 $0)");
    assert_int_equal(leat_aggregate_resolve(&test.scope, leat_slice_text("SUM"), false, &argument, 1, NULL, false,
                                            &aggregates[0], NULL),
                     LEAT_OK);
    assert_int_equal(leat_aggregate_resolve(&test.scope, leat_slice_text("count"), false, NULL, 0, NULL, false,
                                            &aggregates[1], NULL),
                     LEAT_OK);
    assert_int_equal(leat_accumulators_create(&test.arena, aggregates, 2, false, &set, NULL), LEAT_OK);
    column_new(&test.arena, types[0], 4, &column);
    for (int i = 0; i < 4; i++)
        column.i64[i] = i;
    leat_batch batch = {.count = 4, .selected = 4, .columns = &column};
    void *accumulator = leat_arena_alloc_aligned(&test.arena, leat_accumulators_size(set), 16);
    void *accumulators[4] = {accumulator, accumulator, accumulator, accumulator};
    leat_accumulators_init(set, accumulator);
    leat_eval_begin(&test.eval, &batch, 0);
    assert_int_equal(leat_accumulators_add(set, &test.eval, &batch, accumulators, &budget, NULL), LEAT_OK);
    assert_int_equal(test.eval.bad_count, 1);
    leat_accumulators_result(set, accumulator, 0, &test.arena, &value);
    assert_int_equal(value.i64, 12 + 6 + 4);
    leat_accumulators_result(set, accumulator, 1, &test.arena, &value);
    assert_int_equal(value.i64, 3);
    expr_test_fini(&test);
}

static void resolving(void **state)
{
    (void)state;
    expr_test test;
    leat_aggregate aggregate;
    char text[LEAT_TYPE_TEXT];
    expr_test_init(&test);
    static const struct {
        const char *name, *argument, *type;
    } cases[] = {
        {"SUM", "1", "INT"},
        {"SUM", "1.25", "DECIMAL(38, 2)"},
        {"AVG", "1L", "BIGINT"},
        {"AVG", "1.25", "DECIMAL(38, 6)"},
        {"AVG", "1.5f", "FLOAT"},
        {"COUNT", "'x'", "BIGINT"},
        {"MIN", "'x'", "STRING"},
        {"STDDEV", "1e0", "DOUBLE"},
        {"COLLECT", "1", "ARRAY<INT>"},
        {"SUM", "'x'", NULL},
        {"AVGG", "1", NULL},
        {"PERCENTILE", "1", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_expr *argument = expr_of(&test, cases[i].argument);
        leat_code code = leat_aggregate_resolve(&test.scope, leat_slice_text(cases[i].name), false, &argument, 1, NULL,
                                                false, &aggregate, &test.error);
        assert_int_equal(code == LEAT_OK, cases[i].type != NULL);
        if (code == LEAT_OK)
            assert_string_equal(leat_type_print(aggregate.type, text), cases[i].type);
    }
    expr_test_fini(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolving),      cmocka_unit_test(bad_rows_are_left_out), cmocka_unit_test(against_the_model),
        cmocka_unit_test(budget_refuses), cmocka_unit_test(damaged_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
