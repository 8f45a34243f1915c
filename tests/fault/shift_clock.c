// The wall clock of a program, moved by as many milliseconds as the file $LEAT_CLOCK_SHIFT says at the moment; all other clocks stay as they are. To be preloaded.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift_ms(void)
{
    const char *path = getenv("LEAT_CLOCK_SHIFT");
    char text[32] = {0};
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    return size > 0 ? strtol(text, NULL, 10) : 0;
}

static struct timespec shifted(struct timespec now)
{
    long ms = shift_ms();
    now.tv_sec += ms / 1000;
    now.tv_nsec += ms % 1000 * 1000000;
    if (now.tv_nsec < 0 || now.tv_nsec >= 1000000000) {
        now.tv_sec += now.tv_nsec < 0 ? -1 : 1;
        now.tv_nsec += now.tv_nsec < 0 ? 1000000000 : -1000000000;
    }
    return now;
}

// The headers of a 32-bit build call these by other names: there the shim moves nothing, and its test does not run.
int clock_gettime(clockid_t clock, struct timespec *out_now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, out_now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        *out_now = shifted(*out_now);
    return result;
}

time_t time(time_t *out_now)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out_now)
        *out_now = now.tv_sec;
    return now.tv_sec;
}
