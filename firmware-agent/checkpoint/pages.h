// Looks at the pages of an LMDB 0.9 file without LMDB, which trusts them: a page header that is wrong in a place that reading does not
// touch makes LMDB write outside of its buffers later.
//
// Usage: leat_pages_check before the file is opened for writing. Everything that is reachable from the newest meta page is read once.
// Checked are: numbers and kinds of pages, bounds and sizes of nodes, order of keys, the counts of every tree, and that the free list
// names only pages that nobody uses, each once.
//
// Threads: any, with no write transaction open. Failure: LEAT_E_CORRUPT says which page; LEAT_E_IO, LEAT_E_MEMORY.
#pragma once

#include "operators/base/env.h"

LEAT_MUST_CHECK leat_code leat_pages_check(leat_env *env, const char *path, leat_error *out_error);
