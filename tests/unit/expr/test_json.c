// JSON texts that were mutated at random: IS JSON says what jansson says, what is written is JSON again and the same, and no
// path, pattern or clause brings anything down.
#include <jansson.h>

#include "operators/expr/json_path.h"
#include "tests/unit/expr/expr_support.h"

static uint64_t seed = 362436069362436069u;

static uint32_t dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % sides;
}

static size_t mutated(const char *text, const char *pieces, char *out, size_t size)
{
    size_t length = strlen(text), count = strlen(pieces);
    memcpy(out, text, length);
    for (uint32_t i = dice(4); i > 0; i--) {
        size_t at = dice((uint32_t)length + 1);
        switch (dice(3)) {
        case 0: // one more
            if (length + 1 < size) {
                memmove(out + at + 1, out + at, length - at);
                out[at] = pieces[dice((uint32_t)count)];
                length++;
            }
            break;
        case 1: // one less
            if (at < length) {
                memmove(out + at, out + at + 1, length - at - 1);
                length--;
            }
            break;
        default:
            if (at < length)
                out[at] = pieces[dice((uint32_t)count)];
            break;
        }
    }
    return length;
}

static const char *const texts[] = {
    "{\"a\":[1,2,{\"b\":\"x\\n\"}],\"c\":{\"d\":-1.5e+3,\"e\":null},\"a b\":true}",
    "[[],{},\"\",0,-0,10.25,[[[1]]],false]",
    "{\"a\":1,\"a\":2,\"\\\"q\":\"\\/\\\\\"}",
    " \"text with \\t escapes\" ",
    "12e-3",
    "{\"k\": [ {\"v\": 1} , {\"v\": 2} ] }",
};
static const char *const paths[] = {
    "$.a[2].b",     "lax $.c.d", "$[*]", "strict $['a b']", "$..v", "$.k[0:1].v", "$[-1]",
    "lax $.k[*].v", "$",         "a",    "$[\"a\"][0,1]",   "$.*",  "$..*"};
enum { TEXTS = sizeof texts / sizeof *texts, PATHS = sizeof paths / sizeof *paths };

