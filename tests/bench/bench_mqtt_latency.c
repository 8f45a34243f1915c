// From publishing an event to receiving its alert (target 15), and beside it what the disk under the same folder takes.
//
//   bench_mqtt_latency URL TOPIC ALERTS COUNT INTERVAL_MS FOLDER
//
// Publishes {"k":"a","ts":<ms>,"v":<number>} with QoS 1 and waits for alerts that carry v; every pause is used for one bare
// fdatasync of an appended record and one LMDB commit. Prints, in milliseconds: p50 and p99 of the way, of the sync, of the commit.
#include <MQTTAsync.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_MAX = 4096, RECORD = 200, DEADLINE_S = 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static double sent_ms[COUNT_MAX], way_ms[COUNT_MAX], sync_ms[COUNT_MAX], commit_ms[COUNT_MAX];
static unsigned received, count;
static int ready; // connections: two, as a broker that answers on the one that waits would hold the alert back (Nagle)
static MQTTAsync client, publisher;
static const char *alerts;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static int on_message(void *context, char *topic, int topic_size, MQTTAsync_message *message)
{
    (void)context, (void)topic_size;
    double at_ms = now_ms();
    char text[256] = {0};
    memcpy(text, message->payload, (size_t)message->payloadlen < 255 ? (size_t)message->payloadlen : 255);
    const char *value = strstr(text, "\"v\":");
    unsigned number = value ? (unsigned)strtod(value + 4, NULL) : COUNT_MAX;
    pthread_mutex_lock(&lock);
    if (number < count && way_ms[number] == 0) {
        way_ms[number] = at_ms - sent_ms[number];
        received++;
    }
    pthread_cond_signal(&news);
    pthread_mutex_unlock(&lock);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void on_failed(void *context, MQTTAsync_failureData *data)
{
    (void)context, (void)data;
    die("connecting or subscribing failed");
}

static void on_ready(void *context, MQTTAsync_successData *data)
{
    (void)context, (void)data;
    pthread_mutex_lock(&lock);
    ready++;
    pthread_cond_signal(&news);
    pthread_mutex_unlock(&lock);
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    (void)context, (void)data;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess = on_ready;
    response.onFailure = on_failed;
    if (MQTTAsync_subscribe(client, alerts, 1, &response) != MQTTASYNC_SUCCESS)
        die("cannot subscribe");
}

static void connect_to(const char *url, const char *id, MQTTAsync_onSuccess *connected)
{
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    MQTTAsync *self = connected == on_connected ? &client : &publisher;
    int before = ready;
    options.onSuccess = connected;
    options.onFailure = on_failed;
    if (MQTTAsync_create(self, url, id, MQTTCLIENT_PERSISTENCE_NONE, NULL) != MQTTASYNC_SUCCESS ||
        MQTTAsync_setCallbacks(*self, NULL, NULL, on_message, NULL) != MQTTASYNC_SUCCESS ||
        MQTTAsync_connect(*self, &options) != MQTTASYNC_SUCCESS)
        die("cannot connect");
    pthread_mutex_lock(&lock);
    while (ready == before)
        pthread_cond_wait(&news, &lock);
    pthread_mutex_unlock(&lock);
}

// ---- the disk by itself

static MDB_env *env;
static MDB_dbi table;
static int file;

static void check(int result)
{
    if (result != MDB_SUCCESS)
        die(mdb_strerror(result));
}

static void open_disk(const char *folder)
{
    char path[600];
    MDB_txn *txn;
    snprintf(path, sizeof path, "%s/bare.log", folder);
    file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0640);
    if (file < 0 || posix_fallocate(file, 0, COUNT_MAX * RECORD) != 0 || fdatasync(file) != 0)
        die(path);
    snprintf(path, sizeof path, "%s/bare.mdb", folder);
    check(mdb_env_create(&env));
    check(mdb_env_set_mapsize(env, 16 << 20));
    check(mdb_env_open(env, path, MDB_NOSUBDIR, 0640));
    check(mdb_txn_begin(env, NULL, 0, &txn));
    check(mdb_dbi_open(txn, NULL, 0, &table));
    check(mdb_txn_commit(txn));
}

static void measure_disk(unsigned number)
{
    char record[RECORD] = {0};
    MDB_txn *txn;
    MDB_val key = {sizeof number, &number}, value = {sizeof record, record};
    double begin_ms = now_ms();
    if (pwrite(file, record, sizeof record, (off_t)number * RECORD) != RECORD || fdatasync(file) != 0)
        die("cannot sync");
    double synced_ms = now_ms();
    check(mdb_txn_begin(env, NULL, 0, &txn));
    check(mdb_put(txn, table, &key, &value, 0));
    check(mdb_txn_commit(txn));
    sync_ms[number] = synced_ms - begin_ms;
    commit_ms[number] = now_ms() - synced_ms;
}

// ---- the run

static void send_one(const char *topic, unsigned number)
{
    char text[96];
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    int size = snprintf(text, sizeof text, "{\"k\":\"a\",\"ts\":%lld,\"v\":%u}",
                        (long long)wall.tv_sec * 1000 + wall.tv_nsec / 1000000, number);
    sent_ms[number] = now_ms();
    if (MQTTAsync_send(publisher, topic, size, text, 1, 0, NULL) != MQTTASYNC_SUCCESS)
        die("cannot send");
}

static void wait_for_all(unsigned expected)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_S;
    pthread_mutex_lock(&lock);
    while (received < expected)
        if (pthread_cond_timedwait(&news, &lock, &until) != 0)
            die("alerts are missing");
    pthread_mutex_unlock(&lock);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_percentiles(double *values)
{
    qsort(values, count, sizeof *values, compare);
    printf("%.3f %.3f ", values[count / 2], values[count * 99 / 100]);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: bench_mqtt_latency URL TOPIC ALERTS COUNT INTERVAL_MS FOLDER\n");
        return 2;
    }
    count = (unsigned)atoi(argv[4]);
    if (count == 0 || count > COUNT_MAX)
        return 2;
    alerts = argv[3];
    open_disk(argv[6]);
    connect_to(argv[1], "bench-alerts", on_connected);
    connect_to(argv[1], "bench-events", on_ready);
    for (unsigned i = 0; i < count; i++) {
        send_one(argv[2], i);
        wait_for_all(i + 1);
        measure_disk(i);
        usleep((useconds_t)(atof(argv[5]) * 1000));
    }
    print_percentiles(way_ms);
    print_percentiles(sync_ms);
    print_percentiles(commit_ms);
    printf("\n");
    MQTTAsync_disconnect(publisher, NULL);
    MQTTAsync_disconnect(client, NULL);
    MQTTAsync_destroy(&publisher);
    MQTTAsync_destroy(&client);
    mdb_env_close(env);
    return 0;
}
