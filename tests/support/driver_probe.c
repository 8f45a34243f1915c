#include "tests/support/driver_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "operators/base/checksum.h"

extern char **environ;

enum { RECORD_HEAD = 18, PREFIX = 8, PROBE_PROGRAMS = 64 };

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "driver probe: %s: %s\n", what, strerror(errno));
    exit(3);
}

int64_t probe_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// ---- journal

static probe_journal *journal_of(const leat_intake *intake) { return (probe_journal *)intake; }

static leat_code intake_append(leat_intake *intake, const leat_raw *raw, uint64_t *out_position)
{
    probe_journal *journal = journal_of(intake);
    if (journal->full)
        return LEAT_E_LIMIT;
    uint32_t body = (uint32_t)(RECORD_HEAD + 4 + raw->topic.size + raw->payload.size);
    uint32_t topic_size = (uint32_t)raw->topic.size;
    pthread_mutex_lock(&journal->lock);
    size_t need = journal->pending_size + PREFIX + body;
    if (need > journal->pending_capacity) {
        journal->pending_capacity = need * 2;
        journal->pending = realloc(journal->pending, journal->pending_capacity);
    }
    uint8_t *start = journal->pending + journal->pending_size, *cursor = start + PREFIX;
    cursor[0] = raw->tag;
    cursor[1] = raw->flags;
    memcpy(cursor + 2, &raw->key, 4);
    memcpy(cursor + 6, &raw->arrival_ms, 8);
    memset(cursor + 14, 0, 4);
    memcpy(cursor + RECORD_HEAD, &topic_size, 4);
    cursor += RECORD_HEAD + 4;
    if (raw->topic.size)
        memcpy(cursor, raw->topic.data, raw->topic.size);
    cursor += raw->topic.size;
    if (raw->payload.size)
        memcpy(cursor, raw->payload.data, raw->payload.size);
    uint32_t crc = leat_crc32c(0, start + PREFIX, body);
    memcpy(start, &body, 4);
    memcpy(start + 4, &crc, 4);
    journal->pending_size = need;
    journal->end += PREFIX + body;
    *out_position = journal->end;
    journal->appended++;
    if (!(raw->flags & LEAT_RAW_CONTROL))
        journal->messages++;
    pthread_mutex_unlock(&journal->lock);
    return LEAT_OK;
}

static void flush_pending(probe_journal *journal)
{
    must(write(journal->file, journal->pending, journal->pending_size) == (ssize_t)journal->pending_size, "write");
    journal->pending_size = 0;
    journal->durable_end = journal->end;
}

static leat_code intake_wait_durable(leat_intake *intake, uint64_t position, int64_t timeout_ms)
{
    probe_journal *journal = journal_of(intake);
    if (journal->stuck) {
        usleep((unsigned)timeout_ms * 1000);
        return LEAT_E_TIMEOUT;
    }
    pthread_mutex_lock(&journal->lock);
    if (journal->durable_end < position)
        flush_pending(journal);
    pthread_mutex_unlock(&journal->lock);
    return LEAT_OK;
}

static bool intake_held(leat_intake *intake) { return journal_of(intake)->full || journal_of(intake)->high; }

static bool intake_stopping(const leat_intake *intake)
{
    probe_journal *journal = journal_of(intake);
    pthread_mutex_lock(&journal->lock);
    bool stop = journal->stop;
    pthread_mutex_unlock(&journal->lock);
    return stop;
}

static bool intake_sleep(leat_intake *intake, int64_t ms)
{
    int64_t until_ms = probe_now_ms() + ms;
    while (!intake_stopping(intake) && probe_now_ms() < until_ms)
        usleep(2000);
    return intake_stopping(intake);
}

static leat_code intake_wait_room(leat_intake *intake, int64_t timeout_ms)
{
    int64_t until_ms = probe_now_ms() + timeout_ms;
    while (intake_held(intake)) {
        if (probe_now_ms() > until_ms)
            return LEAT_E_TIMEOUT;
        if (intake_sleep(intake, 5))
            return LEAT_E_CLOSED;
    }
    return LEAT_OK;
}

// Size of the record at the bytes, 0: none that is whole.
static size_t record_at(const uint8_t *bytes, size_t size, leat_raw *out_raw)
{
    uint32_t body, crc, topic_size;
    if (size < PREFIX + RECORD_HEAD + 4)
        return 0;
    memcpy(&body, bytes, 4);
    memcpy(&crc, bytes + 4, 4);
    if (body > size - PREFIX || body < RECORD_HEAD + 4 || leat_crc32c(0, bytes + PREFIX, body) != crc)
        return 0;
    const uint8_t *cursor = bytes + PREFIX;
    *out_raw = (leat_raw){.tag = cursor[0], .flags = cursor[1]};
    memcpy(&out_raw->key, cursor + 2, 4);
    memcpy(&out_raw->arrival_ms, cursor + 6, 8);
    memcpy(&topic_size, cursor + RECORD_HEAD, 4);
    cursor += RECORD_HEAD + 4;
    out_raw->topic = leat_slice_of((const char *)cursor, topic_size);
    out_raw->payload = leat_slice_of((const char *)cursor + topic_size, body - RECORD_HEAD - 4 - topic_size);
    return PREFIX + body;
}

