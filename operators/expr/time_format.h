// Times as text by a pattern of Java's DateTimeFormatter: y M d H h m s S a E, quoted text, and anything else as it is.
#pragma once

#include "operators/base/calendar.h"

// Appends; local milliseconds.
void leat_time_format(leat_slice pattern, int64_t local_ms, leat_writer *out);
// False when the text is not of the pattern, or no such day. Fields the pattern lacks are those of 1970-01-01 00:00:00.
bool leat_time_unformat(leat_slice pattern, leat_slice text, int64_t *out_local_ms);
