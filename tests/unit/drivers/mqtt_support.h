// What the tests of the MQTT drivers share: a broker of their own in every test.
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/bus/mqtt_settings.h"
#include "firmware-agent/platform/env_posix.h"
#include "tests/support/driver_probe.h"

static leat_env *env;
static probe_broker broker;
static char journal_path[PROBE_PATH + 40];
static int test_number;

static inline leat_mqtt_connection connection_to(const probe_broker *to, char url[64])
{
    snprintf(url, 64, "mqtt://127.0.0.1:%d", to->port);
    return (leat_mqtt_connection){.url = url,
                                  .keep_alive_ms = 10000,
                                  .connect_timeout_ms = 5000,
                                  .verify = true,
                                  .reconnect_min_ms = 20,
                                  .reconnect_max_ms = 200};
}

static inline int set_up(void **state)
{
    (void)state;
    probe_broker_create(&broker);
    snprintf(journal_path, sizeof journal_path, "%s/journal", broker.directory);
    test_number++;
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    probe_broker_destroy(&broker);
    return 0;
}

static inline const char *text_of(char text[16], long number)
{
    snprintf(text, 16, "%ld", number);
    return text;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
