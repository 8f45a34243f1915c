// The settings of the MQTT source and sink, as their descriptions store them (compiled into the agent) and the module reads them.
#pragma once

#include "operators/core/setting.h"

enum { LEAT_MQTT_ADDRESS_SIZE = 320, LEAT_MQTT_CLIENT_ID_SIZE = 160 };

typedef enum leat_mqtt_version { LEAT_MQTT_5 = 0, LEAT_MQTT_3_1_1 } leat_mqtt_version;
typedef enum leat_mqtt_retained { LEAT_MQTT_RETAINED_DELIVER = 0, LEAT_MQTT_RETAINED_IGNORE } leat_mqtt_retained;
typedef enum leat_mqtt_ack { LEAT_MQTT_ACK_DURABLE = 0, LEAT_MQTT_ACK_FAST } leat_mqtt_ack;

typedef struct leat_mqtt_connection {
    const char *url;
    int32_t version;       // leat_mqtt_version
    const char *client_id; // NULL: made from the names of agent and source or sink
    int64_t keep_alive_ms;
    int64_t connect_timeout_ms;
    const char *user, *password;
    const char *ca, *certificate, *key, *key_password;
    bool verify;
    int64_t reconnect_min_ms, reconnect_max_ms;
} leat_mqtt_connection;

typedef struct leat_mqtt_source_settings {
    leat_mqtt_connection connection;
    leat_text_list topics;
    int64_t qos;
    bool clean;
    int64_t session_expiry_ms;
    int32_t retained; // leat_mqtt_retained
    int32_t ack;      // leat_mqtt_ack
} leat_mqtt_source_settings;

typedef struct leat_mqtt_sink_settings {
    leat_mqtt_connection connection;
    int64_t qos;
    bool retain;
    int64_t in_flight;
} leat_mqtt_sink_settings;

// mqtt://HOST[:PORT] or mqtts://HOST[:PORT] into what paho takes (tcp://HOST:PORT, ssl://HOST:PORT).
LEAT_MUST_CHECK leat_code leat_mqtt_address(const char *url, char out_address[LEAT_MQTT_ADDRESS_SIZE],
                                            leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_mqtt_connection_check(const leat_mqtt_connection *connection, leat_error *out_error);

extern const char *const leat_mqtt_versions[];

// Rows of a settings table, for a struct that has a leat_mqtt_connection as its member `connection`.
#define LEAT_MQTT_CONNECTION_ROWS(owner)                                                                               \
    {.name = "url",                                                                                                    \
     .type = LEAT_SETTING_TEXT,                                                                                        \
     .offset = offsetof(owner, connection.url),                                                                        \
     .required = true,                                                                                                 \
     .text = "Broker: mqtt://HOST[:1883], or mqtts://HOST[:8883] for TLS."},                                           \
        {.name = "version",                                                                                            \
         .type = LEAT_SETTING_CHOICE,                                                                                  \
         .offset = offsetof(owner, connection.version),                                                                \
         .default_text = "5",                                                                                          \
         .choices = leat_mqtt_versions,                                                                                \
         .text = "Version of MQTT."},                                                                                  \
        {.name = "client_id",                                                                                          \
         .type = LEAT_SETTING_TEXT,                                                                                    \
         .offset = offsetof(owner, connection.client_id),                                                              \
         .text = "Name at the broker, its own for every client; by default leat-AGENT-SOURCE, leat-AGENT-SINK-out."},  \
        {.name = "keep_alive",                                                                                         \
         .type = LEAT_SETTING_DURATION,                                                                                \
         .offset = offsetof(owner, connection.keep_alive_ms),                                                          \
         .default_text = "30s",                                                                                        \
         .minimum = 5000,                                                                                              \
         .maximum = 65535000,                                                                                          \
         .text = "How long the line may be silent before the other end is asked for a sign of life."},                 \
        {.name = "connect_timeout",                                                                                    \
         .type = LEAT_SETTING_DURATION,                                                                                \
         .offset = offsetof(owner, connection.connect_timeout_ms),                                                     \
         .default_text = "10s",                                                                                        \
         .minimum = 1000,                                                                                              \
         .maximum = 120000,                                                                                            \
         .text = "How long one attempt to connect may take."},                                                         \
        {.name = "user",                                                                                               \
         .type = LEAT_SETTING_TEXT,                                                                                    \
         .offset = offsetof(owner, connection.user),                                                                   \
         .text = "User name at the broker."},                                                                          \
        {.name = "password",                                                                                           \
         .type = LEAT_SETTING_SECRET,                                                                                  \
         .offset = offsetof(owner, connection.password),                                                               \
         .text = "Password at the broker; by reference: file:PATH or ${ENV}."},                                        \
        {.name = "ca",                                                                                                 \
         .type = LEAT_SETTING_PATH,                                                                                    \
         .offset = offsetof(owner, connection.ca),                                                                     \
         .text =                                                                                                       \
             "PEM file of the authorities that may sign the broker's certificate; by default those of the system."},   \
        {.name = "certificate",                                                                                        \
         .type = LEAT_SETTING_PATH,                                                                                    \
         .offset = offsetof(owner, connection.certificate),                                                            \
         .text = "PEM file of our own certificate (and chain), for brokers that ask for one."},                        \
        {.name = "key",                                                                                                \
         .type = LEAT_SETTING_PATH,                                                                                    \
         .offset = offsetof(owner, connection.key),                                                                    \
         .text = "PEM file of its private key."},                                                                      \
        {.name = "key_password",                                                                                       \
         .type = LEAT_SETTING_SECRET,                                                                                  \
         .offset = offsetof(owner, connection.key_password),                                                           \
         .text = "What the private key is encrypted with."},                                                           \
        {.name = "verify",                                                                                             \
         .type = LEAT_SETTING_BOOLEAN,                                                                                 \
         .offset = offsetof(owner, connection.verify),                                                                 \
         .default_text = "true",                                                                                       \
         .text = "Check the broker's certificate, chain and host name. Turn it off for experiments only."},            \
        {.name = "reconnect_min",                                                                                      \
         .type = LEAT_SETTING_DURATION,                                                                                \
         .offset = offsetof(owner, connection.reconnect_min_ms),                                                       \
         .default_text = "1s",                                                                                         \
         .minimum = 10,                                                                                                \
         .maximum = 3600000,                                                                                           \
         .text = "First pause before connecting again; it doubles, with jitter, up to reconnect_max."},                \
    {                                                                                                                  \
        .name = "reconnect_max", .type = LEAT_SETTING_DURATION,                                                        \
        .offset = offsetof(owner, connection.reconnect_max_ms), .default_text = "60s", .minimum = 10,                  \
        .maximum = 3600000, .text = "Longest pause before connecting again."                                           \
    }
