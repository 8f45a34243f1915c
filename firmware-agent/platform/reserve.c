#include "firmware-agent/platform/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int leat_platform_reserve(const char *path, size_t size)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (file < 0)
        return errno;
    int result = posix_fallocate(file, 0, (off_t)size);
    close(file);
    return result;
}
