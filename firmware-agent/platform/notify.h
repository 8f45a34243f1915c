// Tells systemd how we are (sd_notify's protocol, without its library): a datagram to the socket in $NOTIFY_SOCKET.
//
// Without that variable nothing happens. Threads: any. Failure: none that matters.
#pragma once

#include <stdint.h>

void leat_notify(const char *state);   // "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=..."
int64_t leat_notify_watchdog_ms(void); // how often systemd wants to hear WATCHDOG=1; 0: it does not
