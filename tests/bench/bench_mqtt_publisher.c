// A plain publisher of paho's, for the targets of MQTT.
//
//   bench_mqtt_publisher URL TOPIC QOS COUNT RATE WINDOW
//
// COUNT messages {"k":"device-00042","ts":<ms>,"v":12.34}, RATE a second (0: as fast as WINDOW unanswered messages allow).
// Prints messages, seconds on the clock from the first to the last answer, and seconds of CPU.
#include <MQTTAsync.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { KEYS = 100 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static unsigned under_way;
static int connected;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    (void)context, (void)data;
    pthread_mutex_lock(&lock);
    connected = 1;
    pthread_cond_signal(&answered);
    pthread_mutex_unlock(&lock);
}

static void on_failed(void *context, MQTTAsync_failureData *data)
{
    (void)context;
    fprintf(stderr, "failed: %s\n", data && data->message ? data->message : "no reason given");
    exit(1);
}

static void on_answer(void *context, MQTTAsync_successData *data)
{
    (void)context, (void)data;
    pthread_mutex_lock(&lock);
    under_way--;
    pthread_cond_signal(&answered);
    pthread_mutex_unlock(&lock);
}

// Waits until fewer than `most` are unanswered.
static void wait_below(unsigned most)
{
    pthread_mutex_lock(&lock);
    while (under_way >= most)
        pthread_cond_wait(&answered, &lock);
    pthread_mutex_unlock(&lock);
}

static MQTTAsync connect_to(const char *url)
{
    MQTTAsync client;
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    options.onSuccess = on_connected;
    options.onFailure = on_failed;
    options.maxInflight = 65535;
    if (MQTTAsync_create(&client, url, "bench-publisher", MQTTCLIENT_PERSISTENCE_NONE, NULL) != MQTTASYNC_SUCCESS ||
        MQTTAsync_connect(client, &options) != MQTTASYNC_SUCCESS)
        exit(1);
    pthread_mutex_lock(&lock);
    while (!connected)
        pthread_cond_wait(&answered, &lock);
    pthread_mutex_unlock(&lock);
    return client;
}

static void publish(MQTTAsync client, const char *topic, int qos, uint64_t number)
{
    char text[96];
    struct timespec wall;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    clock_gettime(CLOCK_REALTIME, &wall);
    int size = snprintf(text, sizeof text, "{\"k\":\"device-%05u\",\"ts\":%lld,\"v\":%u.%02u}",
                        (unsigned)(number % KEYS), (long long)wall.tv_sec * 1000 + wall.tv_nsec / 1000000,
                        (unsigned)(number % 100), (unsigned)(number * 7 % 100));
    response.onSuccess = on_answer;
    response.onFailure = on_failed;
    pthread_mutex_lock(&lock);
    under_way++;
    pthread_mutex_unlock(&lock);
    if (MQTTAsync_send(client, topic, size, text, qos, 0, &response) != MQTTASYNC_SUCCESS)
        exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: bench_mqtt_publisher URL TOPIC QOS COUNT RATE WINDOW\n");
        return 2;
    }
    int qos = atoi(argv[3]);
    uint64_t count = strtoull(argv[4], NULL, 10);
    double rate = atof(argv[5]);
    unsigned window = (unsigned)atoi(argv[6]);
    MQTTAsync client = connect_to(argv[1]);
    double start_s = now_s(), start_cpu_s = cpu_s();
    for (uint64_t i = 0; i < count; i++) {
        // What is due by now goes at once; then a millisecond's sleep.
        while (rate > 0 && (double)i / rate > now_s() - start_s)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        wait_below(window);
        publish(client, argv[2], qos, i);
    }
    wait_below(1);
    printf("%" PRIu64 " %.6f %.6f\n", count, now_s() - start_s, cpu_s() - start_cpu_s);
    MQTTAsync_disconnect(client, NULL);
    MQTTAsync_destroy(&client);
    return 0;
}
