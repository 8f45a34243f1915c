#include "operators/base/checksum.h"

#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

typedef uint32_t crc_function(uint32_t crc, const uint8_t *bytes, size_t size);

static uint32_t tables[8][256];

static void build_tables(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82F63B78u & (0 - (crc & 1)));
        tables[0][i] = crc;
    }
    for (unsigned t = 1; t < 8; t++)
        for (unsigned i = 0; i < 256; i++)
            tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xFF];
}

static uint64_t load_little(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static uint32_t crc_tables(uint32_t crc, const uint8_t *bytes, size_t size)
{
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word = load_little(bytes) ^ crc;
        crc = 0;
        for (unsigned i = 0; i < 8; i++)
            crc ^= tables[7 - i][word >> (8 * i) & 0xFF];
    }
    while (size--)
        crc = crc >> 8 ^ tables[0][(crc ^ *bytes++) & 0xFF];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_instruction(uint32_t crc, const uint8_t *bytes, size_t size)
{
    uint64_t wide = crc;
    for (; size >= 8; bytes += 8, size -= 8)
        wide = _mm_crc32_u64(wide, load_little(bytes));
    crc = (uint32_t)wide;
    while (size--)
        crc = _mm_crc32_u8(crc, *bytes++);
    return crc;
}

static crc_function *choose(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") ? crc_instruction : crc_tables;
}
#elif defined(__aarch64__)
// Assembler instead of arm_acle.h: gcc and clang disagree on whether its functions may be used under a target attribute.
static uint32_t crc_instruction(uint32_t crc, const uint8_t *bytes, size_t size)
{
    for (; size >= 8; bytes += 8, size -= 8)
        __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(load_little(bytes)));
    while (size--)
        __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t)*bytes++));
    return crc;
}

enum { HWCAP_BIT_CRC32 = 1 << 7 }; // HWCAP_CRC32 of <asm/hwcap.h>, part of the kernel's ABI

static crc_function *choose(void) { return getauxval(AT_HWCAP) & HWCAP_BIT_CRC32 ? crc_instruction : crc_tables; }
#else
static crc_function *choose(void) { return crc_tables; }
#endif

static crc_function *chosen;

// Before main, so before there are threads: neither the tables nor the choice need a lock or a check in each call.
__attribute__((constructor)) static void checksum_start(void)
{
    build_tables();
    chosen = choose();
}

uint32_t leat_crc32c(uint32_t crc, const void *bytes, size_t size) { return ~chosen(~crc, bytes, size); }

uint32_t leat_crc32c_software(uint32_t crc, const void *bytes, size_t size) { return ~crc_tables(~crc, bytes, size); }
