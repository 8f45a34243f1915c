// PCRE2 with all of its memory in arenas. JIT stays off: it needs pages that are writable and executable.
#include "operators/expr/regex.h"

#include <stdio.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "operators/base/limits.h"
#include "operators/expr/utf8.h"

enum { NESTING_MAX = 100, TRANSLATED_MAX = LEAT_REGEX_PATTERN_MAX * 8 };

struct leat_regex {
    pcre2_code *code;
    uint32_t groups;
};

struct leat_matcher {
    const leat_regex *regex;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    const size_t *offsets;
    uint32_t set; // groups that the last match has offsets of
};

static void *arena_take(PCRE2_SIZE size, void *arena) { return leat_arena_alloc(arena, size); }

static void arena_keep(void *memory, void *arena)
{
    (void)memory;
    (void)arena;
}

// -- from Java's and SQL's notation to PCRE2's

typedef struct translation {
    leat_slice pattern;
    size_t at;
    leat_writer *out;
    bool in_class;
    const char *refused;
} translation;

// Java's names of ASCII classes; PCRE2 knows them between [: and :] only.
static const char *posix_class(leat_slice name)
{
    static const char *const names[][2] = {
        {"Alpha", "alpha"}, {"Digit", "digit"}, {"Alnum", "alnum"}, {"Lower", "lower"},
        {"Upper", "upper"}, {"Punct", "punct"}, {"Graph", "graph"}, {"Print", "print"},
        {"Blank", "blank"}, {"Cntrl", "cntrl"}, {"Space", "space"}, {"XDigit", "xdigit"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (leat_slice_is(name, names[i][0]))
            return names[i][1];
    return NULL;
}

// \p{Alpha} and \P{Alpha}; others are Unicode properties, which both write alike.
static bool translate_property(translation *t)
{
    const char *rest = t->pattern.data + t->at;
    size_t left = t->pattern.size - t->at;
    const char *close = left > 3 && rest[2] == '{' ? memchr(rest, '}', left) : NULL;
    const char *name = close ? posix_class(leat_slice_of(rest + 3, (size_t)(close - rest) - 3)) : NULL;
    if (!name)
        return false;
    const char *not = rest[1] == 'P' ? "^" : "";
    leat_write_format(t->out, t->in_class ? "[:%s%s:]" : "[[:%s%s:]]", not, name);
    t->at += (size_t)(close - rest) + 1;
    return true;
}

static bool is_hexadecimal(leat_slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!strchr("0123456789abcdefABCDEF", text.data[i]))
            return false;
    return true;
}

static void translate_escape(translation *t)
{
    const char *rest = t->pattern.data + t->at;
    size_t left = t->pattern.size - t->at;
    if (left > 5 && rest[1] == 'u' && is_hexadecimal(leat_slice_of(rest + 2, 4))) {
        leat_write_format(t->out, "\\x{%.4s}", rest + 2);
        t->at += 6;
        return;
    }
    if (left > 1 && rest[1] == 'Q') { // quoted text keeps its backslashes
        const char *end = memmem(rest, left, "\\E", 2);
        size_t size = end ? (size_t)(end - rest) + 2 : left;
        leat_write_bytes(t->out, rest, size);
        t->at += size;
        return;
    }
    if (left > 1 && (rest[1] == 'p' || rest[1] == 'P') && translate_property(t))
        return;
    leat_write_bytes(t->out, rest, left > 1 ? 2 : 1);
    t->at += left > 1 ? 2 : 1;
}

static void translate_java(translation *t)
{
    while (t->at < t->pattern.size) {
        char c = t->pattern.data[t->at];
        bool pair = t->at + 1 < t->pattern.size && t->pattern.data[t->at + 1] == c;
        if (c == '\\') {
            translate_escape(t);
            continue;
        }
        if (c == '[' && t->in_class)
            t->refused = "a class within a class ([a[b]]) is Java's alone; write it as one class";
        if (c == '&' && pair && t->in_class)
            t->refused = "an intersection of classes (&&) is Java's alone; use a lookahead, (?=[a-z])[^b]";
        if (c == '[')
            t->in_class = true;
        else if (c == ']')
            t->in_class = false;
        leat_write_u8(t->out, (uint8_t)c);
        t->at++;
    }
}

// Of SQL: | * + ? {m,n} ( ) [ ] and . as in Java, % any text, _ a character; everything else is itself.
static void translate_similar(translation *t, int escape)
{
    leat_write_text(t->out, "\\A(?s:");
    for (; t->at < t->pattern.size; t->at++) {
        char c = t->pattern.data[t->at];
        if ((unsigned char)c == escape && t->at + 1 < t->pattern.size) {
            c = t->pattern.data[++t->at];
            if (strchr("\\^$.|?*+()[]{}", c))
                leat_write_u8(t->out, '\\');
            leat_write_u8(t->out, (uint8_t)c);
            continue;
        }
        if (c == '[')
            t->in_class = true;
        else if (c == ']')
            t->in_class = false;
        if (t->in_class && c == '\\')
            leat_write_text(t->out, "\\\\");
        else if (t->in_class)
            leat_write_u8(t->out, (uint8_t)c);
        else if (c == '%')
            leat_write_text(t->out, ".*");
        else if (c == '_')
            leat_write_u8(t->out, '.');
        else if (strchr("\\^$", c))
            leat_write_format(t->out, "\\%c", c);
        else
            leat_write_u8(t->out, (uint8_t)c);
    }
    leat_write_text(t->out, ")\\z");
}

// -- compiling

static pcre2_code *compiled(leat_arena *arena, leat_slice text, char out_error[LEAT_REGEX_ERROR])
{
    int code;
    PCRE2_SIZE at;
    char message[LEAT_REGEX_ERROR - 40];
    pcre2_general_context *memory = pcre2_general_context_create(arena_take, arena_keep, arena);
    pcre2_compile_context *context = pcre2_compile_context_create(memory);
    pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
    pcre2_set_parens_nest_limit(context, NESTING_MAX);
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *made = pcre2_compile((PCRE2_SPTR)(text.data ? text.data : ""), text.size, options, &code, &at, context);
    if (made)
        return made;
    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
    snprintf(out_error, LEAT_REGEX_ERROR, "%s (at character %zu)", message, at < text.size ? at + 1 : text.size);
    return NULL;
}

const leat_regex *leat_regex_compile(leat_arena *arena, leat_slice pattern, leat_regex_form form, int escape,
                                     char out_error[LEAT_REGEX_ERROR])
{
    leat_writer writer;
    translation t = {.pattern = pattern, .out = &writer};
    out_error[0] = 0;
    if (pattern.size > LEAT_REGEX_PATTERN_MAX) {
        snprintf(out_error, LEAT_REGEX_ERROR, "it is longer than %d bytes", LEAT_REGEX_PATTERN_MAX);
        return NULL;
    }
    leat_writer_init(&writer, arena->env, TRANSLATED_MAX);
    if (form == LEAT_REGEX_SIMILAR)
        translate_similar(&t, escape);
    else
        translate_java(&t);
    if (writer.failed)
        t.refused = "it is too long";
    pcre2_code *code = t.refused ? NULL : compiled(arena, leat_writer_slice(&writer), out_error);
    if (t.refused)
        snprintf(out_error, LEAT_REGEX_ERROR, "%s", t.refused);
    leat_writer_fini(&writer);
    if (!code)
        return NULL;
    leat_regex *regex = leat_arena_new(arena, leat_regex);
    regex->code = code;
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &regex->groups);
    return regex;
}

