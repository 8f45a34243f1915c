// Regular expressions: PCRE2 behind the few calls that the functions need, reading patterns as Java writes them.
//
// Usage: compile a pattern, begin a matcher for a run of texts, then find from an offset on.
// Ownership: a pattern lies in its arena, a matcher in another one (the evaluator's scratch); nothing is given back singly.
// Threads: a pattern any, a matcher one. Failure: a pattern that is none, or that PCRE2 reads otherwise than Java, is refused with a
// reason; a search that takes too many steps (a pattern like (a+)+b) gives LEAT_REGEX_TOO_LONG instead of running on.
// Limits: patterns of LEAT_REGEX_PATTERN_MAX bytes, LEAT_REGEX_STEPS_MAX steps and LEAT_REGEX_MEMORY_KB of memory a search.
#pragma once

#include "operators/base/bytes.h"

enum {
    LEAT_REGEX_PATTERN_MAX = 4096,
    LEAT_REGEX_STEPS_MAX = 200000,
    LEAT_REGEX_MEMORY_KB = 512,
    LEAT_REGEX_ERROR = 160,
};

typedef struct leat_regex leat_regex;
typedef struct leat_matcher leat_matcher;

typedef enum leat_regex_form {
    LEAT_REGEX_JAVA,
    LEAT_REGEX_SIMILAR, // SQL's SIMILAR TO: % and _, the whole text
} leat_regex_form;

// NULL when it is none; the reason in out_error. `escape` of SIMILAR TO, -1: none.
const leat_regex *leat_regex_compile(leat_arena *arena, leat_slice pattern, leat_regex_form form, int escape,
                                     char out_error[LEAT_REGEX_ERROR]);

typedef enum leat_regex_found { LEAT_REGEX_NONE, LEAT_REGEX_FOUND, LEAT_REGEX_TOO_LONG } leat_regex_found;

leat_matcher *leat_matcher_begin(leat_arena *arena, const leat_regex *regex);
// The first match that begins at byte `from` or later.
leat_regex_found leat_matcher_find(leat_matcher *matcher, leat_slice text, size_t from);
// Of the last match: begin and end of a group; false when the group took no part.
bool leat_matcher_group(const leat_matcher *matcher, uint32_t group, size_t *out_begin, size_t *out_end);
uint32_t leat_matcher_groups(const leat_matcher *matcher); // of its pattern, without group 0
// Where the search for the next match goes on: behind this one, and a character further when it is empty. Past the text's size: nowhere.
size_t leat_matcher_next(const leat_matcher *matcher, leat_slice text);
