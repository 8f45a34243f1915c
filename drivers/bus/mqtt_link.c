#include "drivers/bus/mqtt_link.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "drivers/bus/mqtt_socket.h"

enum {
    STUCK_MS = 20000,     // beyond connect_timeout
    DISCONNECT_MS = 5000, // beyond the time for what is under way
    CLOSE_CONNECTING_MS = 2000,
};

void leat_mqtt_link_init(leat_mqtt_link *link)
{
    pthread_mutex_init(&link->lock, NULL);
    pthread_cond_init(&link->changed, NULL);
    atomic_init(&link->socket, -1);
}

void leat_mqtt_link_fini(leat_mqtt_link *link)
{
    pthread_cond_destroy(&link->changed);
    pthread_mutex_destroy(&link->lock);
}

// ---- state

static void change(leat_mqtt_link *link, leat_mqtt_state state, const char *reason)
{
    pthread_mutex_lock(&link->lock);
    bool news = link->state != state;
    link->state = state;
    if (state == LEAT_MQTT_IDLE)
        atomic_store(&link->socket, -1);
    if (reason)
        snprintf(link->reason, sizeof link->reason, "%s", reason);
    link->woken = true;
    bool told = news && link->setup.on_change && !link->leaving;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
    if (told)
        link->setup.on_change(link->setup.context, state, reason ? reason : "");
}

leat_mqtt_state leat_mqtt_link_state(leat_mqtt_link *link)
{
    pthread_mutex_lock(&link->lock);
    leat_mqtt_state state = link->state;
    pthread_mutex_unlock(&link->lock);
    return state;
}

void leat_mqtt_link_reason(leat_mqtt_link *link, char out_reason[160])
{
    pthread_mutex_lock(&link->lock);
    memcpy(out_reason, link->reason, sizeof link->reason);
    pthread_mutex_unlock(&link->lock);
}

bool leat_mqtt_link_is_stuck(leat_mqtt_link *link)
{
    pthread_mutex_lock(&link->lock);
    int64_t limit_ms = link->attempt_ms + link->setup.connection->connect_timeout_ms + STUCK_MS;
    bool stuck = link->state == LEAT_MQTT_CONNECTING && leat_boot_ms(link->setup.env) > limit_ms;
    pthread_mutex_unlock(&link->lock);
    return stuck;
}

// Under the lock. A condition waits by the wall clock; where that jumps, what is awaited wakes us all the same.
static void wait_ms(leat_mqtt_link *link, int64_t ms)
{
    int64_t until_ms = leat_wall_ms(link->setup.env) + ms;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};
    pthread_cond_timedwait(&link->changed, &link->lock, &until);
}

void leat_mqtt_link_await(leat_mqtt_link *link, int64_t ms)
{
    pthread_mutex_lock(&link->lock);
    if (!link->woken)
        wait_ms(link, ms);
    link->woken = false;
    pthread_mutex_unlock(&link->lock);
}

