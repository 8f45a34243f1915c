#include "config/yaml/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "operators/base/calendar.h"
#include "operators/base/limits.h"
#include "operators/base/number.h"
#include "operators/base/suggest.h"

enum { MESSAGE = 400, NAMES_MAX = 256, FOUND = 80 };

// ---- names

const leat_setting *leat_settings_find(const leat_settings *table, leat_slice name)
{
    for (uint32_t i = 0; table && i < table->count; i++)
        if (leat_slice_is(name, table->items[i].name))
            return &table->items[i];
    return NULL;
}

const leat_yaml_node *leat_settings_node(const leat_yaml_node *mapping, const char *name)
{
    const char *dot = strchr(name, '.');
    if (!dot)
        return leat_yaml_find(mapping, name);
    int index = leat_yaml_index(mapping, leat_slice_of(name, (size_t)(dot - name)));
    return index < 0 ? NULL : leat_settings_node(mapping->pairs[index].value, dot + 1);
}

bool leat_settings_given(const leat_yaml_node *mapping, const char *name) { return leat_settings_node(mapping, name); }

const char *leat_settings_path(leat_arena *arena, const char *directory, leat_slice path)
{
    bool as_it_is = !path.size || path.data[0] == '/' || leat_slice_is(path, "-") || !*directory;
    return as_it_is ? leat_arena_copy(arena, path.data, path.size)
                    : leat_arena_format(arena, "%s/%.*s", directory, (int)path.size, path.data);
}

// ---- one value; a message is what was expected

typedef struct value {
    leat_settings_reader *reader;
    const leat_setting *setting;
    leat_slice text;
    void *member;
    char message[MESSAGE];
} value;

static bool expected(value *v, const char *format, ...) LEAT_PRINTF(2, 3);
static bool expected(value *v, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(v->message, sizeof v->message, format, arguments);
    va_end(arguments);
    return false;
}

static void print_limit(leat_setting_type type, double limit, char *out_text, size_t size)
{
    char duration[LEAT_TIMESTAMP_TEXT] = "";
    if (type == LEAT_SETTING_DURATION)
        leat_duration_print((int64_t)limit, duration);
    if (type == LEAT_SETTING_DURATION)
        snprintf(out_text, size, "%s", duration);
    else if (type == LEAT_SETTING_SIZE && limit >= 1048576 && limit < 1e15)
        snprintf(out_text, size, "%.15gMiB", limit / 1048576);
    else if (type == LEAT_SETTING_SIZE && limit >= 1024 && limit < 1e15)
        snprintf(out_text, size, "%.15gKiB", limit / 1024);
    else
        snprintf(out_text, size, "%.15g", limit);
}

static bool in_range(value *v, double number)
{
    const leat_setting *setting = v->setting;
    bool bounded = setting->minimum != 0 || setting->maximum != 0;
    bool above = setting->maximum < setting->minimum; // a minimum alone
    char least[64], most[64];
    if (!bounded || (number >= setting->minimum && (above || number <= setting->maximum)))
        return true;
    print_limit(setting->type, setting->minimum, least, sizeof least);
    print_limit(setting->type, setting->maximum, most, sizeof most);
    return above ? expected(v, "expected at least %s", least) : expected(v, "expected %s to %s", least, most);
}

static bool parse_integer(value *v)
{
    int64_t number;
    if (!leat_integer_parse(v->text, &number))
        return expected(v, "expected an integer");
    *(int64_t *)v->member = number;
    return in_range(v, (double)number);
}

static bool parse_number(value *v)
{
    double number;
    if (!leat_double_parse(v->text, &number) || number - number != 0)
        return expected(v, "expected a number");
    *(double *)v->member = number;
    return in_range(v, number);
}

static bool parse_boolean(value *v)
{
    bool yes = leat_slice_is(v->text, "true");
    if (!yes && !leat_slice_is(v->text, "false"))
        return expected(v, "expected true or false");
    *(bool *)v->member = yes;
    return true;
}

// A sign only where the setting's limits let one have a use.
static bool parse_duration(value *v)
{
    int64_t ms = 0;
    bool negative = v->setting->minimum < 0 && v->text.size && v->text.data[0] == '-';
    leat_slice text = leat_slice_of(v->text.data + negative, v->text.size - negative);
    if (!leat_slice_is(text, "0") && !leat_duration_parse(text, &ms))
        return expected(v, "expected a duration such as 500ms, 2s, 1m or 1h30m");
    ms = negative ? -ms : ms;
    *(int64_t *)v->member = ms;
    return in_range(v, (double)ms);
}

