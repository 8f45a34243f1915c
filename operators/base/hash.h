// The one hash of leat: XXH3, 64 bits. Its values are part of stored formats (key groups, result ids): never change it.
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t leat_hash(const void *bytes, size_t size);
uint64_t leat_hash_seeded(const void *bytes, size_t size, uint64_t seed);
// A good mix of one 64-bit word (murmur3 finaliser), for tables in memory and for chaining hashes; never 0 in, 0 out matters.
static inline uint64_t leat_hash_mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
}
static inline uint64_t leat_hash_combine(uint64_t a, uint64_t b)
{
    return leat_hash_mix(a ^ (b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2)));
}
