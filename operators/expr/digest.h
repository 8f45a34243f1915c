// MD5 (RFC 1321), SHA-1 and SHA-2 (FIPS 180-4) of a whole text, for the functions of that name; not meant to guard anything.
#pragma once

#include "operators/base/bytes.h"

enum { LEAT_DIGEST_MAX = 64 };

typedef enum leat_digest {
    LEAT_DIGEST_MD5,
    LEAT_DIGEST_SHA1,
    LEAT_DIGEST_SHA224,
    LEAT_DIGEST_SHA256,
    LEAT_DIGEST_SHA384,
    LEAT_DIGEST_SHA512,
} leat_digest;

// Gives the size of the digest in bytes.
size_t leat_digest_make(leat_digest digest, leat_slice text, uint8_t out_bytes[LEAT_DIGEST_MAX]);
