#include "operators/base/suggest.h"

#include <stdio.h>
#include <string.h>

#include "operators/base/limits.h"

static unsigned char fold(char c) { return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); }

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

// Optimal string alignment: insert, delete, replace, and swap of neighbours. Letters of both cases are equal, because SQL
// in capitals is the commonest way to miss a name. Both sizes are below LEAT_NAME_SIZE.
static unsigned distance(leat_slice a, leat_slice b)
{
    unsigned rows[3][LEAT_NAME_SIZE];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.size; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= a.size; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.size; j++) {
            unsigned replaced = above[j - 1] + (fold(a.data[i - 1]) != fold(b.data[j - 1]));
            row[j] = least(replaced, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && fold(a.data[i - 1]) == fold(b.data[j - 2]) &&
                fold(a.data[i - 2]) == fold(b.data[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *reused = before;
        before = above;
        above = row;
        row = reused;
    }
    return above[b.size];
}

int leat_suggest(leat_slice name, const leat_slice *candidates, size_t count)
{
    if (name.size == 0 || name.size >= LEAT_NAME_SIZE)
        return -1;
    unsigned best = 2 + (unsigned)name.size / 3;
    int found = -1;
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].size == 0 || candidates[i].size >= LEAT_NAME_SIZE)
            continue;
        unsigned d = distance(name, candidates[i]);
        if (d < best) {
            best = d;
            found = (int)i;
        }
    }
    return found;
}

const char *leat_suggest_text(leat_slice name, const leat_slice *candidates, size_t count, char out_text[128])
{
    int found = leat_suggest(name, candidates, count);
    out_text[0] = 0;
    if (found >= 0)
        snprintf(out_text, 128, " (did you mean '%.*s'?)", (int)candidates[found].size, candidates[found].data);
    return out_text;
}
