// One client at a broker: connect, disconnect, TLS, and the way to not acknowledge. Source and sink stand on it.
//
// Usage: init -> open -> (connect, await ... disconnect)* -> close -> fini. An attempt to connect runs on paho's threads; its end is
// seen by leat_mqtt_link_state, awaited by leat_mqtt_link_await, and told by on_change.
//
// Threads: connect, disconnect, close belong to one thread, never a callback of paho's. state, reason, wake, cut: any.
// Hooks are called on paho's threads, which hold a mutex of the whole process: they must not call paho, wait for what needs it, or
// take longer than a part of the keep-alive.
//
// Why cut: paho 1.3.12 sends PUBACK and PUBREC after every callback, whatever that returns, and has no acknowledgement by hand. Shutting
// the socket down within the callback is the one way to keep an acknowledgement from leaving. The socket's number is not to be had
// either; it is read from the trace line of the CONNECT packet ("12 client -> CONNECT version ..."), through paho's public trace.
// A client without a known socket counts as not connected.
//
// One client that is never used is kept until the process ends: paho tears its threads down with its last client, and a client
// that is created meanwhile can lose them (paho issues 323, 578, 1623).
#pragma once

#include <MQTTAsync.h>
#include <pthread.h>
#include <stdatomic.h>

#include "drivers/bus/mqtt_settings.h"

typedef enum leat_mqtt_state { LEAT_MQTT_IDLE = 0, LEAT_MQTT_CONNECTING, LEAT_MQTT_CONNECTED } leat_mqtt_state;

typedef struct leat_mqtt_link leat_mqtt_link;

typedef struct leat_mqtt_link_setup {
    leat_env *env;
    const leat_mqtt_connection *connection;
    const char *client_id; // when the connection names none
    bool clean;
    int64_t session_expiry_s;             // MQTT 5; 0: the session ends with the connection
    int receive_maximum;                  // MQTT 5; 0: not said
    int in_flight;                        // of our own messages
    MQTTClient_persistence *persistence;  // NULL: none
    MQTTAsync_messageArrived *on_message; // NULL: no subscriber
    void (*on_change)(void *context, leat_mqtt_state state, const char *reason); // NULL: none
    void *context;                                                               // of both
} leat_mqtt_link_setup;

struct leat_mqtt_link {
    leat_mqtt_link_setup setup;
    char address[LEAT_MQTT_ADDRESS_SIZE], client_id[LEAT_MQTT_CLIENT_ID_SIZE];
    MQTTAsync client; // NULL: not open
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // -- under the lock
    leat_mqtt_state state;
    bool woken, session_present, leaving;
    uint32_t packet_max; // the broker's Maximum Packet Size, 0: not said
    char reason[160];    // why it is not connected
    char tls_reason[120];
    int64_t attempt_ms; // boot clock
    int64_t retry_ms;   // pause before the next attempt, without jitter
    // --
    _Atomic int socket;   // -1: unknown
    leat_mqtt_link *next; // of those that the trace looks for
};

void leat_mqtt_link_init(leat_mqtt_link *link);
void leat_mqtt_link_fini(leat_mqtt_link *link);
// The setup is copied, what it points to is borrowed. LEAT_E_CONFLICT: another link of this process has the same name at the same broker.
LEAT_MUST_CHECK leat_code leat_mqtt_link_open(leat_mqtt_link *link, const leat_mqtt_link_setup *setup,
                                              leat_error *out_error);
// Disconnects and gives everything back; no hook is called after it. Not open: nothing.
void leat_mqtt_link_close(leat_mqtt_link *link);
// Starts an attempt; the state is CONNECTING, or IDLE with a reason when it failed at once.
void leat_mqtt_link_connect(leat_mqtt_link *link);
// Sends DISCONNECT, after at most flight_ms for what is under way. The state is IDLE after it.
void leat_mqtt_link_disconnect(leat_mqtt_link *link, int flight_ms, const char *reason);

leat_mqtt_state leat_mqtt_link_state(leat_mqtt_link *link);
void leat_mqtt_link_reason(leat_mqtt_link *link, char out_reason[160]);
// An attempt that takes much longer than connect_timeout: paho lost it. The link must be closed.
bool leat_mqtt_link_is_stuck(leat_mqtt_link *link);
// Until woken (a change of state wakes) or the timeout.
void leat_mqtt_link_await(leat_mqtt_link *link, int64_t ms);
void leat_mqtt_link_wake(leat_mqtt_link *link);
// The pause before the next attempt: doubled with each call since the last success, half of it by chance.
int64_t leat_mqtt_link_pause_ms(leat_mqtt_link *link);
void leat_mqtt_link_succeeded(leat_mqtt_link *link);
// Ends the connection so that nothing more leaves, not even the acknowledgement of the message being handled.
void leat_mqtt_link_cut(leat_mqtt_link *link);

static inline bool leat_mqtt_link_is_v5(const leat_mqtt_link *link)
{
    return link->setup.connection->version == LEAT_MQTT_5;
}