// -- matching

leat_matcher *leat_matcher_begin(leat_arena *arena, const leat_regex *regex)
{
    leat_matcher *matcher = leat_arena_new(arena, leat_matcher);
    pcre2_general_context *memory = pcre2_general_context_create(arena_take, arena_keep, arena);
    matcher->regex = regex;
    matcher->match = pcre2_match_data_create_from_pattern(regex->code, memory);
    matcher->limits = pcre2_match_context_create(memory);
    pcre2_set_match_limit(matcher->limits, LEAT_REGEX_STEPS_MAX);
    pcre2_set_heap_limit(matcher->limits, LEAT_REGEX_MEMORY_KB);
    matcher->offsets = pcre2_get_ovector_pointer(matcher->match);
    return matcher;
}

leat_regex_found leat_matcher_find(leat_matcher *matcher, leat_slice text, size_t from)
{
    const char *data = text.data ? text.data : "";
    int found =
        pcre2_match(matcher->regex->code, (PCRE2_SPTR)data, text.size, from, 0, matcher->match, matcher->limits);
    matcher->set = found > 0 ? (uint32_t)found : 0;
    if (found > 0)
        return LEAT_REGEX_FOUND;
    return found == PCRE2_ERROR_NOMATCH ? LEAT_REGEX_NONE : LEAT_REGEX_TOO_LONG;
}

bool leat_matcher_group(const leat_matcher *matcher, uint32_t group, size_t *out_begin, size_t *out_end)
{
    if (group >= matcher->set || matcher->offsets[2 * group] == PCRE2_UNSET)
        return false;
    *out_begin = matcher->offsets[2 * group];
    *out_end = matcher->offsets[2 * group + 1];
    // \K in a lookahead can put the begin behind the end.
    if (*out_begin > *out_end)
        *out_begin = *out_end;
    return true;
}

uint32_t leat_matcher_groups(const leat_matcher *matcher) { return matcher->regex->groups; }

size_t leat_matcher_next(const leat_matcher *matcher, leat_slice text)
{
    size_t begin = 0, end = text.size;
    leat_matcher_group(matcher, 0, &begin, &end);
    if (end > begin)
        return end;
    return end < text.size ? end + leat_utf8_size(text.data + end, text.size - end) : text.size + 1;
}
