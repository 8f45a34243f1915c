// "did you mean": the nearest known name by edit distance.
#pragma once

#include "operators/base/bytes.h"

// Index of the candidate nearest to name (Damerau-Levenshtein distance at most 1 + length/3), or -1.
int leat_suggest(leat_slice name, const leat_slice *candidates, size_t count);
// "" or " (did you mean 'temperature'?)" into out_text.
const char *leat_suggest_text(leat_slice name, const leat_slice *candidates, size_t count, char out_text[128]);