void leat_mqtt_link_wake(leat_mqtt_link *link)
{
    pthread_mutex_lock(&link->lock);
    link->woken = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

int64_t leat_mqtt_link_pause_ms(leat_mqtt_link *link)
{
    const leat_mqtt_connection *connection = link->setup.connection;
    uint32_t chance;
    link->setup.env->ops->random(link->setup.env, &chance, sizeof chance);
    int64_t pause_ms = link->retry_ms ? link->retry_ms : connection->reconnect_min_ms;
    link->retry_ms = pause_ms * 2 < connection->reconnect_max_ms ? pause_ms * 2 : connection->reconnect_max_ms;
    return pause_ms / 2 + (int64_t)(chance % (uint64_t)(pause_ms / 2 + 1));
}

void leat_mqtt_link_succeeded(leat_mqtt_link *link) { link->retry_ms = 0; }

void leat_mqtt_link_cut(leat_mqtt_link *link)
{
    int number = atomic_load(&link->socket);
    LEAT_ASSERT(number > 0);
    shutdown(number, SHUT_RDWR);
}

// ---- what paho tells

static void on_lost(void *context, char *cause)
{
    leat_mqtt_link *link = context;
    char reason[sizeof link->reason] = "connection lost";
    (void)cause; // always NULL in 1.3.12
    pthread_mutex_lock(&link->lock);
    if (link->reason[0])
        memcpy(reason, link->reason, sizeof reason); // what DISCONNECT said
    pthread_mutex_unlock(&link->lock);
    change(link, LEAT_MQTT_IDLE, reason);
}

// The broker's DISCONNECT (MQTT 5); on_lost follows.
static void on_disconnect(void *context, MQTTProperties *properties, enum MQTTReasonCodes code)
{
    leat_mqtt_link *link = context;
    const char *text = MQTTReasonCode_toString(code);
    (void)properties;
    pthread_mutex_lock(&link->lock);
    snprintf(link->reason, sizeof link->reason, "the broker disconnected us: %s%s", text ? text : "unknown reason",
             code == MQTTREASONCODE_SESSION_TAKEN_OVER ? " (another client uses this client_id)" : "");
    pthread_mutex_unlock(&link->lock);
}

static void connected(leat_mqtt_link *link, int session_present, uint32_t packet_max)
{
    pthread_mutex_lock(&link->lock);
    link->session_present = session_present;
    link->packet_max = packet_max;
    link->reason[0] = 0;
    pthread_mutex_unlock(&link->lock);
    change(link, LEAT_MQTT_CONNECTED, NULL);
}

static void on_connected(void *context, MQTTAsync_successData *response)
{
    connected(context, response->alt.connect.sessionPresent, 0);
}

static void on_connected5(void *context, MQTTAsync_successData5 *response)
{
    MQTTProperty *packet_max = MQTTProperties_getProperty(&response->properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE);
    connected(context, response->alt.connect.sessionPresent, packet_max ? packet_max->value.integer4 : 0);
}

// OpenSSL tells why a certificate is not trusted; that it is another host's is found by paho, which tells nobody.
static const char *host_hint(const leat_mqtt_link *link, const char *text)
{
    bool silent = !link->tls_reason[0] && strstr(text, "TLS connect failure");
    bool checked = strncmp(link->address, "ssl:", 4) == 0 && link->setup.connection->verify;
    return silent && checked ? ", or the certificate is not for this host" : "";
}

static void refused(leat_mqtt_link *link, const char *what, const char *text)
{
    char reason[sizeof link->reason + 64]; // change cuts it
    pthread_mutex_lock(&link->lock);
    const char *tls = link->tls_reason;
    snprintf(reason, sizeof reason, "%s: %s%s%.100s%s", what, text, *tls ? ", " : "", tls, host_hint(link, text));
    pthread_mutex_unlock(&link->lock);
    change(link, LEAT_MQTT_IDLE, reason);
}

static void on_refused(void *context, MQTTAsync_failureData *response)
{
    static const char *const codes[] = {"",
                                        "unacceptable protocol version",
                                        "client id rejected",
                                        "server unavailable",
                                        "bad user name or password",
                                        "not authorised"};
    bool known = response->code > 0 && response->code < (int)(sizeof codes / sizeof *codes);
    refused(context, known ? "the broker refused" : "cannot connect",
            known               ? codes[response->code]
            : response->message ? response->message
                                : "no answer");
}

static void on_refused5(void *context, MQTTAsync_failureData5 *response)
{
    int code = response->reasonCode ? (int)response->reasonCode : response->code;
    const char *text = code >= 0x80 ? MQTTReasonCode_toString((enum MQTTReasonCodes)code) : response->message;
    refused(context, code >= 0x80 ? "the broker refused" : "cannot connect", text ? text : "no answer");
}

static int on_tls_error(const char *text, size_t size, void *context)
{
    leat_mqtt_link *link = context;
    int kept = size < sizeof link->tls_reason - 1 ? (int)size : (int)sizeof link->tls_reason - 1;
    pthread_mutex_lock(&link->lock);
    snprintf(link->tls_reason, sizeof link->tls_reason, "%.*s", kept, text);
    link->tls_reason[strcspn(link->tls_reason, "\n")] = 0;
    pthread_mutex_unlock(&link->lock);
    return 1;
}

// ---- life

static int create_client(leat_mqtt_link *link)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
    options.MQTTVersion = leat_mqtt_link_is_v5(link) ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    int rc =
        MQTTAsync_createWithOptions(&link->client, link->address, link->client_id,
                                    link->setup.persistence ? MQTTCLIENT_PERSISTENCE_USER : MQTTCLIENT_PERSISTENCE_NONE,
                                    link->setup.persistence, &options);
    if (rc == MQTTASYNC_SUCCESS)
        rc = MQTTAsync_setConnectionLostCallback(link->client, link, on_lost);
    if (rc == MQTTASYNC_SUCCESS)
        rc = MQTTAsync_setDisconnected(link->client, link, on_disconnect);
    if (rc == MQTTASYNC_SUCCESS && link->setup.on_message)
        rc = MQTTAsync_setMessageArrivedCallback(link->client, link->setup.context, link->setup.on_message);
    return rc;
}

