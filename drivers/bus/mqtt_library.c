// What leat_mqtt.so exports.
#include "drivers/sink.h"
#include "drivers/source.h"

extern const leat_source_ops leat_source_mqtt_ops;
extern const leat_sink_ops leat_sink_mqtt_ops;

static const leat_source_ops *const sources[] = {&leat_source_mqtt_ops, NULL};
static const leat_sink_ops *const sinks[] = {&leat_sink_mqtt_ops, NULL};

extern const leat_driver_library leat_driver_library_entry;
const leat_driver_library leat_driver_library_entry = {
    .abi = LEAT_DRIVER_ABI,
    .sources = sources,
    .sinks = sinks,
};
