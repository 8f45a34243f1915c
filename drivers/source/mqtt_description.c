// What `mqtt` understands as a source, and the address that source and sink share. The driver is mqtt.c, in leat_mqtt.so.
#include <stdio.h>
#include <string.h>

#include "drivers/bus/mqtt_settings.h"
#include "drivers/driver.h"

const char *const leat_mqtt_versions[] = {"5", "3.1.1", NULL};

static bool take_prefix(const char **text, const char *prefix)
{
    size_t size = strlen(prefix);
    if (strncmp(*text, prefix, size) != 0)
        return false;
    *text += size;
    return true;
}

// Digits up to the end of the text, 1..65535; 0: not that.
static unsigned port_of(const char *text)
{
    unsigned port = 0;
    for (; *text >= '0' && *text <= '9' && port <= 65535; text++)
        port = port * 10 + (unsigned)(*text - '0');
    return *text || port > 65535 ? 0 : port;
}

leat_code leat_mqtt_address(const char *url, char out_address[LEAT_MQTT_ADDRESS_SIZE], leat_error *out_error)
{
    const char *rest = url;
    bool tls = take_prefix(&rest, "mqtts://") || take_prefix(&rest, "ssl://");
    if (!tls && !take_prefix(&rest, "mqtt://") && !take_prefix(&rest, "tcp://"))
        return leat_error_set(out_error, LEAT_E_INVALID,
                              "url: expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT], found '%s'", url);
    if (strchr(rest, '@'))
        return leat_error_set(out_error, LEAT_E_INVALID,
                              "url: user and password are settings of their own, not part of the url");
    const char *host_end = *rest == '[' ? strchr(rest, ']') : strchr(rest, ':');
    if (*rest == '[')
        host_end = host_end ? host_end + 1 : rest; // without its end: nothing
    size_t host_size = host_end ? (size_t)(host_end - rest) : strlen(rest);
    unsigned port = tls ? 8883 : 1883;
    if (host_end && *host_end == ':')
        port = port_of(host_end + 1);
    if (!host_size || host_size > 255 || memchr(rest, '/', host_size) || !port ||
        (host_end && *host_end && *host_end != ':'))
        return leat_error_set(out_error, LEAT_E_INVALID, "url: expected HOST[:PORT] behind the scheme, found '%s'",
                              rest);
    snprintf(out_address, LEAT_MQTT_ADDRESS_SIZE, "%s://%.*s:%u", tls ? "ssl" : "tcp", (int)host_size, rest, port);
    return LEAT_OK;
}

leat_code leat_mqtt_connection_check(const leat_mqtt_connection *connection, leat_error *out_error)
{
    char address[LEAT_MQTT_ADDRESS_SIZE];
    leat_code code = leat_mqtt_address(connection->url, address, out_error);
    if (code != LEAT_OK)
        return code;
    bool tls = strncmp(address, "ssl:", 4) == 0;
    if (!tls && (connection->ca || connection->certificate || connection->key))
        return leat_error_set(out_error, LEAT_E_INVALID, "url: `ca`, `certificate` and `key` need mqtts://, found '%s'",
                              connection->url);
    if (connection->key && !connection->certificate)
        return leat_error_set(out_error, LEAT_E_INVALID, "key: a private key needs its `certificate`");
    if (connection->password && !connection->user)
        return leat_error_set(out_error, LEAT_E_INVALID, "password: a password needs a `user`");
    if (connection->client_id && (!*connection->client_id || strlen(connection->client_id) >= LEAT_MQTT_CLIENT_ID_SIZE))
        return leat_error_set(out_error, LEAT_E_INVALID, "client_id: expected 1 to %d bytes",
                              LEAT_MQTT_CLIENT_ID_SIZE - 1);
    if (connection->reconnect_min_ms > connection->reconnect_max_ms)
        return leat_error_set(out_error, LEAT_E_INVALID, "reconnect_min is longer than reconnect_max");
    return LEAT_OK;
}

// MQTT 4.7: '+' fills a level, '#' is the last one.
static bool is_filter(const char *filter)
{
    size_t size = strlen(filter);
    if (size == 0 || size > 65535)
        return false;
    for (const char *level = filter;; level++) {
        size_t length = strcspn(level, "/");
        if (memchr(level, '#', length) && (length != 1 || level[1]))
            return false;
        if (memchr(level, '+', length) && length != 1)
            return false;
        level += length;
        if (!*level)
            return true;
    }
}

static leat_code check_source(const void *settings, const leat_source_field *fields, uint32_t field_count,
                              leat_error *out_error)
{
    const leat_mqtt_source_settings *mqtt = settings;
    (void)fields;
    (void)field_count;
    if (mqtt->topics.count == 0)
        return leat_error_set(out_error, LEAT_E_INVALID, "topic: expected at least one topic filter");
    for (uint32_t i = 0; i < mqtt->topics.count; i++)
        if (!is_filter(mqtt->topics.items[i]))
            return leat_error_set(
                out_error, LEAT_E_INVALID,
                "topic: '%s' is no topic filter: '+' stands alone in its level, '#' alone in the last one",
                mqtt->topics.items[i]);
    return leat_mqtt_connection_check(&mqtt->connection, out_error);
}

static const char *const retained_choices[] = {"deliver", "ignore", NULL};
static const char *const ack_choices[] = {"durable", "fast", NULL};

#define MEMBER(name) offsetof(leat_mqtt_source_settings, name)
static const leat_setting settings_table[] = {
    LEAT_MQTT_CONNECTION_ROWS(leat_mqtt_source_settings),
    {.name = "topic",
     .type = LEAT_SETTING_TEXT_LIST,
     .offset = MEMBER(topics),
     .required = true,
     .text = "Topic filter, or a list of them; + stands for one level, # for all that follow."},
    {.name = "qos",
     .type = LEAT_SETTING_INTEGER,
     .offset = MEMBER(qos),
     .default_text = "1",
     .minimum = 0,
     .maximum = 2,
     .text = "0: may be lost; 1: none lost, doubled after a crash; 2: none lost, none doubled."},
    {.name = "clean",
     .type = LEAT_SETTING_BOOLEAN,
     .offset = MEMBER(clean),
     .default_text = "false",
     .text = "Start without the broker's memory of us: what was published while we were away is not received."},
    {.name = "session_expiry",
     .type = LEAT_SETTING_DURATION,
     .offset = MEMBER(session_expiry_ms),
     .default_text = "7d",
     .minimum = 1000,
     .maximum = 2147483647000.0,
     .text = "How long the broker keeps messages for us while we are away (MQTT 5)."},
    {.name = "retained",
     .type = LEAT_SETTING_CHOICE,
     .offset = MEMBER(retained),
     .default_text = "deliver",
     .choices = retained_choices,
     .text = "What becomes of retained messages, which the broker sends to a new subscriber."},
    {.name = "ack",
     .type = LEAT_SETTING_CHOICE,
     .offset = MEMBER(ack),
     .default_text = "durable",
     .choices = ack_choices,
     .text = "When a message is acknowledged: once it is on disk, or at once (fast; a power cut loses the last ones)."},
};

const leat_source_description leat_source_mqtt_description = {
    .name = "mqtt",
    .summary = "messages of an MQTT broker, kept on disk before they are acknowledged",
    .library = "leat_mqtt.so",
    .settings = {settings_table, sizeof settings_table / sizeof *settings_table, sizeof(leat_mqtt_source_settings)},
    .implicit = LEAT_IMPLICIT_SOURCE | LEAT_IMPLICIT_TS | LEAT_IMPLICIT_TOPIC,
    .check = check_source,
};
