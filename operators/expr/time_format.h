// Times as text by a pattern of Java's DateTimeFormatter: y M d D H h k K m s S a E Q G, quoted text, and anything else as it is.
#pragma once

#include "operators/base/calendar.h"

// Appends; local milliseconds.
void leat_time_format(leat_slice pattern, int64_t local_ms, leat_writer *out);
// False when the text is not of the pattern, or no such day. Fields the pattern lacks are those of 1970-01-01 00:00:00.
bool leat_time_unformat(leat_slice pattern, leat_slice text, int64_t *out_local_ms);

// Texts without a pattern, each as Flink has it:
// yyyy-M-d or yyyy-M-d H:m:s[.fraction], nothing else; the 29th to 31st of a shorter month is its last day. CAST, TO_TIMESTAMP.
bool leat_time_read(leat_slice text, int64_t *out_local_ms);
// y, y-M or y-M-d, and anything behind a blank. CAST and TO_DATE.
bool leat_day_read(leat_slice text, int64_t *out_days);
// What TO_TIMESTAMP takes besides its pattern: y-M-d, or y-M-d H:m:s[.fraction]; what exceeds a field carries over.
bool leat_time_read_otherwise(leat_slice text, int64_t *out_local_ms);
// y-M-d H:m:s and anything behind; what exceeds a field carries over. The functions whose texts SimpleDateFormat reads.
bool leat_time_read_lenient(leat_slice text, int64_t *out_local_ms);
