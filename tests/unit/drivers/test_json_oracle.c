// Random documents against jansson as the oracle: paths, duplicate names, kinds, and damage of one byte.
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/drivers/decoding.h"

static decoding d;
static uint32_t compared;

static void must_open(void)
{
    leat_error error = {0};
    if (decoding_open(&d, &leat_format_json_ops, NULL, &error) != LEAT_OK)
        fail_msg("%s", error.message);
}

static uint64_t seed = 88172645463325252ULL;
static uint32_t roll(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % limit);
}

static void random_string(leat_writer *out)
{
    static const char *const pieces[] = {
        "a",        "bc",           "longer piece", "\\n", "\\\"", "\\u00e9", "\\ud83d\\ude00",
        "\xC3\xA9", "\xE2\x82\xAC", "\\\\",         "/",   " ",    "0"};
    leat_write_u8(out, '"');
    for (uint32_t i = roll(6); i > 0; i--)
        leat_write_text(out, pieces[roll(sizeof pieces / sizeof *pieces)]);
    leat_write_u8(out, '"');
}

static void blank(leat_writer *out)
{
    if (roll(8) == 0)
        leat_write_text(out, roll(2) ? " " : "\n\t");
}

static void random_value(leat_writer *out, int depth)
{
    uint32_t kind = roll(depth > 0 ? 10 : 7);
    if (kind == 0)
        leat_write_text(out, "null");
    else if (kind == 1)
        leat_write_text(out, roll(2) ? "true" : "false");
    else if (kind <= 2)
        leat_write_format(out, "%d", (int)((int64_t)roll(4000000000u) - 2000000000));
    else if (kind == 3)
        leat_write_format(out, "%d", (int)roll(300) - 100);
    else if (kind == 4)
        leat_write_format(out, "%d.%u", (int)roll(2000) - 1000, roll(100000));
    else if (kind == 5)
        leat_write_format(out, "%u.%ue%d", roll(10), roll(1000), (int)roll(60) - 30);
    else if (kind == 6)
        random_string(out);
    else {
        bool is_object = kind < 9;
        leat_write_u8(out, is_object ? '{' : '[');
        blank(out);
        uint32_t count = roll(6);
        for (uint32_t i = 0; i < count; i++) {
            if (is_object) {
                static const char *const names[] = {"a", "b", "c", "dd", "eeeeeeeeee", "\\u0061", "f g"};
                leat_write_format(out, "\"%s\"", names[roll(7)]);
                blank(out);
                leat_write_u8(out, ':');
                blank(out);
            }
            random_value(out, depth - 1);
            blank(out);
            if (i + 1 < count) {
                leat_write_u8(out, ',');
                blank(out);
            }
        }
        leat_write_u8(out, is_object ? '}' : ']');
    }
}

static json_t *walk(json_t *root, const char *path)
{
    while (root && *path) {
        if (*path == '[') {
            root = json_is_array(root) ? json_array_get(root, (size_t)atoi(path + 1)) : NULL;
            path = strchr(path, ']') + 1;
            continue;
        }
        path += *path == '.';
        char name[32] = "";
        size_t size = strcspn(path, ".[");
        memcpy(name, path, size);
        root = json_is_object(root) ? json_object_get(root, name) : NULL;
        path += size;
    }
    return root;
}

// True and the value's text, or false: it does not fit.
static bool oracle_value(json_t *value, leat_type type, leat_writer *out)
{
    char text[LEAT_NUMBER_TEXT];
    if (!value || json_is_null(value)) {
        leat_write_text(out, "null");
        return true;
    }
    switch ((leat_kind)type.kind) {
    case LEAT_KIND_BOOLEAN:
        leat_write_text(out, json_is_true(value) ? "true" : "false");
        return json_is_boolean(value);
    case LEAT_KIND_DOUBLE:
        leat_write_bytes(out, text, leat_double_print(json_number_value(value), text));
        return json_is_number(value);
    case LEAT_KIND_STRING: {
        char *dumped = json_dumps(value, JSON_ENCODE_ANY);
        leat_write_text(out, dumped);
        free(dumped);
        return json_is_string(value);
    }
    default: {
        double real = json_number_value(value);
        if (!json_is_number(value) || real != (double)(int64_t)real || real < (double)leat_integer_min(type) ||
            real > (double)leat_integer_max(type))
            return false;
        leat_write_format(out, "%lld", (long long)real);
        return true;
    }
    }
}

