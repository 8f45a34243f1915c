// A YAML text as a tree in which every value knows the bytes that it was written with (node.h says how one looks into it).
//
// Supported: block and flow style, all scalar styles, anchors, aliases and `<<` merges. Refused with a place: duplicate keys, keys
// that are no plain texts, tags, several documents, tabs as indentation, bytes that are not UTF-8.
//
// Ownership: tree and text copies in the arena given; `text` and `path` are borrowed for as long. Threads: one. Failure:
// leat_yaml_parse returns NULL after reporting. Limits: below; exceeding one is reported at the place where it happens.
#pragma once

#include "config/yaml/report.h"

enum {
    LEAT_YAML_BYTES_MAX = 4 << 20,
    LEAT_YAML_DEPTH_MAX = 64,
    LEAT_YAML_NODES_MAX = 100000, // aliases count as what they stand for
};

const leat_yaml_document *leat_yaml_parse(leat_arena *arena, const char *path, leat_slice text, leat_report *report);