static bool parse_size(value *v)
{
    uint64_t bytes;
    if (!leat_size_parse(v->text, &bytes) || bytes > INT64_MAX)
        return expected(v, "expected a size such as 512kB, 64MiB or 1GiB");
    *(int64_t *)v->member = (int64_t)bytes;
    return in_range(v, (double)bytes);
}

static bool parse_choice(value *v)
{
    const char *const *choices = v->setting->choices;
    leat_slice names[NAMES_MAX];
    char list[MESSAGE / 2] = "", hint[128];
    uint32_t count = 0;
    for (; choices[count] && count < NAMES_MAX; count++) {
        names[count] = leat_slice_text(choices[count]);
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", count ? ", " : "", choices[count]);
        if (!leat_slice_is(v->text, choices[count]))
            continue;
        *(int32_t *)v->member = (int32_t)count;
        return true;
    }
    return expected(v, "expected one of %s%s", list, leat_suggest_text(v->text, names, count, hint));
}

static bool has_reference(leat_slice text)
{
    for (size_t i = 0; i + 1 < text.size; i++)
        if (text.data[i] == '$' && text.data[i + 1] == '{')
            return true;
    return false;
}

static bool parse_text(value *v)
{
    if (has_reference(v->text))
        return expected(v, "${..} is for secrets only; write the text itself here, or give it with --set");
    *(const char **)v->member = leat_arena_copy(v->reader->arena, v->text.data, v->text.size);
    return true;
}

static bool parse_path(value *v)
{
    if (has_reference(v->text))
        return expected(v, "${..} is for secrets only; write the path itself here, or give it with --set");
    if (!v->text.size)
        return expected(v, "expected a path");
    *(const char **)v->member = leat_settings_path(v->reader->arena, v->reader->directory, v->text);
    return true;
}

// ---- secrets

static bool secret_of_variable(value *v)
{
    leat_settings_reader *reader = v->reader;
    const char *name = leat_arena_copy(reader->arena, v->text.data + 2, v->text.size - 3);
    const char *secret = reader->variable ? reader->variable(name) : NULL;
    if (reader->variable && !secret)
        return expected(v, "the environment has no variable %s", name);
    if (secret)
        *(const char **)v->member = leat_arena_copy(reader->arena, secret, strlen(secret));
    return true;
}

static bool secret_of_file(value *v)
{
    leat_settings_reader *reader = v->reader;
    const char *path =
        leat_settings_path(reader->arena, reader->directory, leat_slice_of(v->text.data + 5, v->text.size - 5));
    char *text;
    size_t size;
    leat_error error;
    leat_file_stat stat;
    if (reader->secrets_unread)
        return reader->env->ops->path_stat(reader->env, path, &stat, &error) == LEAT_OK ||
                       error.code != LEAT_E_NOT_FOUND
                   ? true // who checks may not be allowed to look; who runs is
                   : expected(v, "the secret's file cannot be read: %s", error.message);
    if (leat_env_read_file(reader->env, path, reader->arena, LEAT_SECRET_BYTES_MAX, &text, &size, &error) != LEAT_OK)
        return expected(v, "the secret's file cannot be read: %s", error.message);
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        text[--size] = 0;
    if (memchr(text, 0, size))
        return expected(v, "the secret's file '%s' holds no text", path);
    *(const char **)v->member = text;
    return true;
}

static bool parse_secret(value *v)
{
    leat_slice text = v->text;
    *(const char **)v->member = leat_arena_copy(v->reader->arena, text.data, text.size);
    if (text.size > 3 && !memcmp(text.data, "${", 2) && text.data[text.size - 1] == '}')
        return secret_of_variable(v);
    if (text.size > 5 && !memcmp(text.data, "file:", 5))
        return secret_of_file(v);
    leat_report_hide(v->reader->report, text);
    return has_reference(text) ? expected(v, "${NAME} has to be the whole value") : true;
}

static bool parse_one(value *v)
{
    switch (v->setting->type) {
    case LEAT_SETTING_TEXT:
    case LEAT_SETTING_EXPRESSION:
    case LEAT_SETTING_TEXT_LIST:
        return parse_text(v);
    case LEAT_SETTING_SECRET:
        return parse_secret(v);
    case LEAT_SETTING_PATH:
        return parse_path(v);
    case LEAT_SETTING_INTEGER:
    case LEAT_SETTING_INTEGER_LIST:
        return parse_integer(v);
    case LEAT_SETTING_NUMBER:
        return parse_number(v);
    case LEAT_SETTING_BOOLEAN:
        return parse_boolean(v);
    case LEAT_SETTING_DURATION:
        return parse_duration(v);
    case LEAT_SETTING_SIZE:
        return parse_size(v);
    case LEAT_SETTING_CHOICE:
        return parse_choice(v);
    }
    return expected(v, "no value is known for it");
}

// ---- reading nodes

