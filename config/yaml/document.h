// A YAML text as a tree in which every value knows the bytes that it was written with.
//
// Usage: leat_yaml_parse, then leat_yaml_find and the pairs and items of nodes; leat_yaml_value_offset says where in the text a
// character of a scalar's value stands, for blocks (`|`, `>`) and quoted texts too, so that an error in SQL has a line of the file.
//
// Supported: block and flow style, all scalar styles, anchors, aliases and `<<` merges. Refused with a place: duplicate keys, keys
// that are no plain texts, tags, several documents, tabs as indentation, bytes that are not UTF-8.
//
// Ownership: tree and text copies in the arena given; `text` and `path` are borrowed for as long. Threads: one. Failure:
// leat_yaml_parse returns NULL after reporting. Limits: below; exceeding one is reported at the place where it happens.
#pragma once

#include "config/plan.h"

enum {
    LEAT_YAML_BYTES_MAX = 4 << 20,
    LEAT_YAML_DEPTH_MAX = 64,
    LEAT_YAML_NODES_MAX = 100000, // aliases count as what they stand for
};

typedef enum leat_yaml_kind { LEAT_YAML_SCALAR, LEAT_YAML_MAPPING, LEAT_YAML_SEQUENCE } leat_yaml_kind;
typedef enum leat_yaml_style {
    LEAT_YAML_PLAIN,
    LEAT_YAML_SINGLE,
    LEAT_YAML_DOUBLE,
    LEAT_YAML_LITERAL,
    LEAT_YAML_FOLDED
} leat_yaml_style;

typedef struct leat_yaml_document leat_yaml_document;
typedef struct leat_yaml_node leat_yaml_node;
typedef struct leat_yaml_pair {
    const leat_yaml_node *key, *value;
} leat_yaml_pair;

struct leat_yaml_node {
    leat_yaml_kind kind;
    leat_yaml_style style;
    uint32_t offset, end; // bytes of the text
    uint32_t weight;      // nodes below, aliases expanded, and itself
    const leat_yaml_document *document;
    leat_slice text; // SCALAR: the value, terminated
    uint32_t count;
    union {
        const leat_yaml_pair *pairs;        // MAPPING
        const leat_yaml_node *const *items; // SEQUENCE
    };
};

struct leat_yaml_document {
    const char *path;
    leat_slice text;
    const leat_yaml_node *root; // NULL: empty
};

// Where diagnostics go.
typedef struct leat_report leat_report;

const leat_yaml_document *leat_yaml_parse(leat_arena *arena, const char *path, leat_slice text, leat_report *report);

const leat_yaml_node *leat_yaml_find(const leat_yaml_node *mapping, const char *key); // NULL: none, or no mapping
// Index of the pair, -1: none.
int leat_yaml_index(const leat_yaml_node *mapping, leat_slice key);
bool leat_yaml_is_null(const leat_yaml_node *node);          // absent, empty, ~ or null, not quoted
const char *leat_yaml_kind_text(const leat_yaml_node *node); // "a mapping", "a list", "a text", "nothing"

// Offset in the document's text of byte `offset` of a scalar's value; white space that was folded away counts to what is before it.
uint32_t leat_yaml_value_offset(const leat_yaml_node *scalar, uint32_t offset);
