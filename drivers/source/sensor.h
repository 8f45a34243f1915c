// The settings of the sensor source, as its description stores them.
#pragma once

#include "drivers/source.h"

typedef struct leat_sensor_settings {
    leat_text_list devices; // "hwmon/lm75/temp1"
    const char *root;       // of sysfs
    int64_t every_ms;
} leat_sensor_settings;

extern const leat_source_description leat_source_sensor_description;
extern const leat_source_ops leat_source_sensor_ops;
