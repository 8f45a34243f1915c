// Blocks of 64 bytes (MD5, SHA-1, SHA-256) or 128 (SHA-512), the length behind the text.
#include "operators/expr/digest.h"

#include <string.h>

static const uint32_t sines[] = {
    0xd76aa478u, 0xe8c7b756u, 0x242070dbu, 0xc1bdceeeu, 0xf57c0fafu, 0x4787c62au, 0xa8304613u, 0xfd469501u,
    0x698098d8u, 0x8b44f7afu, 0xffff5bb1u, 0x895cd7beu, 0x6b901122u, 0xfd987193u, 0xa679438eu, 0x49b40821u,
    0xf61e2562u, 0xc040b340u, 0x265e5a51u, 0xe9b6c7aau, 0xd62f105du, 0x02441453u, 0xd8a1e681u, 0xe7d3fbc8u,
    0x21e1cde6u, 0xc33707d6u, 0xf4d50d87u, 0x455a14edu, 0xa9e3e905u, 0xfcefa3f8u, 0x676f02d9u, 0x8d2a4c8au,
    0xfffa3942u, 0x8771f681u, 0x6d9d6122u, 0xfde5380cu, 0xa4beea44u, 0x4bdecfa9u, 0xf6bb4b60u, 0xbebfbc70u,
    0x289b7ec6u, 0xeaa127fau, 0xd4ef3085u, 0x04881d05u, 0xd9d4d039u, 0xe6db99e5u, 0x1fa27cf8u, 0xc4ac5665u,
    0xf4292244u, 0x432aff97u, 0xab9423a7u, 0xfc93a039u, 0x655b59c3u, 0x8f0ccc92u, 0xffeff47du, 0x85845dd1u,
    0x6fa87e4fu, 0xfe2ce6e0u, 0xa3014314u, 0x4e0811a1u, 0xf7537e82u, 0xbd3af235u, 0x2ad7d2bbu, 0xeb86d391u,
};

// Fractions of the cube roots of the first primes; SHA-256 takes the upper halves.
static const uint64_t roots[] = {
    0x428a2f98d728ae22u, 0x7137449123ef65cdu, 0xb5c0fbcfec4d3b2fu, 0xe9b5dba58189dbbcu, 0x3956c25bf348b538u,
    0x59f111f1b605d019u, 0x923f82a4af194f9bu, 0xab1c5ed5da6d8118u, 0xd807aa98a3030242u, 0x12835b0145706fbeu,
    0x243185be4ee4b28cu, 0x550c7dc3d5ffb4e2u, 0x72be5d74f27b896fu, 0x80deb1fe3b1696b1u, 0x9bdc06a725c71235u,
    0xc19bf174cf692694u, 0xe49b69c19ef14ad2u, 0xefbe4786384f25e3u, 0x0fc19dc68b8cd5b5u, 0x240ca1cc77ac9c65u,
    0x2de92c6f592b0275u, 0x4a7484aa6ea6e483u, 0x5cb0a9dcbd41fbd4u, 0x76f988da831153b5u, 0x983e5152ee66dfabu,
    0xa831c66d2db43210u, 0xb00327c898fb213fu, 0xbf597fc7beef0ee4u, 0xc6e00bf33da88fc2u, 0xd5a79147930aa725u,
    0x06ca6351e003826fu, 0x142929670a0e6e70u, 0x27b70a8546d22ffcu, 0x2e1b21385c26c926u, 0x4d2c6dfc5ac42aedu,
    0x53380d139d95b3dfu, 0x650a73548baf63deu, 0x766a0abb3c77b2a8u, 0x81c2c92e47edaee6u, 0x92722c851482353bu,
    0xa2bfe8a14cf10364u, 0xa81a664bbc423001u, 0xc24b8b70d0f89791u, 0xc76c51a30654be30u, 0xd192e819d6ef5218u,
    0xd69906245565a910u, 0xf40e35855771202au, 0x106aa07032bbd1b8u, 0x19a4c116b8d2d0c8u, 0x1e376c085141ab53u,
    0x2748774cdf8eeb99u, 0x34b0bcb5e19b48a8u, 0x391c0cb3c5c95a63u, 0x4ed8aa4ae3418acbu, 0x5b9cca4f7763e373u,
    0x682e6ff3d6b2b8a3u, 0x748f82ee5defb2fcu, 0x78a5636f43172f60u, 0x84c87814a1f0ab72u, 0x8cc702081a6439ecu,
    0x90befffa23631e28u, 0xa4506cebde82bde9u, 0xbef9a3f7b2c67915u, 0xc67178f2e372532bu, 0xca273eceea26619cu,
    0xd186b8c721c0c207u, 0xeada7dd6cde0eb1eu, 0xf57d4f7fee6ed178u, 0x06f067aa72176fbau, 0x0a637dc5a2c898a6u,
    0x113f9804bef90daeu, 0x1b710b35131c471bu, 0x28db77f523047d84u, 0x32caab7b40c72493u, 0x3c9ebe0a15c9bebcu,
    0x431d67c49c100d4cu, 0x4cc5d4becb3e42b6u, 0x597f299cfc657e2au, 0x5fcb6fab3ad6faecu, 0x6c44198c4a475817u,
};

