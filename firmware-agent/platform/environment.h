// Variables of the process's environment, for `${NAME}` secrets.
#pragma once

const char *leat_environment_get(const char *name); // NULL: not set; lives as long as the process
