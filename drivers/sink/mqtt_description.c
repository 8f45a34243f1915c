// What `mqtt` understands as a sink. The driver is mqtt.c, in leat_mqtt.so.
#include "drivers/bus/mqtt_settings.h"
#include "drivers/driver.h"

static leat_code check_sink(const void *settings, leat_error *out_error)
{
    const leat_mqtt_sink_settings *mqtt = settings;
    return leat_mqtt_connection_check(&mqtt->connection, out_error);
}

// MQTT 5 has user properties for the id.
static char guarantee_with(const void *settings)
{
    const leat_mqtt_sink_settings *mqtt = settings;
    if (mqtt->qos == 0)
        return 'N';
    return mqtt->connection.version == LEAT_MQTT_5 ? 'P' : 'I';
}

#define MEMBER(name) offsetof(leat_mqtt_sink_settings, name)
static const leat_setting settings_table[] = {
    LEAT_MQTT_CONNECTION_ROWS(leat_mqtt_sink_settings),
    {.name = "qos",
     .type = LEAT_SETTING_INTEGER,
     .offset = MEMBER(qos),
     .default_text = "1",
     .minimum = 0,
     .maximum = 2,
     .text = "0: sent once, may be lost; 1 and 2: sent until the broker has taken it."},
    {.name = "retain",
     .type = LEAT_SETTING_BOOLEAN,
     .offset = MEMBER(retain),
     .default_text = "false",
     .text = "Let the broker keep the last message of each topic for those who subscribe later."},
    {.name = "in_flight",
     .type = LEAT_SETTING_INTEGER,
     .offset = MEMBER(in_flight),
     .default_text = "50",
     .minimum = 1,
     .maximum = 100,
     .text = "How many messages may be under way before the broker has answered."},
};

const leat_sink_description leat_sink_mqtt_description = {
    .name = "mqtt",
    .summary = "messages to an MQTT broker, with the result's id",
    .library = "leat_mqtt.so",
    .settings = {settings_table, sizeof settings_table / sizeof *settings_table, sizeof(leat_mqtt_sink_settings)},
    .takes_upsert = true,
    .needs_topic = true,
    .guarantee = 'I',
    .guarantee_text =
        "exactly once up to the broker after dedup by id (user property `id` with MQTT 5, or in the payload); qos 0: "
        "may be lost",
    .guarantee_with = guarantee_with,
    .check = check_sink,
};