typedef struct digest_form {
    uint8_t words, size; // of the state and of the result in bytes
    bool wide, little;
    uint64_t begin[8];
} digest_form;

static const digest_form forms[] = {
    [LEAT_DIGEST_MD5] = {4, 16, false, true, {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u}},
    [LEAT_DIGEST_SHA1] = {5, 20, false, false, {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u}},
    [LEAT_DIGEST_SHA224] = {8,
                            28,
                            false,
                            false,
                            {0xc1059ed8u, 0x367cd507u, 0x3070dd17u, 0xf70e5939u, 0xffc00b31u, 0x68581511u, 0x64f98fa7u,
                             0xbefa4fa4u}},
    [LEAT_DIGEST_SHA256] = {8,
                            32,
                            false,
                            false,
                            {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu,
                             0x5be0cd19u}},
    [LEAT_DIGEST_SHA384] = {8,
                            48,
                            true,
                            false,
                            {0xcbbb9d5dc1059ed8u, 0x629a292a367cd507u, 0x9159015a3070dd17u, 0x152fecd8f70e5939u,
                             0x67332667ffc00b31u, 0x8eb44a8768581511u, 0xdb0c2e0d64f98fa7u, 0x47b5481dbefa4fa4u}},
    [LEAT_DIGEST_SHA512] = {8,
                            64,
                            true,
                            false,
                            {0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
                             0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u}},
};

static uint32_t left(uint32_t x, unsigned n) { return x << n | x >> (32 - n); }

static uint32_t right(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static uint64_t right64(uint64_t x, unsigned n) { return x >> n | x << (64 - n); }

static uint64_t word_at(const uint8_t *bytes, unsigned size, bool little)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < size; i++)
        word = word << 8 | bytes[little ? size - 1 - i : i];
    return word;
}

