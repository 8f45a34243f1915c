// CRC32C (Castagnoli), as in iSCSI, ext4 and LevelDB; by the CPU's instruction where it has one, else slicing by 8.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Start with crc = 0; feeding two parts gives the value of the whole.
uint32_t leat_crc32c(uint32_t crc, const void *bytes, size_t size);
// The same by tables, whatever the CPU offers: only for the test that compares both.
uint32_t leat_crc32c_software(uint32_t crc, const void *bytes, size_t size);
