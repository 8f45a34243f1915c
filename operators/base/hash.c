#include "operators/base/hash.h"

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

uint64_t leat_hash(const void *bytes, size_t size) { return XXH3_64bits(bytes, size); }

uint64_t leat_hash_seeded(const void *bytes, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, size, seed);
}
