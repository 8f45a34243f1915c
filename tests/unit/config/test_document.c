// The YAML tree, its limits, and the way back from a value to its bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/yaml/document.h"
#include "tests/support/env_test.h"

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_diagnostics diagnostics;
    leat_report report;
} fixture;

static int setup(void **state)
{
    static fixture f;
    f = (fixture){.env = env_test_create()};
    leat_arena_init(&f.arena, env_test_env(f.env), 4096);
    leat_diagnostics_init(&f.diagnostics, env_test_env(f.env));
    f.report = (leat_report){.diagnostics = &f.diagnostics, .path = "t.yaml"};
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    leat_diagnostics_fini(&f->diagnostics);
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
    return 0;
}

static const leat_yaml_node *parse(fixture *f, const char *text)
{
    const leat_yaml_document *document = leat_yaml_parse(&f->arena, "t.yaml", leat_slice_text(text), &f->report);
    return document ? document->root : NULL;
}

static void assert_text(const leat_yaml_node *node, const char *text)
{
    assert_non_null(node);
    assert_int_equal(node->kind, LEAT_YAML_SCALAR);
    assert_string_equal(node->text.data, text);
}

static void test_tree(void **state)
{
    fixture *f = *state;
    const leat_yaml_node *root = parse(f, "\xef\xbb\xbf# a comment\na: { b: [1, 'two', ~] }\nc: &x |\n  line\nd: *x\n");
    const leat_yaml_node *list = leat_yaml_find(leat_yaml_find(root, "a"), "b");
    assert_int_equal(list->kind, LEAT_YAML_SEQUENCE);
    assert_int_equal(list->count, 3);
    assert_text(list->items[1], "two");
    assert_true(leat_yaml_is_null(list->items[2]));
    assert_text(leat_yaml_find(root, "c"), "line\n");
    assert_ptr_equal(leat_yaml_find(root, "c"), leat_yaml_find(root, "d"));
    assert_null(leat_yaml_find(root, "e"));
    assert_int_equal(f->diagnostics.count, 0);
}

// Not YAML within { }, and taken as what is meant.
static void test_brackets(void **state)
{
    fixture *f = *state;
    const leat_yaml_node *root =
        parse(f, "{ a: topic[1], b: x.y[0][12].z, c: al/{rule}/{line}, d: [1, 2], e: { f: g } }");
    assert_text(leat_yaml_find(root, "a"), "topic[1]");
    assert_text(leat_yaml_find(root, "b"), "x.y[0][12].z");
    assert_text(leat_yaml_find(root, "c"), "al/{rule}/{line}");
    assert_int_equal(leat_yaml_find(root, "d")->count, 2);
    assert_text(leat_yaml_find(leat_yaml_find(root, "e"), "f"), "g");
    const leat_yaml_node *b = leat_yaml_find(root, "b");
    assert_memory_equal(b->document->text.data + b->offset, "x.y[0][12].z", b->end - b->offset);
}

static void test_merge(void **state)
{
    fixture *f = *state;
    const leat_yaml_node *root = parse(f, "base: &b { x: 1, y: 2 }\nc:\n  <<: *b\n  y: 3\n");
    assert_text(leat_yaml_find(leat_yaml_find(root, "c"), "x"), "1");
    assert_text(leat_yaml_find(leat_yaml_find(root, "c"), "y"), "3");
}

// Every character of a value that is not white stands in the file where leat_yaml_value_offset says.
static void check_offsets(fixture *f, const char *text)
{
    const leat_yaml_node *node = leat_yaml_find(parse(f, text), "v");
    assert_non_null(node);
    for (uint32_t i = 0; i < node->text.size; i++) {
        char c = node->text.data[i];
        if (c == ' ' || c == '\n' || c == '\t' || (unsigned char)c >= 0x80)
            continue;
        uint32_t at = leat_yaml_value_offset(node, i);
        if (node->document->text.data[at] != '\\')
            assert_int_equal(node->document->text.data[at], c);
    }
}

static void test_offsets(void **state)
{
    fixture *f = *state;
    check_offsets(f, "v: plain text\n");
    check_offsets(f, "v: over\n  several\n\n  lines # not this\n");
    check_offsets(f, "v: |\n    SELECT a,\n      b\n\n    FROM t  \nw: 1\n");
    check_offsets(f, "v: |2-  # comment\n    SELECT a\n  FROM t\n");
    check_offsets(f, "v: >+\n  SELECT a,\n  b\n\n    FROM t\n\n\n");
    check_offsets(f, "v: 'it''s a\n  ''text'''\n");
    check_offsets(f, "v: \"a\\tb \\u00e9 \\x41 c\\\n   d\\\" e\"\n");
    check_offsets(f, "v: &anchor |\r\n  SELECT a\r\n  FROM t\r\n");
    check_offsets(f, "\xef\xbb\xbf# \xc3\xa9\xc3\xa9\nv: '\xc3\xa9 b'\n");
}

static void expect_error(fixture *f, const char *text, uint32_t line, uint32_t column, const char *part)
{
    f->diagnostics.count = f->diagnostics.error_count = 0;
    parse(f, text);
    assert_int_equal(f->diagnostics.error_count, 1);
    const leat_diagnostic *d = &f->diagnostics.items[0];
    if (d->line != line || d->column != column || !strstr(d->message, part))
        fail_msg("%s: %u:%u %s", text, d->line, d->column, d->message);
}

static void test_errors(void **state)
{
    fixture *f = *state;
    expect_error(f, "a: 1\nb: 2\na: 3\n", 3, 1, "twice");
    expect_error(f, "a: 1\n\tb: 2\n", 2, 1, "tab");
    expect_error(f, "a: \xff\n", 1, 4, "UTF-8");
    expect_error(f, "a: \xed\xa0\x80\n", 1, 4, "");
    expect_error(f, "a: *x\n", 1, 4, "anchor");
    expect_error(f, "a: &x [*x]\n", 1, 8, "anchor");
    expect_error(f, "a: !!str 5\n", 1, 4, "tags");
    expect_error(f, "[a]: 5\n", 1, 1, "key");
    expect_error(f, "{ \xc3\xa9: 1, \xc3\xa9: 2 }", 1, 9, "twice");
}

static void test_many_keys(void **state)
{
    fixture *f = *state;
    static char text[40000];
    size_t size = 0;
    for (int i = 0; i < 1000; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "k%d: %d\n", i, i);
    snprintf(text + size, sizeof text - size, "k777: again\n");
    expect_error(f, text, 1001, 1, "twice");
}

static void test_limits(void **state)
{
    fixture *f = *state;
    static char text[1 << 20];
    memset(text, '[', 70);
    text[70] = 0;
    expect_error(f, text, 1, 65, "deeply");
    size_t size = (size_t)snprintf(text, sizeof text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
                                 i - 1, i - 1, i - 1, i - 1, i - 1);
    f->diagnostics.count = f->diagnostics.error_count = 0;
    assert_null(parse(f, text));
    assert_non_null(strstr(f->diagnostics.items[0].message, "aliases"));
    memset(text, '\n', sizeof text - 1);
    for (size_t i = 0; i < 220000; i += 2)
        memcpy(text + i, "- ", 2);
    text[220000] = 0;
    f->diagnostics.count = f->diagnostics.error_count = 0;
    assert_null(parse(f, text));
    assert_int_equal(f->diagnostics.error_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_brackets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_merge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_offsets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
