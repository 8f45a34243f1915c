// The commands of the program: `leat run|check|explain|status|version`, their help and exit codes (sysexits).
#pragma once

// Returns the process's exit code.
int leat_command_run(int count, char **arguments);