leat_code leat_mqtt_link_open(leat_mqtt_link *link, const leat_mqtt_link_setup *setup, leat_error *out_error)
{
    const leat_mqtt_connection *connection = setup->connection;
    link->setup = *setup;
    link->leaving = false;
    leat_code code = leat_mqtt_address(connection->url, link->address, out_error);
    if (code != LEAT_OK)
        return code;
    const char *client_id = connection->client_id ? connection->client_id : setup->client_id;
    if (strlen(client_id) >= sizeof link->client_id)
        return leat_error_set(out_error, LEAT_E_INVALID, "client_id '%s' is too long", client_id);
    snprintf(link->client_id, sizeof link->client_id, "%s", client_id);
    if (!leat_mqtt_socket_watch(link))
        return leat_error_set(out_error, LEAT_E_CONFLICT, "client_id '%s' is used twice at %s", client_id,
                              connection->url);
    int rc = create_client(link);
    if (rc != MQTTASYNC_SUCCESS) {
        const char *text = MQTTAsync_strerror(rc);
        leat_mqtt_socket_forget(link);
        MQTTAsync_destroy(&link->client); // the handle is set even when create fails
        link->client = NULL;
        return leat_error_set(out_error, LEAT_E_INVALID, "no client for %s: %s (%d)", connection->url, text ? text : "",
                              rc);
    }
    return LEAT_OK;
}

static void add_number(MQTTProperties *properties, enum MQTTPropertyCodes identifier, uint32_t value)
{
    MQTTProperty property = {.identifier = identifier};
    if (identifier == MQTTPROPERTY_CODE_RECEIVE_MAXIMUM)
        property.value.integer2 = (unsigned short)value;
    else
        property.value.integer4 = value;
    MQTTProperties_add(properties, &property);
}