static void md5_block(uint64_t state[8], const uint8_t *block)
{
    static const uint8_t turns[] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};
    uint32_t a = (uint32_t)state[0], b = (uint32_t)state[1], c = (uint32_t)state[2], d = (uint32_t)state[3];
    for (unsigned i = 0; i < 64; i++) {
        unsigned round = i / 16;
        uint32_t mixed = round == 0   ? (b & c) | (~b & d)
                         : round == 1 ? (d & b) | (~d & c)
                         : round == 2 ? b ^ c ^ d
                                      : c ^ (b | ~d);
        unsigned from = (round == 0 ? i : round == 1 ? 5 * i + 1 : round == 2 ? 3 * i + 5 : 7 * i) % 16;
        uint32_t sum = a + mixed + sines[i] + (uint32_t)word_at(block + 4 * from, 4, true);
        a = d;
        d = c;
        c = b;
        b += left(sum, turns[4 * round + i % 4]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void sha1_block(uint64_t state[8], const uint8_t *block)
{
    static const uint32_t added[] = {0x5a827999u, 0x6ed9eba1u, 0x8f1bbcdcu, 0xca62c1d6u};
    uint32_t words[80], s[5];
    for (unsigned i = 0; i < 80; i++)
        words[i] = i < 16 ? (uint32_t)word_at(block + 4 * i, 4, false)
                          : left(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    for (unsigned i = 0; i < 5; i++)
        s[i] = (uint32_t)state[i];
    for (unsigned i = 0; i < 80; i++) {
        unsigned round = i / 20;
        uint32_t mixed = round == 0   ? (s[1] & s[2]) | (~s[1] & s[3])
                         : round == 2 ? (s[1] & s[2]) | (s[1] & s[3]) | (s[2] & s[3])
                                      : s[1] ^ s[2] ^ s[3];
        uint32_t sum = left(s[0], 5) + mixed + s[4] + added[round] + words[i];
        s[4] = s[3];
        s[3] = s[2];
        s[2] = left(s[1], 30);
        s[1] = s[0];
        s[0] = sum;
    }
    for (unsigned i = 0; i < 5; i++)
        state[i] += s[i];
}

static void sha256_block(uint64_t state[8], const uint8_t *block)
{
    uint32_t words[64], s[8];
    for (unsigned i = 0; i < 64; i++) {
        if (i < 16) {
            words[i] = (uint32_t)word_at(block + 4 * i, 4, false);
            continue;
        }
        uint32_t x = words[i - 15], y = words[i - 2];
        words[i] = words[i - 16] + (right(x, 7) ^ right(x, 18) ^ x >> 3) + words[i - 7] +
                   (right(y, 17) ^ right(y, 19) ^ y >> 10);
    }
    for (unsigned i = 0; i < 8; i++)
        s[i] = (uint32_t)state[i];
    for (unsigned i = 0; i < 64; i++) {
        uint32_t one = s[7] + (right(s[4], 6) ^ right(s[4], 11) ^ right(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) +
                       (uint32_t)(roots[i] >> 32) + words[i];
        uint32_t two =
            (right(s[0], 2) ^ right(s[0], 13) ^ right(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] += s[i];
}

static void sha512_block(uint64_t state[8], const uint8_t *block)
{
    uint64_t words[80], s[8];
    for (unsigned i = 0; i < 80; i++) {
        if (i < 16) {
            words[i] = word_at(block + 8 * i, 8, false);
            continue;
        }
        uint64_t x = words[i - 15], y = words[i - 2];
        words[i] = words[i - 16] + (right64(x, 1) ^ right64(x, 8) ^ x >> 7) + words[i - 7] +
                   (right64(y, 19) ^ right64(y, 61) ^ y >> 6);
    }
    memcpy(s, state, sizeof s);
    for (unsigned i = 0; i < 80; i++) {
        uint64_t one = s[7] + (right64(s[4], 14) ^ right64(s[4], 18) ^ right64(s[4], 41)) +
                       ((s[4] & s[5]) ^ (~s[4] & s[6])) + roots[i] + words[i];
        uint64_t two = (right64(s[0], 28) ^ right64(s[0], 34) ^ right64(s[0], 39)) +
                       ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] += s[i];
}

static void block_add(leat_digest digest, uint64_t state[8], const uint8_t *block)
{
    if (digest == LEAT_DIGEST_MD5)
        md5_block(state, block);
    else if (digest == LEAT_DIGEST_SHA1)
        sha1_block(state, block);
    else if (forms[digest].wide)
        sha512_block(state, block);
    else
        sha256_block(state, block);
}

// The last bytes, a 1 bit, zeroes, and the length in bits: one block or two.
static void end_add(leat_digest digest, uint64_t state[8], leat_slice rest, uint64_t size)
{
    uint8_t blocks[256] = {0};
    const digest_form *form = &forms[digest];
    size_t block = form->wide ? 128 : 64, total = rest.size + 1 + (form->wide ? 16 : 8) > block ? 2 * block : block;
    if (rest.size)
        memcpy(blocks, rest.data, rest.size);
    blocks[rest.size] = 0x80;
    for (unsigned i = 0; i < 8; i++)
        blocks[total - (form->little ? 8 - i : 1 + i)] = (uint8_t)(size * 8 >> 8 * i);
    for (size_t at = 0; at < total; at += block)
        block_add(digest, state, blocks + at);
}

size_t leat_digest_make(leat_digest digest, leat_slice text, uint8_t out_bytes[LEAT_DIGEST_MAX])
{
    const digest_form *form = &forms[digest];
    uint64_t state[8];
    size_t block = form->wide ? 128 : 64, at = 0, word = form->wide ? 8 : 4;
    memcpy(state, form->begin, sizeof state);
    for (; at + block <= text.size; at += block)
        block_add(digest, state, (const uint8_t *)text.data + at);
    end_add(digest, state, leat_slice_of(text.data + at, text.size - at), text.size);
    for (size_t i = 0; i < form->size; i++) {
        size_t byte = i % word;
        out_bytes[i] = (uint8_t)(state[i / word] >> 8 * (form->little ? byte : word - 1 - byte));
    }
    return form->size;
}