static void cross_check(uint32_t documents)
{
    static const char *const paths[] = {"a",   "b",    "c",      "dd",    "eeeeeeeeee", "a.b",
                                        "b.a", "a[0]", "b[1].c", "c.a.b", "dd[2]",      "a.a"};
    static const leat_kind kinds[] = {LEAT_KIND_INT, LEAT_KIND_DOUBLE, LEAT_KIND_STRING, LEAT_KIND_BOOLEAN,
                                      LEAT_KIND_TINYINT};
    decoding_fini(&d);
    decoding_init(&d);
    uint32_t count = 1 + roll(6);
    for (uint32_t i = 0; i < count; i++)
        decoding_field(&d, leat_arena_format(&d.arena, "f%u", i), leat_type_of(kinds[roll(5)]), paths[roll(12)], 0);
    must_open();
    leat_writer text, wanted;
    leat_writer_init(&text, d.env, 1 << 20);
    leat_writer_init(&wanted, d.env, 1 << 20);
    for (uint32_t n = 0; n < documents; n++) {
        leat_writer_reset(&text);
        leat_writer_reset(&wanted);
        random_value(&text, 4);
        if (text.bytes[0] != '{')
            continue;
        bool damaged = roll(4) == 0;
        for (size_t i = 0; damaged && i < text.size; i++) // a line end would begin another message
            if (text.bytes[i] == '\n')
                text.bytes[i] = ' ';
        if (damaged)
            text.bytes[roll((uint32_t)text.size)] = (uint8_t) "{}[]\",:x\\\xFF"[roll(10)];
        if (text.bytes[0] != '{' || memchr(text.bytes, 0, text.size))
            continue;
        json_t *root = json_loadb((const char *)text.bytes, text.size, JSON_ALLOW_NUL, NULL);
        bool fits = true;
        leat_write_text(&wanted, "@0 {");
        for (uint32_t i = 0; root && i < count; i++) {
            leat_write_format(&wanted, "%s\"f%u\":", i ? "," : "", i);
            fits &= oracle_value(walk(root, d.fields[i].path), d.fields[i].type, &wanted);
        }
        leat_write_text(&wanted, "}\n");
        leat_write_u8(&wanted, 0);
        for (int again = 0; again < 2; again++) {
            decoding_run(&d, (const char *)text.bytes, text.size);
            const char *got = decoding_text(&d);
            bool equal = !root   ? d.rows == 0 && d.rejects > 0 && d.cause == LEAT_DROP_UNDECODABLE
                         : !fits ? d.rows == 0 && d.rejects == 1 && d.cause == LEAT_DROP_MISFIT
                                 : strcmp(got, (const char *)wanted.bytes) == 0;
            if (!equal)
                fail_msg("%.*s\ngot    %s\nwanted %s", (int)text.size, text.bytes, got,
                         !root   ? "UNDECODABLE"
                         : !fits ? "MISFIT"
                                 : (const char *)wanted.bytes);
        }
        json_decref(root);
        compared++;
    }
    leat_writer_fini(&text);
    leat_writer_fini(&wanted);
}

static void test_against_jansson(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        cross_check(300); // a fifth of the documents are objects
    assert_true(compared >= 50000);
}

// ---- rows that share texts against the same rows without that

