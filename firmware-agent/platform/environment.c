#include "firmware-agent/platform/environment.h"

#include <stdlib.h>

const char *leat_environment_get(const char *name) { return getenv(name); }