static size_t read_records(const char *path, void (*visit)(void *context, const leat_raw *raw), void *context)
{
    struct stat stat;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    must(fstat(file, &stat) == 0, path);
    uint8_t *bytes = malloc((size_t)stat.st_size + 1);
    must(read(file, bytes, (size_t)stat.st_size) == stat.st_size, path);
    close(file);
    size_t offset = 0, size;
    leat_raw raw;
    while ((size = record_at(bytes + offset, (size_t)stat.st_size - offset, &raw)) > 0) {
        raw.position = offset;
        if (visit)
            visit(context, &raw);
        offset += size;
    }
    free(bytes);
    return offset;
}

void probe_journal_read(const char *path, void (*visit)(void *context, const leat_raw *raw), void *context)
{
    read_records(path, visit, context);
}

static leat_code intake_visit(leat_intake *intake, void (*visit)(void *context, const leat_raw *raw), void *context)
{
    char path[64], real[PROBE_PATH] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", journal_of(intake)->file);
    must(readlink(path, real, sizeof real - 1) > 0, path);
    read_records(real, visit, context);
    return LEAT_OK;
}

static void intake_gap(leat_intake *intake, const char *cause, int64_t from_ms, int64_t to_ms, uint64_t count)
{
    probe_journal *journal = journal_of(intake);
    (void)from_ms;
    (void)to_ms;
    (void)count;
    pthread_mutex_lock(&journal->lock);
    if (journal->gap_count < PROBE_GAPS)
        snprintf(journal->gaps[journal->gap_count], sizeof journal->gaps[0], "%s", cause);
    journal->gap_count++;
    pthread_mutex_unlock(&journal->lock);
}

static void intake_note(leat_intake *intake, bool connected, const char *text)
{
    probe_journal *journal = journal_of(intake);
    pthread_mutex_lock(&journal->lock);
    snprintf(journal->note, sizeof journal->note, "%s", text);
    pthread_mutex_unlock(&journal->lock);
    journal->connects += connected;
    journal->connected = connected;
}

static void intake_count(leat_intake *intake, const char *counter, uint64_t add)
{
    probe_journal *journal = journal_of(intake);
    _Atomic uint32_t *place = strcmp(counter, "not_kept") == 0           ? &journal->not_kept
                              : strcmp(counter, "retransmitted") == 0    ? &journal->retransmitted
                              : strcmp(counter, "retained_ignored") == 0 ? &journal->retained_ignored
                              : strcmp(counter, "too_large") == 0        ? &journal->too_large
                                                                         : NULL;
    if (place)
        *place += (uint32_t)add;
}

void probe_journal_open(probe_journal *journal, leat_env *env, const char *path)
{
    *journal = (probe_journal){.intake = {.append = intake_append,
                                          .wait_durable = intake_wait_durable,
                                          .held = intake_held,
                                          .wait_room = intake_wait_room,
                                          .visit = intake_visit,
                                          .gap = intake_gap,
                                          .note = intake_note,
                                          .count = intake_count,
                                          .sleep = intake_sleep,
                                          .stopping = intake_stopping},
                               .env = env};
    pthread_mutex_init(&journal->lock, NULL);
    size_t whole = read_records(path, NULL, NULL);
    journal->file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    must(journal->file >= 0 && ftruncate(journal->file, (off_t)whole) == 0, path);
    journal->end = journal->durable_end = whole;
}

void probe_journal_close(probe_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    if (journal->pending_size)
        flush_pending(journal);
    pthread_mutex_unlock(&journal->lock);
    close(journal->file);
    free(journal->pending);
    pthread_mutex_destroy(&journal->lock);
}

// ---- source

static void *run_source(void *argument)
{
    probe_source *probe = argument;
    probe->code = probe->source->ops->run(probe->source, &probe->error);
    return NULL;
}

