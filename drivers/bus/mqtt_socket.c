#include "drivers/bus/mqtt_socket.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t links_lock = PTHREAD_MUTEX_INITIALIZER;
static leat_mqtt_link *links;
static MQTTAsync idle_client; // never destroyed: keeps paho's threads and lists from being torn down

// "20240131 120000.123 12 CLIENT -> CONNECT version 5 clean: 0 (0)"; 0 is an int of paho's own.
static bool parse_connect(const char *line, const char *client_id, int *out_socket)
{
    const char *arrow = strstr(line, " -> CONNECT version ");
    size_t size = strlen(client_id);
    if (!arrow || (size_t)(arrow - line) < size + 2)
        return false;
    const char *name = arrow - size;
    if (memcmp(name, client_id, size) != 0 || name[-1] != ' ')
        return false;
    const char *number = name - 1;
    while (number > line && number[-1] >= '0' && number[-1] <= '9')
        number--;
    long socket = number < name - 1 ? strtol(number, NULL, 10) : 0;
    *out_socket = socket > 0 && socket <= INT_MAX ? (int)socket : 0;
    return *out_socket > 0;
}

static void on_trace(enum MQTTASYNC_TRACE_LEVELS level, char *line)
{
    (void)level;
    if (!line || !strstr(line, " -> CONNECT version "))
        return;
    pthread_mutex_lock(&links_lock);
    for (leat_mqtt_link *link = links; link; link = link->next) {
        int found;
        if (parse_connect(line, link->client_id, &found))
            atomic_store(&link->socket, found);
    }
    pthread_mutex_unlock(&links_lock);
}

static void keep_idle_client(void)
{
    if (idle_client)
        return;
    MQTTAsync_setTraceCallback(on_trace);
    // Below paho's default, which formats every step of every call into a ring in memory.
    MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_PROTOCOL);
    if (MQTTAsync_create(&idle_client, "tcp://127.0.0.1:1", "leat-idle", MQTTCLIENT_PERSISTENCE_NONE, NULL) !=
        MQTTASYNC_SUCCESS)
        idle_client = NULL;
}

bool leat_mqtt_socket_watch(leat_mqtt_link *link)
{
    static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&idle_lock); // not links_lock: paho traces while it creates
    keep_idle_client();
    pthread_mutex_unlock(&idle_lock);
    bool taken = false;
    pthread_mutex_lock(&links_lock);
    for (const leat_mqtt_link *other = links; other; other = other->next)
        taken |= strcmp(other->client_id, link->client_id) == 0 && strcmp(other->address, link->address) == 0;
    if (!taken) {
        link->next = links;
        links = link;
    }
    pthread_mutex_unlock(&links_lock);
    return !taken;
}

void leat_mqtt_socket_forget(leat_mqtt_link *link)
{
    pthread_mutex_lock(&links_lock);
    for (leat_mqtt_link **place = &links; *place; place = &(*place)->next)
        if (*place == link) {
            *place = link->next;
            break;
        }
    pthread_mutex_unlock(&links_lock);
}
