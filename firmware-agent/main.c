// leat: the command line.
#include <stdio.h>

#include "firmware-agent/control/command.h"

int main(int count, char **arguments) { return leat_command_run(count, arguments); }