static int connect_client(leat_mqtt_link *link)
{
    const leat_mqtt_connection *connection = link->setup.connection;
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions options5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    MQTTProperties properties = MQTTProperties_initializer;
    if (leat_mqtt_link_is_v5(link)) {
        options = options5;
        options.MQTTVersion = MQTTVERSION_5;
        options.cleanstart = link->setup.clean;
        options.onSuccess5 = on_connected5;
        options.onFailure5 = on_refused5;
        add_number(&properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL,
                   link->setup.clean ? 0 : (uint32_t)link->setup.session_expiry_s);
        if (link->setup.receive_maximum)
            add_number(&properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, (uint32_t)link->setup.receive_maximum);
        options.connectProperties = &properties;
    } else {
        options.MQTTVersion = MQTTVERSION_3_1_1; // said outright: else paho falls back to 3.1 after a failure
        options.cleansession = link->setup.clean;
        options.onSuccess = on_connected;
        options.onFailure = on_refused;
    }
    options.context = link;
    options.keepAliveInterval = (int)(connection->keep_alive_ms / 1000);
    options.connectTimeout = (int)(connection->connect_timeout_ms / 1000);
    options.automaticReconnect = 0;
    if (link->setup.in_flight)
        options.maxInflight = link->setup.in_flight;
    options.username = connection->user;
    options.password = connection->password;
    if (strncmp(link->address, "ssl:", 4) == 0) {
        tls.trustStore = connection->ca;
        tls.keyStore = connection->certificate;
        tls.privateKey = connection->key;
        tls.privateKeyPassword = connection->key_password;
        tls.enableServerCertAuth = connection->verify;
        tls.verify = connection->verify; // the host name; paho's default leaves it unchecked
        tls.ssl_error_cb = on_tls_error;
        tls.ssl_error_context = link;
        options.ssl = &tls;
    }
    int rc = MQTTAsync_connect(link->client, &options);
    MQTTProperties_free(&properties);
    return rc;
}

void leat_mqtt_link_connect(leat_mqtt_link *link)
{
    pthread_mutex_lock(&link->lock);
    link->state = LEAT_MQTT_CONNECTING;
    link->attempt_ms = leat_boot_ms(link->setup.env);
    link->reason[0] = link->tls_reason[0] = 0;
    link->session_present = false;
    link->woken = false;
    pthread_mutex_unlock(&link->lock);
    atomic_store(&link->socket, -1);
    int rc = connect_client(link);
    if (rc == MQTTASYNC_SUCCESS)
        return;
    const char *text = MQTTAsync_strerror(rc);
    refused(link, "cannot connect", text ? text : "unknown error");
}

static void on_left(void *context, MQTTAsync_successData *response)
{
    (void)response;
    change(context, LEAT_MQTT_IDLE, NULL);
}

static void on_left5(void *context, MQTTAsync_successData5 *response)
{
    (void)response;
    change(context, LEAT_MQTT_IDLE, NULL);
}

static int disconnect_client(leat_mqtt_link *link, int flight_ms)
{
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    MQTTAsync_disconnectOptions options5 = MQTTAsync_disconnectOptions_initializer5;
    if (leat_mqtt_link_is_v5(link)) {
        options = options5;
        options.onSuccess5 = on_left5;
    } else {
        options.onSuccess = on_left;
    }
    options.context = link;
    options.timeout = flight_ms;
    return MQTTAsync_disconnect(link->client, &options);
}

static void await_not(leat_mqtt_link *link, leat_mqtt_state state, int64_t ms)
{
    int64_t until_ms = leat_boot_ms(link->setup.env) + ms;
    while (leat_mqtt_link_state(link) == state && leat_boot_ms(link->setup.env) < until_ms)
        leat_mqtt_link_await(link, 200);
}

void leat_mqtt_link_disconnect(leat_mqtt_link *link, int flight_ms, const char *reason)
{
    if (leat_mqtt_link_state(link) == LEAT_MQTT_CONNECTED && disconnect_client(link, flight_ms) == MQTTASYNC_SUCCESS)
        await_not(link, LEAT_MQTT_CONNECTED, flight_ms + DISCONNECT_MS);
    change(link, LEAT_MQTT_IDLE, reason);
}

void leat_mqtt_link_close(leat_mqtt_link *link)
{
    if (!link->client)
        return;
    // An attempt under way ends soon, or is given up with the client.
    await_not(link, LEAT_MQTT_CONNECTING, CLOSE_CONNECTING_MS);
    pthread_mutex_lock(&link->lock);
    link->leaving = true;
    pthread_mutex_unlock(&link->lock);
    leat_mqtt_link_disconnect(link, 500, "closed");
    MQTTAsync_destroy(&link->client);
    link->client = NULL;
    leat_mqtt_socket_forget(link);
}
