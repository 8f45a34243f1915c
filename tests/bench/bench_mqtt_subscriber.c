// A subscriber of paho's that does nothing: what receiving costs by itself (targets 7 and 8).
//
//   bench_mqtt_subscriber URL FILTER QOS      says "ready", then, when its input ends, messages and seconds of CPU
#include <MQTTAsync.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static _Atomic uint64_t messages;
static MQTTAsync client;
static char **arguments;

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int on_message(void *context, char *topic, int topic_size, MQTTAsync_message *message)
{
    (void)context, (void)topic_size;
    atomic_fetch_add_explicit(&messages, 1, memory_order_relaxed);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void on_failed(void *context, MQTTAsync_failureData *data)
{
    (void)context;
    fprintf(stderr, "failed: %s\n", data && data->message ? data->message : "no reason given");
    exit(1);
}

static void on_subscribed(void *context, MQTTAsync_successData *data)
{
    (void)context, (void)data;
    printf("ready\n");
    fflush(stdout);
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    (void)context, (void)data;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.onSuccess = on_subscribed;
    response.onFailure = on_failed;
    if (MQTTAsync_subscribe(client, arguments[2], atoi(arguments[3]), &response) != MQTTASYNC_SUCCESS)
        exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: bench_mqtt_subscriber URL FILTER QOS\n");
        return 2;
    }
    arguments = argv;
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    options.onSuccess = on_connected;
    options.onFailure = on_failed;
    if (MQTTAsync_create(&client, argv[1], "bench-subscriber", MQTTCLIENT_PERSISTENCE_NONE, NULL) !=
            MQTTASYNC_SUCCESS ||
        MQTTAsync_setCallbacks(client, NULL, NULL, on_message, NULL) != MQTTASYNC_SUCCESS ||
        MQTTAsync_connect(client, &options) != MQTTASYNC_SUCCESS)
        return 1;
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    printf("%" PRIu64 " %.6f\n", atomic_load(&messages), cpu_s());
    MQTTAsync_disconnect(client, NULL);
    MQTTAsync_destroy(&client);
    return 0;
}