static void refuse(value *v, const leat_yaml_node *node)
{
    bool own_words = strncmp(v->message, "expected", 8) != 0;
    bool hidden = v->setting->type == LEAT_SETTING_SECRET || own_words;
    int size = v->text.size > FOUND ? FOUND : (int)v->text.size;
    char *comma = strstr(v->message, " (did you mean");
    if (hidden)
        leat_report_error(v->reader->report, node, "key '%s': %s", v->setting->name, v->message);
    else if (comma)
        leat_report_error(v->reader->report, node, "key '%s': %.*s, found '%.*s'%s", v->setting->name,
                          (int)(comma - v->message), v->message, size, v->text.data, comma);
    else
        leat_report_error(v->reader->report, node, "key '%s': %s, found '%.*s'", v->setting->name, v->message, size,
                          v->text.data);
}

static bool read_scalar(value *v, const leat_yaml_node *node)
{
    if (node->kind != LEAT_YAML_SCALAR) {
        leat_report_error(v->reader->report, node, "key '%s': expected a single value, found %s", v->setting->name,
                          leat_yaml_kind_text(node));
        return false;
    }
    v->text = node->text;
    if (leat_yaml_is_null(node)) {
        leat_report_error(v->reader->report, node, "key '%s' has no value", v->setting->name);
        return false;
    }
    bool good = !memchr(node->text.data, 0, node->text.size) ? parse_one(v) : expected(v, "a text cannot hold a NUL");
    if (!good)
        refuse(v, node);
    return good;
}

static bool read_list(value *v, const leat_yaml_node *node)
{
    bool texts = v->setting->type == LEAT_SETTING_TEXT_LIST, good = true;
    bool sequence = node->kind == LEAT_YAML_SEQUENCE;
    uint32_t count = sequence ? node->count : 1;
    const char **text_items = leat_arena_array(v->reader->arena, const char *, count + 1);
    int64_t *integer_items = leat_arena_array(v->reader->arena, int64_t, count + 1);
    void *list = v->member;
    for (uint32_t i = 0; i < count; i++) {
        v->member = texts ? (void *)&text_items[i] : (void *)&integer_items[i];
        good &= read_scalar(v, sequence ? node->items[i] : node);
    }
    if (texts)
        *(leat_text_list *)list = (leat_text_list){text_items, count};
    else
        *(leat_integer_list *)list = (leat_integer_list){integer_items, count};
    return good;
}

static bool is_list(const leat_setting *setting)
{
    return setting->type == LEAT_SETTING_TEXT_LIST || setting->type == LEAT_SETTING_INTEGER_LIST;
}

// "[]" is the one list that a table may give as a default, beside a single value.
static void set_default(leat_settings_reader *reader, const leat_setting *setting, uint8_t *out)
{
    value v = {.reader = reader,
               .setting = setting,
               .text = leat_slice_text(setting->default_text),
               .member = out + setting->offset};
    if (!setting->default_text || (is_list(setting) && !strcmp(setting->default_text, "[]")))
        return;
    if (!is_list(setting)) {
        LEAT_ASSERT(parse_one(&v));
        return;
    }
    leat_yaml_node node = {.kind = LEAT_YAML_SCALAR, .style = LEAT_YAML_DOUBLE, .text = v.text};
    LEAT_ASSERT(read_list(&v, &node));
}

static bool read_setting(leat_settings_reader *reader, const leat_setting *setting, const leat_yaml_node *mapping,
                         const leat_yaml_node *place, uint8_t *out)
{
    const leat_yaml_node *node = leat_settings_node(mapping, setting->name);
    value v = {.reader = reader, .setting = setting, .member = out + setting->offset};
    if (node)
        return is_list(setting) ? read_list(&v, node) : read_scalar(&v, node);
    if (!setting->required)
        return true;
    leat_report_error(reader->report, place, "missing key '%s': %s", setting->name, setting->text ? setting->text : "");
    return false;
}

bool leat_settings_read(leat_settings_reader *reader, const leat_settings *table, const leat_yaml_node *mapping,
                        const leat_yaml_node *place, void *out)
{
    bool good = true;
    for (uint32_t i = 0; i < table->count; i++) {
        set_default(reader, &table->items[i], out);
        good &= read_setting(reader, &table->items[i], mapping, place, out);
    }
    return good;
}

// ---- unknown keys

typedef struct level { // what may stand in one mapping
    leat_slice names[NAMES_MAX];
    bool inner[NAMES_MAX]; // has keys of its own
    uint32_t count;
} level;

static void level_add(level *l, leat_slice name, bool inner)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (leat_slice_equal(l->names[i], name)) {
            l->inner[i] |= inner;
            return;
        }
    if (l->count == NAMES_MAX)
        return;
    l->names[l->count] = name;
    l->inner[l->count++] = inner;
}

