#include "firmware-agent/control/socket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "firmware-agent/control/json_writer.h"
#include "firmware-agent/control/status.h"

enum {
    CALLERS_MAX = 8,
    REQUEST_MAX = 4096,
    ANSWER_MAX = 4 << 20,
    ANSWER_WAIT_MS = 10000,
};

typedef struct caller {
    int descriptor; // -1: free
    char request[REQUEST_MAX];
    size_t size;
} caller;

struct leat_socket {
    leat_env *env;
    leat_agent *agent;
    char path[108];
    int listener, wake[2];
    pthread_t thread;
    caller callers[CALLERS_MAX];
};

static leat_code address_of(const char *path, struct sockaddr_un *out_address, leat_error *out_error)
{
    memset(out_address, 0, sizeof *out_address);
    out_address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof out_address->sun_path)
        return leat_error_at(out_error, LEAT_E_LIMIT, path,
                             "is longer than the %zu bytes a socket's path may have; set agent.socket",
                             sizeof out_address->sun_path - 1);
    memcpy(out_address->sun_path, path, strlen(path) + 1);
    return LEAT_OK;
}

// ---- answers

static bool asks_for(const char *request, const char *command)
{
    const char *key = strstr(request, "\"command\"");
    const char *colon = key ? strchr(key + 9, ':') : NULL;
    if (!colon)
        return false;
    do
        colon++;
    while (*colon == ' ');
    size_t size = strlen(command);
    return *colon == '"' && strncmp(colon + 1, command, size) == 0 && colon[1 + size] == '"';
}

static void answer(leat_socket *server, const char *request, leat_writer *out)
{
    if (asks_for(request, "status")) {
        leat_status_write(server->agent, out);
    } else if (asks_for(request, "status_text")) {
        leat_writer text;
        leat_writer_init(&text, server->env, ANSWER_MAX / 2);
        leat_status_print(server->agent, &text);
        leat_json_writer json = {.out = out};
        leat_json_open(&json, NULL, '{');
        leat_json_text(&json, "text", leat_writer_slice(&text));
        leat_json_close(&json, '}');
        leat_writer_fini(&text);
    } else if (asks_for(request, "stop")) {
        leat_agent_stop(server->agent);
        leat_write_text(out, "{\"stopping\":true}");
    } else {
        leat_write_text(out, "{\"error\":\"unknown command; known are status and stop\"}");
    }
    leat_write_u8(out, '\n');
}

static void send_all(int descriptor, leat_slice bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(descriptor, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return; // the caller is gone, or does not read: its timeout has passed
        bytes = leat_slice_of(bytes.data + sent, bytes.size - (size_t)sent);
    }
}

static void drop_caller(caller *gone)
{
    close(gone->descriptor);
    gone->descriptor = -1;
}

static void serve(leat_socket *server, caller *from)
{
    ssize_t size = read(from->descriptor, from->request + from->size, REQUEST_MAX - 1 - from->size);
    if (size <= 0) {
        drop_caller(from);
        return;
    }
    from->size += (size_t)size;
    from->request[from->size] = 0;
    char *end = strchr(from->request, '\n');
    if (!end && from->size < REQUEST_MAX - 1)
        return;
    if (end)
        *end = 0;
    leat_writer out;
    leat_writer_init(&out, server->env, ANSWER_MAX);
    answer(server, from->request, &out);
    send_all(from->descriptor, leat_writer_slice(&out));
    leat_writer_fini(&out);
    from->size = 0;
}

static bool may_call(int descriptor)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid() || peer.gid == getegid();
}

static void accept_caller(leat_socket *server)
{
    int descriptor = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    struct timeval patience = {.tv_sec = 2};
    if (descriptor < 0)
        return;
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    for (int i = 0; i < CALLERS_MAX && may_call(descriptor); i++) {
        if (server->callers[i].descriptor >= 0)
            continue;
        server->callers[i].descriptor = descriptor;
        server->callers[i].size = 0;
        return;
    }
    close(descriptor);
}

