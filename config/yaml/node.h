// A value of a YAML document, with the bytes that it was written with, and how one looks into it.
//
// Usage: leat_yaml_find and the pairs and items of nodes; leat_yaml_value_offset says where in the text a character of a scalar's
// value stands, for blocks (`|`, `>`) and quoted texts too, so that an error in SQL has a line of the file.
//
// Ownership: the document's arena. Threads: any, read-only. Failure: none; what is not there is NULL or -1.
#pragma once

#include "operators/base/bytes.h"

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

const leat_yaml_node *leat_yaml_find(const leat_yaml_node *mapping, const char *key); // NULL: none, or no mapping
// Index of the pair, -1: none.
int leat_yaml_index(const leat_yaml_node *mapping, leat_slice key);
bool leat_yaml_is_null(const leat_yaml_node *node);          // absent, empty, ~ or null, not quoted
const char *leat_yaml_kind_text(const leat_yaml_node *node); // "a mapping", "a list", "a text", "nothing"

// Offset in the document's text of byte `offset` of a scalar's value; white space that was folded away counts to what is before it.
uint32_t leat_yaml_value_offset(const leat_yaml_node *scalar, uint32_t offset);