static void level_add_setting(level *l, const char *name, leat_slice prefix)
{
    size_t size = strlen(name);
    if (prefix.size) {
        if (size <= prefix.size || memcmp(name, prefix.data, prefix.size) || name[prefix.size] != '.')
            return;
        name += prefix.size + 1;
    }
    const char *dot = strchr(name, '.');
    level_add(l, dot ? leat_slice_of(name, (size_t)(dot - name)) : leat_slice_text(name), dot);
}

static void level_fill(level *l, const leat_settings_known *known, leat_slice prefix)
{
    l->count = 0;
    memset(l->inner, 0, sizeof l->inner);
    for (uint32_t t = 0; t < known->table_count; t++)
        for (uint32_t i = 0; known->tables[t] && i < known->tables[t]->count; i++)
            level_add_setting(l, known->tables[t]->items[i].name, prefix);
    for (uint32_t i = 0; !prefix.size && known->others && known->others[i]; i++)
        level_add(l, leat_slice_text(known->others[i]), false);
}

static int level_find(const level *l, leat_slice key)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (leat_slice_equal(l->names[i], key))
            return (int)i;
    return -1;
}

bool leat_settings_knows(const leat_settings_known *known, leat_slice key)
{
    level l;
    level_fill(&l, known, (leat_slice){0});
    return level_find(&l, key) >= 0;
}

static bool check_level(leat_settings_reader *reader, const leat_yaml_node *mapping, const level *l)
{
    char hint[128];
    for (uint32_t i = 0; i < mapping->count; i++) {
        leat_slice key = mapping->pairs[i].key->text;
        if (level_find(l, key) < 0)
            leat_report_error(reader->report, mapping->pairs[i].key, "unknown key '%.60s'%s", key.data,
                              leat_suggest_text(key, l->names, l->count, hint));
    }
    return true;
}

void leat_settings_unknown(leat_settings_reader *reader, const leat_yaml_node *mapping,
                           const leat_settings_known *known)
{
    level outer, inner;
    if (!mapping || mapping->kind != LEAT_YAML_MAPPING)
        return;
    level_fill(&outer, known, (leat_slice){0});
    check_level(reader, mapping, &outer);
    for (uint32_t i = 0; i < mapping->count; i++) {
        const leat_yaml_node *below = mapping->pairs[i].value;
        int found = level_find(&outer, mapping->pairs[i].key->text);
        if (found < 0 || !outer.inner[found])
            continue;
        level_fill(&inner, known, outer.names[found]);
        LEAT_ASSERT(inner.count > 0); // outer.inner[found] says so
        if (below->kind == LEAT_YAML_MAPPING)
            check_level(reader, below, &inner);
        else
            leat_report_error(reader->report, below, "key '%s': expected a mapping such as { %.*s: .. }, found %s",
                              mapping->pairs[i].key->text.data, (int)inner.names[0].size, inner.names[0].data,
                              leat_yaml_kind_text(below));
    }
}

// ---- for the manual

static const char *choice_text(leat_arena *arena, const leat_setting *setting)
{
    const char *text = "one of";
    for (uint32_t i = 0; setting->choices[i]; i++)
        text = leat_arena_format(arena, "%s%s `%s`", text, i ? "," : "", setting->choices[i]);
    return text;
}

const char *leat_setting_type_text(leat_arena *arena, const leat_setting *setting)
{
    static const char *const names[] = {
        [LEAT_SETTING_TEXT] = "text",
        [LEAT_SETTING_SECRET] = "secret",
        [LEAT_SETTING_PATH] = "path",
        [LEAT_SETTING_INTEGER] = "integer",
        [LEAT_SETTING_NUMBER] = "number",
        [LEAT_SETTING_BOOLEAN] = "boolean",
        [LEAT_SETTING_DURATION] = "duration",
        [LEAT_SETTING_SIZE] = "size",
        [LEAT_SETTING_TEXT_LIST] = "texts",
        [LEAT_SETTING_INTEGER_LIST] = "integers",
        [LEAT_SETTING_EXPRESSION] = "SQL expression",
    };
    char least[64], most[64];
    if (setting->type == LEAT_SETTING_CHOICE)
        return choice_text(arena, setting);
    if (setting->minimum == 0 && setting->maximum == 0)
        return names[setting->type];
    print_limit(setting->type, setting->minimum, least, sizeof least);
    print_limit(setting->type, setting->maximum, most, sizeof most);
    return setting->maximum < setting->minimum
               ? leat_arena_format(arena, "%s, at least %s", names[setting->type], least)
               : leat_arena_format(arena, "%s, %s to %s", names[setting->type], least, most);
}
