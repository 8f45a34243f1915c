#include "firmware-agent/platform/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

leat_code leat_lock_take(const char *path, leat_error *out_error)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (descriptor < 0)
        return leat_error_errno(out_error, errno, "%s", path);
    // Not flock: a child that looks into a suspect file would hold that one on when we are killed, and the next start would be refused.
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(descriptor, F_SETLK, &whole) == 0)
        return LEAT_OK; // held until the process ends
    int reason = errno;
    close(descriptor);
    if (reason == EACCES || reason == EAGAIN)
        return leat_error_at(out_error, LEAT_E_CONFLICT, path, "another agent is running on this state directory");
    return leat_error_errno(out_error, reason, "%s", path);
}