// Members of a few kinds in any order, now and then twice, missing, of another kind, nested, or damaged.
static void similar_row(leat_writer *out)
{
    static const char *const members[] = {
        "\"a\":#",    "\"b\":#.5",     "\"c\":\"x#\"", "\"o\":{\"p\":#}", "\"o\":{\"q\":[1,#]}",
        "\"o\": #",   "\"u\":#",       "\"w\":[#]",    "\"w\":[]",        "\"v\":{\"k\":\"#\",\"l\":[{}]}",
        "\"a\":null", "\"l\":[0,#,2]", "\"l\":[#]"};
    uint32_t count = roll(7), begin = (uint32_t)out->size;
    leat_write_u8(out, '{');
    for (uint32_t i = 0, at = roll(13); i < count; i++, at = roll(5) ? at + 1 : roll(13)) {
        const char *member = members[at % 13], *number = strchr(member, '#');
        size_t before = number ? (size_t)(number - member) : strlen(member);
        leat_write_text(out, !i ? "" : roll(30) ? "," : ", ");
        leat_write_bytes(out, member, before);
        if (number)
            leat_write_format(out, "%u%s", roll(3) ? roll(100) : roll(4000000000u), number + 1);
    }
    leat_write_u8(out, '}');
    if (roll(25) == 0)
        out->bytes[begin + roll((uint32_t)out->size - begin)] = (uint8_t) "{}[]\",:x "[roll(9)];
    leat_write_text(out, roll(40) ? "\n" : " \r\n");
}

// Lines of a kind ('@' rows, '!' rejections) without their offsets.
static char *lines_of(const char *text, char kind)
{
    char *result = calloc(1, strlen(text) + 1), *to = result;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
        if (*line == kind)
            to = stpncpy(to, strchr(line, ' '), (size_t)(strchr(line, '\n') + 1 - strchr(line, ' ')));
    return result;
}

static void open_similar(decoding *self)
{
    static const struct {
        const char *path;
        leat_kind kind;
    } fields[] = {{"a", LEAT_KIND_INT},   {"b", LEAT_KIND_DOUBLE},      {"c", LEAT_KIND_STRING},
                  {"o.p", LEAT_KIND_INT}, {"o.q[1]", LEAT_KIND_BIGINT}, {"l[1]", LEAT_KIND_INT}};
    leat_error error = {0};
    decoding_init(self);
    for (uint32_t i = 0; i < 6; i++)
        decoding_field(self, leat_arena_format(&self->arena, "f%u", i), leat_type_of(fields[i].kind), fields[i].path,
                       0);
    assert_int_equal(decoding_open(self, &leat_format_json_ops, NULL, &error), LEAT_OK);
}

static void test_shared_texts(void **state)
{
    (void)state;
    uint32_t known = 0;
    for (uint32_t round = 0; round < 200; round++) {
        decoding whole, plain;
        leat_writer text;
        open_similar(&whole);
        open_similar(&plain);
        ((leat_json_format *)plain.format)->shape.unusable = true;
        leat_writer_init(&text, d.env, 1 << 20);
        for (uint32_t i = 300; i > 0; i--)
            similar_row(&text);
        leat_write_u8(&text, 0);
        leat_raw raw = {.payload = {(const char *)text.bytes, text.size - 1}, .flags = LEAT_RAW_BLOCK | LEAT_RAW_LINES};
        decoding_raw(&whole, &raw, 1 + roll(300));
        decoding_raw(&plain, &raw, LEAT_BATCH_ROWS);
        known += ((leat_json_format *)whole.format)->shape.edge_count;
        const char *got = decoding_text(&whole), *wanted = decoding_text(&plain);
        for (const char *kind = "@!"; *kind; kind++) {
            char *a = lines_of(got, *kind), *b = lines_of(wanted, *kind);
            size_t at = 0;
            while (a[at] && a[at] == b[at])
                at++;
            while (at > 0 && a[at - 1] != '\n')
                at--;
            if (strcmp(a, b) != 0)
                fail_msg("round %u, %c: got%.200s\nwanted%.200s", round, *kind, a + at, b + at);
            free(a);
            free(b);
        }
        assert_true(whole.rows > 200);
        leat_writer_fini(&text);
        decoding_fini(&whole);
        decoding_fini(&plain);
    }
    assert_true(known > 200 * 20); // the short way was learnt at all
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_jansson), cmocka_unit_test(test_shared_texts)};
    decoding_init(&d);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    decoding_fini(&d);
    return failed;
}