void probe_source_start(probe_source *probe, const leat_source_ops *ops, const char *name, const void *settings,
                        probe_journal *journal)
{
    *probe = (probe_source){.journal = journal};
    leat_arena_init(&probe->arena, journal->env, 4096);
    probe->setup = (leat_source_setup){.env = journal->env,
                                       .arena = &probe->arena,
                                       .name = name,
                                       .agent_name = "probe",
                                       .settings = settings,
                                       .intake = &journal->intake};
    journal->stop = false;
    probe->source = leat_arena_calloc(&probe->arena, ops->instance_size);
    probe->source->ops = ops;
    probe->source->setup = &probe->setup;
    must(ops->open(probe->source, &probe->setup, &probe->error) == LEAT_OK, probe->error.message);
    must(pthread_create(&probe->thread, NULL, run_source, probe) == 0, "thread");
}

void probe_source_stop(probe_source *probe)
{
    pthread_mutex_lock(&probe->journal->lock);
    probe->journal->stop = true;
    pthread_mutex_unlock(&probe->journal->lock);
    probe->source->ops->stop(probe->source);
    pthread_join(probe->thread, NULL);
    must(probe->code == LEAT_OK, probe->error.message);
    probe->source->ops->close(probe->source);
    leat_arena_fini(&probe->arena);
}

// ---- programs

static pid_t spawned[PROBE_PROGRAMS]; // not waited for yet; 0: free

static void remember(pid_t pid)
{
    int i = 0;
    while (i < PROBE_PROGRAMS && spawned[i])
        i++;
    must(i < PROBE_PROGRAMS, "too many programs");
    spawned[i] = pid;
}

void probe_end_all(void)
{
    for (int i = 0; i < PROBE_PROGRAMS; i++)
        if (spawned[i]) {
            kill(spawned[i], SIGKILL);
            probe_wait(spawned[i]);
        }
}

pid_t probe_spawn(const char *const *arguments, int *out_input, const char *output)
{
    int ends[2] = {-1, -1};
    pid_t pid;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (out_input) {
        must(pipe2(ends, O_CLOEXEC) == 0, "pipe");
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
    }
    posix_spawn_file_actions_addopen(&actions, 1, output ? output : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600);
    must(posix_spawnp(&pid, arguments[0], &actions, NULL, (char *const *)arguments, environ) == 0, arguments[0]);
    posix_spawn_file_actions_destroy(&actions);
    if (out_input) {
        close(ends[0]);
        *out_input = ends[1];
    }
    remember(pid);
    return pid;
}

int probe_wait(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    for (int i = 0; i < PROBE_PROGRAMS; i++)
        if (spawned[i] == pid)
            spawned[i] = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// ---- broker

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(handle, (struct sockaddr *)&address, sizeof address) == 0)
        return handle;
    close(handle);
    return -1;
}

int probe_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(handle, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(getsockname(handle, (struct sockaddr *)&address, &size) == 0, "getsockname");
    close(handle);
    return ntohs(address.sin_port);
}

void probe_broker_create(probe_broker *broker)
{
    *broker = (probe_broker){.directory = "/tmp/leat_broker_XXXXXX"};
    must(mkdtemp(broker->directory) != NULL, broker->directory);
    chmod(broker->directory, 0777); // mosquitto leaves root behind
    broker->port = probe_free_port();
    broker->tls_port = probe_free_port();
}

void probe_broker_start(probe_broker *broker, const char *more_settings)
{
    char path[PROBE_PATH + 40];
    snprintf(path, sizeof path, "%s/mosquitto.conf", broker->directory);
    FILE *file = fopen(path, "w");
    must(file != NULL, path);
    fprintf(file,
            "allow_anonymous true\npersistence true\npersistence_location %s/\nautosave_interval "
            "1\nautosave_on_changes true\n"
            "max_queued_messages 0\nsys_interval 0\nset_tcp_nodelay true\nlog_dest file %s/log\nlog_type all\n%s\n"
            "listener %d 127.0.0.1\n",
            broker->directory, broker->directory, more_settings ? more_settings : "", broker->port);
    fclose(file);
    const char *arguments[] = {"/usr/sbin/mosquitto", "-c", path, NULL};
    broker->pid = probe_spawn(arguments, NULL, NULL);
    int64_t until_ms = probe_now_ms() + 20000;
    int handle;
    while ((handle = connect_to(broker->port)) < 0) {
        must(probe_now_ms() < until_ms, "the broker does not listen");
        usleep(5000);
    }
    close(handle);
}

void probe_broker_end(probe_broker *broker, int signal_number)
{
    if (broker->pid <= 0)
        return;
    kill(broker->pid, signal_number);
    probe_wait(broker->pid);
    broker->pid = 0;
}

void probe_broker_destroy(probe_broker *broker)
{
    const char *arguments[] = {"rm", "-rf", broker->directory, NULL};
    probe_end_all();
    broker->pid = 0;
    probe_wait(probe_spawn(arguments, NULL, NULL));
}
