// The catalog that config is handed, and the drivers that need no shared object; both from drivers.def.
#include <string.h>

#include "drivers/format.h"
#include "drivers/sink.h"
#include "drivers/source.h"

#define SOURCE(name)                                                                                                   \
    extern const leat_source_description leat_source_##name##_description;                                             \
    extern const leat_source_ops leat_source_##name##_ops;
#define SOURCE_MODULE(name) extern const leat_source_description leat_source_##name##_description;
#define SINK(name)                                                                                                     \
    extern const leat_sink_description leat_sink_##name##_description;                                                 \
    extern const leat_sink_ops leat_sink_##name##_ops;
#define SINK_MODULE(name) extern const leat_sink_description leat_sink_##name##_description;
#define FORMAT(name)                                                                                                   \
    extern const leat_format_description leat_format_##name##_description;                                             \
    extern const leat_format_ops leat_format_##name##_ops;
#include "drivers/drivers.def"
#undef SOURCE
#undef SOURCE_MODULE
#undef SINK
#undef SINK_MODULE
#undef FORMAT

#define NOTHING(name)

static const leat_source_description *const sources[] = {
#define SOURCE(name) &leat_source_##name##_description,
#define SOURCE_MODULE(name) &leat_source_##name##_description,
#define SINK NOTHING
#define SINK_MODULE NOTHING
#define FORMAT NOTHING
#include "drivers/drivers.def"
#undef SOURCE
#undef SOURCE_MODULE
#undef SINK
#undef SINK_MODULE
    NULL,
};

static const leat_sink_description *const sinks[] = {
#define SOURCE NOTHING
#define SOURCE_MODULE NOTHING
#define SINK(name) &leat_sink_##name##_description,
#define SINK_MODULE(name) &leat_sink_##name##_description,
#include "drivers/drivers.def"
#undef SINK
#undef SINK_MODULE
#undef FORMAT
    NULL,
};

#define SINK NOTHING
#define SINK_MODULE NOTHING
static const leat_format_description *const formats[] = {
#define FORMAT(name) &leat_format_##name##_description,
#include "drivers/drivers.def"
#undef FORMAT
    NULL,
};

static const leat_format_ops *const format_ops[] = {
#define FORMAT(name) &leat_format_##name##_ops,
#include "drivers/drivers.def"
#undef FORMAT
    NULL,
};
#undef SOURCE

#define FORMAT NOTHING
static const leat_source_ops *const source_ops[] = {
#define SOURCE(name) &leat_source_##name##_ops,
#include "drivers/drivers.def"
#undef SOURCE
    NULL,
};
#undef SINK

static const leat_sink_ops *const sink_ops[] = {
#define SOURCE NOTHING
#define SINK(name) &leat_sink_##name##_ops,
#include "drivers/drivers.def"
    NULL,
};

static const leat_driver_catalog catalog = {sources, sinks, formats};

const leat_driver_catalog *leat_driver_catalog_get(void) { return &catalog; }

static const leat_source_description *source_description(const char *name)
{
    for (const leat_source_description *const *entry = sources; *entry; entry++)
        if (strcmp((*entry)->name, name) == 0)
            return *entry;
    return NULL;
}

// A bad table dies here, at start, and not in the field.
static void check_source(const leat_source_ops *ops)
{
    const leat_source_description *description = source_description(ops->name);
    LEAT_ASSERT(ops->abi == LEAT_DRIVER_ABI && ops->size == sizeof *ops);
    LEAT_ASSERT(description && ops->open && ops->close && ops->instance_size >= sizeof(leat_source));
    if (description->replayable)
        LEAT_ASSERT(ops->pull && ops->seek && ops->position);
    else
        LEAT_ASSERT(ops->run && ops->stop);
    LEAT_ASSERT(!description->decodes || ops->decode);
}

const leat_source_ops *leat_source_find(const char *name)
{
    for (const leat_source_ops *const *entry = source_ops; *entry; entry++)
        if (strcmp((*entry)->name, name) == 0) {
            check_source(*entry);
            return *entry;
        }
    return NULL;
}

const leat_sink_ops *leat_sink_find(const char *name)
{
    for (const leat_sink_ops *const *entry = sink_ops; *entry; entry++) {
        const leat_sink_ops *ops = *entry;
        if (strcmp(ops->name, name) != 0)
            continue;
        LEAT_ASSERT(ops->abi == LEAT_DRIVER_ABI && ops->size == sizeof *ops);
        LEAT_ASSERT(ops->open && ops->send && ops->flush && ops->close);
        return ops;
    }
    return NULL;
}

const leat_format_ops *leat_format_find(const char *name)
{
    for (const leat_format_ops *const *entry = format_ops; *entry; entry++)
        if (strcmp((*entry)->name, name) == 0)
            return *entry;
    return NULL;
}
