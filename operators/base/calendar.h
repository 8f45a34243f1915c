// Instants, civil dates and their texts. Event time is int64 milliseconds since 1970-01-01T00:00:00Z.
//
// Source: H. Hinnant, "chrono-compatible low-level date algorithms". Years 1..9999; proleptic Gregorian calendar.
#pragma once

#include "operators/base/bytes.h"

typedef struct leat_civil {
    int32_t year;       // 1..9999
    uint8_t month, day; // 1..12, 1..31
    uint8_t hour, minute, second;
    uint16_t millisecond;
} leat_civil;

int64_t leat_civil_to_ms(const leat_civil *civil);          // as if UTC
void leat_civil_from_ms(int64_t ms, leat_civil *out_civil); // floor for times before 1970
int64_t leat_days_from_civil(int32_t year, unsigned month, unsigned day);
unsigned leat_days_in_month(int32_t year, unsigned month);

// "2020-10-10 00:00:01[.fff...]" or with T, seconds optional; more than 3 digits of fraction are cut. A zone (Z, +02:00) is
// accepted when out_has_zone is not NULL and has then been applied. False when it is no such text or no such day.
bool leat_timestamp_parse(leat_slice text, int64_t *out_ms, bool *out_has_zone);
bool leat_date_parse(leat_slice text, int64_t *out_days);
bool leat_time_parse(leat_slice text, int64_t *out_ms_of_day);
enum { LEAT_TIMESTAMP_TEXT = 40 };
size_t leat_timestamp_print(int64_t ms, char separator, char out_text[LEAT_TIMESTAMP_TEXT]); // always with 3 digits
size_t leat_date_print(int64_t days, char out_text[LEAT_TIMESTAMP_TEXT]);
size_t leat_time_print(int64_t ms_of_day, char out_text[LEAT_TIMESTAMP_TEXT]);
// "500ms", "2s", "1m", "1h", "1d", and sums of them ("1h30m"); a bare number is refused. Negative is refused.
bool leat_duration_parse(leat_slice text, int64_t *out_ms);
size_t leat_duration_print(int64_t ms, char out_text[LEAT_TIMESTAMP_TEXT]);
// "64MiB", "10kB", "1GiB", "512" (bytes).
bool leat_size_parse(leat_slice text, uint64_t *out_bytes);

// A time zone of the tz database, read from /usr/share/zoneinfo (TZif, RFC 8536), immutable after open. "UTC" needs no file.
typedef struct leat_zone leat_zone;
LEAT_MUST_CHECK leat_code leat_zone_open(leat_env *env, leat_arena *arena, const char *iana_name, leat_zone **out_zone,
                                         leat_error *out_error);
int64_t leat_zone_offset_ms(const leat_zone *zone, int64_t instant_ms); // local = instant + offset; NULL zone is UTC
int64_t leat_zone_to_local_ms(const leat_zone *zone, int64_t instant_ms);
// The instant of a local time; in a gap the time after the jump, in an overlap the earlier offset (java.time's rule).
int64_t leat_zone_from_local_ms(const leat_zone *zone, int64_t local_ms);