// What jansson does not take though it is JSON: numbers beyond its own. It is left out.
static bool taken_by_jansson(const char *text, size_t size, json_t **out)
{
    json_error_t error;
    *out = json_loadb(text, size, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    return *out != NULL;
}

static void like_jansson(void **state)
{
    (void)state;
    env_test *env = env_test_create();
    leat_arena scratch;
    leat_arena_init(&scratch, &env->env, 65536);
    uint32_t good = 0;
    for (int run = 0; run < 40000; run++) {
        char text[256];
        size_t size = mutated(texts[dice(TEXTS)], "{}[]\",:.0123e-+ truefalsn\\/\t", text, sizeof text);
        leat_slice value;
        json_t *parsed, *again;
        bool is = leat_json_check(leat_slice_of(text, size), &value);
        if (is != taken_by_jansson(text, size, &parsed) && !memmem(text, size, "\\u", 2) && !memmem(text, size, "e", 1))
            fail_msg("%.*s: jansson takes it %d, leat %d", (int)size, text, parsed != NULL, is);
        if (is && parsed) {
            leat_writer writer;
            leat_writer_init(&writer, &env->env, 1 << 16);
            leat_json_write(value, &scratch, &writer);
            assert_false(writer.failed);
            assert_true(taken_by_jansson((const char *)writer.bytes, writer.size, &again));
            if (!json_equal(parsed, again))
                fail_msg("%.*s is written as %.*s", (int)size, text, (int)writer.size, (const char *)writer.bytes);
            json_decref(again);
            leat_writer_fini(&writer);
            good++;
        }
        json_decref(parsed);
        leat_arena_reset(&scratch);
    }
    assert_true(good > 5000);
    leat_arena_fini(&scratch);
    env_test_destroy(env);
}

// Whatever is found is JSON and lies within the text.
static void paths_stay_inside(void **state)
{
    (void)state;
    env_test *env = env_test_create();
    leat_arena scratch;
    leat_arena_init(&scratch, &env->env, 65536);
    uint32_t found_count = 0;
    for (int run = 0; run < 40000; run++) {
        char text[256], path[64], error[LEAT_JSON_PATH_ERROR];
        size_t size = mutated(texts[dice(TEXTS)], "{}[]\",:1 a", text, sizeof text);
        size_t path_size = mutated(paths[dice(PATHS)], "$.[]'\"*:,-1ab ?(", path, sizeof path);
        const leat_json_path *compiled = leat_json_path_compile(&scratch, leat_slice_of(path, path_size), error);
        assert_true((compiled == NULL) == (error[0] != 0));
        leat_json_found found = leat_json_find(compiled, leat_slice_of(text, size), &scratch);
        for (uint32_t i = 0; found.state == LEAT_JSON_FOUND && i < (found.list ? found.count : 1); i++) {
            leat_slice item = found.list ? found.items[i] : found.value, again;
            assert_true(item.data >= text && item.data + item.size <= text + size);
            assert_true(leat_json_check(item, &again) && leat_slice_equal(item, again));
            found_count++;
        }
        leat_arena_reset(&scratch);
    }
    assert_true(found_count > 1500);
    leat_arena_fini(&scratch);
    env_test_destroy(env);
}

// Nesting is bounded, and so is the stack.
static void deep(void **state)
{
    (void)state;
    static char text[100000];
    leat_slice value;
    memset(text, '[', sizeof text);
    assert_false(leat_json_check(leat_slice_of(text, sizeof text), &value));
    memset(text + LEAT_JSON_NESTING, ']', LEAT_JSON_NESTING);
    assert_true(leat_json_check(leat_slice_of(text, 2 * LEAT_JSON_NESTING), &value));
    text[LEAT_JSON_NESTING] = '[';
    memset(text + LEAT_JSON_NESTING + 1, ']', LEAT_JSON_NESTING + 1);
    assert_false(leat_json_check(leat_slice_of(text, 2 * LEAT_JSON_NESTING + 2), &value));
}

// Patterns and texts at random: an error of the query, a bad row or a result, and memory that is given back.
static void patterns_at_random(void **state)
{
    (void)state;
    static const char *const functions[] = {"REGEXP",       "REGEXP_COUNT",  "REGEXP_EXTRACT", "REGEXP_EXTRACT_ALL",
                                            "REGEXP_INSTR", "REGEXP_SUBSTR", "SIMILAR TO",     "SPLIT",
                                            "STR_TO_MAP"};
    static const char *const patterns[] = {"(a|b)*c", "[a-z]+\\d{2,3}", "^(?<n>x+)(?i)Y$", "\\p{Upper}\\u0041?",
                                           "a%_b|c"};
    for (int run = 0; run < 1500; run++) {
        expr_test test;
        char pattern[64], text[128];
        leat_value value;
        expr_test_init(&test);
        size_t size = mutated(patterns[dice(5)], "()[]{}*+?|\\^$.%_a1,-:<>\xc3\xa9", pattern, sizeof pattern);
        size_t text_size = mutated(texts[dice(TEXTS)], "abcxY12\xc3\xa9\xff", text, sizeof text);
        leat_type type = leat_type_of(LEAT_KIND_STRING);
        leat_value values[2] = {{.text = leat_slice_of(text, text_size)}, {.text = leat_slice_of(pattern, size)}};
        leat_expr *arguments[2] = {leat_expr_column(&test.scope, 0, 0, type),
                                   dice(2) ? leat_expr_literal(&test.scope, type, values[1])
                                           : leat_expr_column(&test.scope, 0, 1, type)},
                  *expr = NULL;
        leat_code code =
            leat_expr_call(&test.scope, leat_slice_text(functions[dice(9)]), arguments, 2, &expr, &test.error);
        if (code == LEAT_OK) {
            leat_row_view view = {values, 0, LEAT_TIME_NONE};
            leat_eval_row_begin(&test.eval, 0);
            leat_program_run_row(program_of(&test, expr), &test.eval, &view, 1, &value);
        } else {
            assert_true(test.error.message[0]);
        }
        expr_test_fini(&test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_jansson),
        cmocka_unit_test(paths_stay_inside),
        cmocka_unit_test(deep),
        cmocka_unit_test(patterns_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