static void *listen_and_serve(void *argument)
{
    leat_socket *server = argument;
    for (;;) {
        struct pollfd polled[CALLERS_MAX + 2] = {{.fd = server->wake[0], .events = POLLIN},
                                                 {.fd = server->listener, .events = POLLIN}};
        for (int i = 0; i < CALLERS_MAX; i++)
            polled[i + 2] = (struct pollfd){.fd = server->callers[i].descriptor, .events = POLLIN};
        if (poll(polled, CALLERS_MAX + 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (polled[0].revents)
            return NULL;
        if (polled[1].revents & POLLIN)
            accept_caller(server);
        for (int i = 0; i < CALLERS_MAX; i++)
            if (polled[i + 2].fd >= 0 && polled[i + 2].revents)
                serve(server, &server->callers[i]);
    }
}

// ---- life

static leat_code open_listener(leat_socket *server, leat_error *out_error)
{
    struct sockaddr_un address;
    leat_code code = address_of(server->path, &address, out_error);
    if (code != LEAT_OK)
        return code;
    unlink(server->path); // of a run that was cut off: the directory's lock says that nobody uses it
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t before = umask(0117);
    int failed = server->listener < 0 || bind(server->listener, (struct sockaddr *)&address, sizeof address) != 0;
    umask(before);
    if (failed || listen(server->listener, CALLERS_MAX) != 0)
        return leat_error_errno(out_error, errno, "status socket %s", server->path);
    return LEAT_OK;
}

leat_code leat_socket_start(leat_env *env, leat_agent *agent, const char *path, leat_socket **out_socket,
                            leat_error *out_error)
{
    leat_socket *server = leat_env_calloc(env, sizeof *server);
    if (!server)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the status socket");
    server->env = env;
    server->agent = agent;
    server->listener = server->wake[0] = server->wake[1] = -1;
    snprintf(server->path, sizeof server->path, "%s", path);
    for (int i = 0; i < CALLERS_MAX; i++)
        server->callers[i].descriptor = -1;
    leat_code code =
        strlen(path) < sizeof server->path ? LEAT_OK : address_of(path, &(struct sockaddr_un){0}, out_error);
    if (code == LEAT_OK)
        code = open_listener(server, out_error);
    if (code == LEAT_OK && pipe(server->wake) != 0)
        code = leat_error_errno(out_error, errno, "status socket");
    int failed = code == LEAT_OK ? pthread_create(&server->thread, NULL, listen_and_serve, server) : 0;
    if (failed)
        code = leat_error_errno(out_error, failed, "status thread");
    if (code != LEAT_OK) {
        if (server->listener >= 0)
            close(server->listener);
        leat_env_free(env, server, sizeof *server);
        return code;
    }
    pthread_setname_np(server->thread, "status");
    *out_socket = server;
    return LEAT_OK;
}

void leat_socket_stop(leat_socket *server)
{
    if (!server)
        return;
    ssize_t written = write(server->wake[1], "x", 1);
    (void)written;
    pthread_join(server->thread, NULL);
    for (int i = 0; i < CALLERS_MAX; i++)
        if (server->callers[i].descriptor >= 0)
            drop_caller(&server->callers[i]);
    close(server->listener);
    close(server->wake[0]);
    close(server->wake[1]);
    unlink(server->path);
    leat_env_free(server->env, server, sizeof *server);
}

// ---- the caller's side

leat_code leat_socket_ask(const char *path, const char *request, leat_arena *arena, char **out_answer,
                          leat_error *out_error)
{
    struct sockaddr_un address;
    leat_code code = address_of(path, &address, out_error);
    if (code != LEAT_OK)
        return code;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = ANSWER_WAIT_MS / 1000};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        int reason = errno;
        if (descriptor >= 0)
            close(descriptor);
        if (reason == ENOENT || reason == ECONNREFUSED)
            return leat_error_at(out_error, LEAT_E_CLOSED, path, "no agent is running here");
        return leat_error_errno(out_error, reason, "%s", path);
    }
    send_all(descriptor, leat_slice_text(request));
    char *answer_text = leat_arena_alloc(arena, ANSWER_MAX);
    size_t size = 0;
    ssize_t part;
    while (size < ANSWER_MAX - 1 && (part = read(descriptor, answer_text + size, ANSWER_MAX - 1 - size)) > 0) {
        size += (size_t)part;
        if (answer_text[size - 1] == '\n')
            break;
    }
    close(descriptor);
    answer_text[size] = 0;
    *out_answer = answer_text;
    return size > 0 ? LEAT_OK : leat_error_at(out_error, LEAT_E_TIMEOUT, path, "the agent does not answer");
}
