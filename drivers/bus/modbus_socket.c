#include "drivers/bus/modbus_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLICE_MS = 50 }; // how soon a stop is seen

typedef struct attempt {
    leat_env *env;
    leat_intake *intake;
    int64_t until_ms; // boot clock
} attempt;

static int64_t left_ms(const attempt *self)
{
    int64_t left = self->until_ms - leat_boot_ms(self->env);
    return self->intake->stopping(self->intake) ? 0 : left;
}

leat_code leat_modbus_descriptor_check(int descriptor, leat_error *out_error)
{
    if (descriptor < LEAT_MODBUS_DESCRIPTORS)
        return LEAT_OK;
    return leat_error_set(out_error, LEAT_E_LIMIT,
                          "the process has too many open files: libmodbus takes descriptors below %d, got %d",
                          LEAT_MODBUS_DESCRIPTORS, descriptor);
}

// ---- names

// The request outlives this call when the resolver does not come back: glibc's helper thread still writes into it. So it is
// left to that thread then; one bounded leak for each name server that hangs.
typedef struct lookup {
    struct gaicb request;
    struct addrinfo hints;
    char host[LEAT_MODBUS_HOST_SIZE], port[8];
} lookup;

static lookup *lookup_start(const leat_modbus_url *url, leat_env *env)
{
    lookup *self = leat_env_calloc(env, sizeof *self);
    if (!self)
        return NULL;
    memcpy(self->host, url->host, sizeof self->host);
    memcpy(self->port, url->port, sizeof self->port);
    self->hints.ai_socktype = SOCK_STREAM;
    self->request.ar_name = self->host;
    self->request.ar_service = self->port;
    self->request.ar_request = &self->hints;
    struct gaicb *list[] = {&self->request};
    if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0)
        return self;
    leat_env_free(env, self, sizeof *self);
    return NULL;
}

// EAI_INPROGRESS: it cannot be taken back either.
static int lookup_wait(lookup *self, const attempt *limit)
{
    const struct gaicb *list[] = {&self->request};
    struct timespec slice = {.tv_nsec = SLICE_MS * 1000000L};
    while (gai_error(&self->request) == EAI_INPROGRESS && left_ms(limit) > 0)
        gai_suspend(list, 1, &slice);
    if (gai_error(&self->request) == EAI_INPROGRESS)
        gai_cancel(&self->request);
    return gai_error(&self->request);
}

static leat_code resolve(const leat_modbus_url *url, const attempt *limit, struct addrinfo **out_list,
                         leat_error *out_error)
{
    struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    if (getaddrinfo(url->host, url->port, &numeric, out_list) == 0) // an address: asks nobody
        return LEAT_OK;
    lookup *self = lookup_start(url, limit->env);
    if (!self)
        return leat_error_set(out_error, LEAT_E_MEMORY, "cannot resolve '%s'", url->host);
    int failed = lookup_wait(self, limit);
    *out_list = failed ? NULL : self->request.ar_result;
    if (failed != EAI_INPROGRESS)
        leat_env_free(limit->env, self, sizeof *self);
    if (failed == EAI_INPROGRESS || failed == EAI_CANCELED)
        return leat_error_set(out_error, LEAT_E_TIMEOUT, "the name '%s' is not resolved in time", url->host);
    if (failed)
        return leat_error_set(out_error, LEAT_E_NOT_FOUND, "cannot resolve '%s': %s", url->host, gai_strerror(failed));
    return LEAT_OK;
}

// ---- connections

static int wait_connected(int descriptor, const attempt *limit)
{
    struct pollfd writable = {.fd = descriptor, .events = POLLOUT};
    int result = 0;
    while (result == 0 && left_ms(limit) > 0) {
        result = poll(&writable, 1, SLICE_MS);
        if (result < 0 && errno == EINTR)
            result = 0;
    }
    int failed = ETIMEDOUT;
    socklen_t size = sizeof failed;
    if (result > 0 && getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failed, &size) < 0)
        failed = errno;
    return failed;
}

static int connect_one(const struct addrinfo *address, const attempt *limit, int *out_socket)
{
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address->ai_protocol);
    if (descriptor < 0)
        return errno;
    int on = 1, failed = 0;
    if (connect(descriptor, address->ai_addr, address->ai_addrlen) < 0)
        failed = errno == EINPROGRESS ? wait_connected(descriptor, limit) : errno;
    if (failed) {
        close(descriptor);
        return failed;
    }
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *out_socket = descriptor;
    return 0;
}

static leat_code connect_any(const leat_modbus_url *url, const struct addrinfo *list, const attempt *limit,
                             int *out_socket, leat_error *out_error)
{
    int failed = ETIMEDOUT;
    for (const struct addrinfo *address = list; address && failed && left_ms(limit) > 0; address = address->ai_next)
        failed = connect_one(address, limit, out_socket);
    if (!failed)
        return LEAT_OK;
    return leat_error_set(out_error, failed == ETIMEDOUT ? LEAT_E_TIMEOUT : LEAT_E_CLOSED, "%s port %s: %s", url->host,
                          url->port, strerror(failed));
}

leat_code leat_modbus_socket_connect(const leat_modbus_url *url, leat_env *env, leat_intake *intake, int64_t timeout_ms,
                                     int *out_socket, leat_error *out_error)
{
    attempt limit = {env, intake, leat_boot_ms(env) + timeout_ms};
    struct addrinfo *list = NULL;
    leat_code code = resolve(url, &limit, &list, out_error);
    if (code != LEAT_OK)
        return code;
    code = connect_any(url, list, &limit, out_socket, out_error);
    freeaddrinfo(list);
    if (code == LEAT_OK && (code = leat_modbus_descriptor_check(*out_socket, out_error)) != LEAT_OK)
        close(*out_socket);
    return code;
}
