#include "firmware-agent/control/socket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "firmware-agent/control/json_writer.h"
#include "firmware-agent/control/status.h"
#include "firmware-agent/platform/notify.h"
#include "firmware-agent/platform/say.h"

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
    bool waits; // for the end of a stop
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

// The four digits behind \u; only ASCII is written so by the commands.
static bool read_escape(const char *digits, char *out_byte)
{
    char text[5] = {0}, *end;
    memcpy(text, digits, strnlen(digits, 4));
    unsigned long code = strtoul(text, &end, 16);
    *out_byte = (char)code;
    return end == text + 4 && code < 0x80;
}

// The text of a member, its escapes undone; false when there is none or it does not fit.
static bool member_text(const char *request, const char *name, char *out_text, size_t room)
{
    char key[32];
    snprintf(key, sizeof key, "\"%s\"", name);
    const char *at = strstr(request, key);
    at = at ? at + strlen(key) : "";
    at += strspn(at, " :");
    if (*at++ != '"')
        return false;
    size_t size = 0;
    for (; *at && *at != '"' && size + 1 < room; at++) {
        if (*at != '\\')
            out_text[size++] = *at;
        else if (*++at != 'u')
            out_text[size++] = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at;
        else if (read_escape(at + 1, &out_text[size]))
            size++, at += 4;
        else
            return false;
    }
    out_text[size] = 0;
    return *at == '"';
}

static void answer_error(leat_writer *out, const leat_error *error)
{
    char text[sizeof error->place + sizeof error->message + 2];
    leat_json_writer json = {.out = out};
    snprintf(text, sizeof text, "%s%s%s", error->place, error->place[0] ? ": " : "", error->message);
    leat_json_open(&json, NULL, '{');
    leat_json_string(&json, "error", text);
    leat_json_close(&json, '}');
}

// Answered by leat_socket_stop, unless it fails here.
static void begin_stop(leat_socket *server, caller *from, leat_writer *out)
{
    char directory[REQUEST_MAX];
    leat_error error = {0};
    if (!strstr(from->request, "\"savepoint\"")) {
        from->waits = true;
        leat_say(LEAT_LEVEL_INFO, "stopping");
        leat_notify("STOPPING=1"); // with a savepoint it is not yet sure
        leat_agent_stop(server->agent);
        return;
    }
    leat_code code = LEAT_OK;
    if (!member_text(from->request, "savepoint", directory, sizeof directory) || directory[0] != '/')
        code = leat_error_set(&error, LEAT_E_INVALID, "savepoint: expected the absolute path of a directory");
    from->waits = true; // before the stop can be over
    if (code == LEAT_OK)
        code = leat_agent_stop_with_savepoint(server->agent, directory, &error);
    from->waits = code == LEAT_OK;
    if (code != LEAT_OK)
        answer_error(out, &error);
}

static void answer(leat_socket *server, caller *from, leat_writer *out)
{
    const char *request = from->request;
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
        begin_stop(server, from, out);
        if (from->waits)
            return;
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
    answer(server, from, &out);
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
        server->callers[i].waits = false;
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

// Left open on purpose: the process's end closes it, and tells the caller that the state directory is free.
static void answer_last(caller *waiting, leat_slice text)
{
    send_all(waiting->descriptor, text);
    waiting->descriptor = -1;
}

void leat_socket_stop(leat_socket *server, leat_slice text)
{
    if (!server)
        return;
    ssize_t written = write(server->wake[1], "x", 1);
    (void)written;
    pthread_join(server->thread, NULL);
    for (int i = 0; i < CALLERS_MAX; i++) {
        if (server->callers[i].descriptor >= 0 && server->callers[i].waits)
            answer_last(&server->callers[i], text);
        else if (server->callers[i].descriptor >= 0)
            drop_caller(&server->callers[i]);
    }
    close(server->listener);
    close(server->wake[0]);
    close(server->wake[1]);
    unlink(server->path);
    leat_env_free(server->env, server, sizeof *server);
}

// ---- the caller's side

static leat_code call(const char *path, int64_t patience_ms, int *out_descriptor, leat_error *out_error)
{
    struct sockaddr_un address;
    leat_code code = address_of(path, &address, out_error);
    if (code != LEAT_OK)
        return code;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = patience_ms / 1000}; // 0: for ever
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (descriptor >= 0 && connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0) {
        *out_descriptor = descriptor;
        return LEAT_OK;
    }
    int reason = errno;
    if (descriptor >= 0)
        close(descriptor);
    if (reason == ENOENT || reason == ECONNREFUSED)
        return leat_error_at(out_error, LEAT_E_CLOSED, path, "no agent is running here");
    return leat_error_errno(out_error, reason, "%s", path);
}

leat_code leat_socket_ask(const char *path, leat_slice request, bool to_the_end, leat_arena *arena, char **out_answer,
                          leat_error *out_error)
{
    int descriptor = -1;
    leat_code code = call(path, to_the_end ? 0 : ANSWER_WAIT_MS, &descriptor, out_error);
    if (code != LEAT_OK)
        return code;
    send_all(descriptor, request);
    char *text = leat_arena_alloc(arena, ANSWER_MAX);
    size_t size = 0;
    ssize_t part;
    while (size < ANSWER_MAX - 1 && (part = read(descriptor, text + size, ANSWER_MAX - 1 - size)) > 0) {
        size += (size_t)part;
        // The agent goes on after an error, and the connection with it.
        if (text[size - 1] == '\n' && (!to_the_end || strncmp(text, "{\"error\"", 8) == 0))
            break;
    }
    close(descriptor);
    text[size] = 0;
    *out_answer = text;
    return size > 0 ? LEAT_OK : leat_error_at(out_error, LEAT_E_TIMEOUT, path, "the agent does not answer");
}
