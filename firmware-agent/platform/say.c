#include "firmware-agent/platform/say.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static _Atomic int most_level = LEAT_LEVEL_INFO;

void leat_say_level(leat_level most) { atomic_store(&most_level, (int)most); }

void leat_say(leat_level level, const char *format, ...)
{
    static const int syslog_levels[] = {3, 4, 6, 7};
    char line[2048];
    if ((int)level > atomic_load(&most_level))
        return;
    int size = snprintf(line, sizeof line, "<%d>leat: ", syslog_levels[level]);
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(line + size, sizeof line - (size_t)size - 1, format, arguments);
    va_end(arguments);
    size += more < (int)sizeof line - size - 2 ? more : (int)sizeof line - size - 2;
    line[size++] = '\n';
    // One write a line, so that lines of several threads do not mix; nobody is left to tell of a failure.
    ssize_t written = write(STDERR_FILENO, line, (size_t)size);
    (void)written;
}

void leat_say_error(leat_level level, const char *context, const leat_error *error)
{
    bool placed = error->place[0] != 0;
    leat_say(level, "%s: %s%s%s", context, error->place, placed ? ": " : "", error->message);
}
