#include "firmware-agent/platform/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_SECONDS_MAX = 60 };

static _Noreturn void child_run(leat_code (*work)(void *context), void *context)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        signal(deadly[i], SIG_DFL);
    alarm(CHILD_SECONDS_MAX);
    close(STDERR_FILENO); // LMDB's own last words
    _exit(work(context) == LEAT_OK ? 0 : 1);
}

leat_code leat_child_try(leat_code (*work)(void *context), void *context, leat_error *out_error)
{
    pid_t child = fork();
    if (child < 0)
        return LEAT_OK; // no process to spare: as good as not suspect
    if (child == 0)
        child_run(work, context);
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return LEAT_OK;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return LEAT_OK;
    if (WIFSIGNALED(status))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "damaged: reading it ended with %s",
                              strsignal(WTERMSIG(status)));
    return leat_error_set(out_error, LEAT_E_CORRUPT, "damaged: it cannot be read through");
}
