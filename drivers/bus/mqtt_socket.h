// Finds the socket of a link, in the trace of paho. See mqtt_link.h for why.
#pragma once

#include "drivers/bus/mqtt_link.h"

// False: another link has the same address and client id. The process's one idle client is made here, too.
bool leat_mqtt_socket_watch(leat_mqtt_link *link);
void leat_mqtt_socket_forget(leat_mqtt_link *link);
