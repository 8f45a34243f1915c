// A file has the disk space that it will need, before a library maps it: a page of a mapping that finds no space is SIGBUS.
#pragma once

#include <stddef.h>

// Makes the file when there is none; what it holds stays. 0 or an errno.
int leat_platform_reserve(const char *path, size_t size);
