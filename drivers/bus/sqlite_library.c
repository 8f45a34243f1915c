// What leat_sqlite.so exports.
#include "drivers/source.h"

extern const leat_source_ops leat_source_sqlite_ops;
extern const leat_driver_library leat_driver_library_entry;

static const leat_source_ops *const sources[] = {&leat_source_sqlite_ops, NULL};

const leat_driver_library leat_driver_library_entry = {.abi = LEAT_DRIVER_ABI, .sources = sources};
