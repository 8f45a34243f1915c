#include "firmware-agent/platform/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void leat_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    size_t size = strlen(path);
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = 0; // the abstract namespace
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    ssize_t sent = sendto(descriptor, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
    (void)sent; // systemd notices our silence, nobody else could
    close(descriptor);
}

int64_t leat_notify_watchdog_ms(void)
{
    const char *text = getenv("WATCHDOG_USEC"), *process = getenv("WATCHDOG_PID");
    if (!text || (process && strtoll(process, NULL, 10) != (long long)getpid()))
        return 0;
    return strtoll(text, NULL, 10) / 1000;
}
