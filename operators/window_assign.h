// Which windows a time lies in, for TUMBLE, HOP and CUMULATE, and when they are due. Pure arithmetic.
//
// Windows are cut into panes: the longest stretches whose times lie in the same windows (TUMBLE: the window; HOP: gcd of size and
// slide; CUMULATE: the step). A row belongs to one pane; the windows of a pane have the ends first_end, first_end + step,
// .. last_end. A window is known by its end.
//
// Two scales of time. Without a zone all times are instants. With one, windows are cut in the zone's local time, as Flink cuts
// those over TIMESTAMP_LTZ: a day has 23 hours when summer begins, and 25 when it ends. `leat_assigner_local` leads
// from an instant to the scale of windows, `leat_assigner_due` back: the last instant that lies in the window, which is what the
// watermark has to reach; where an hour comes twice, its second occurrence.
//
// Limits: times beyond +-LEAT_ASSIGN_TIME_MAX belong to no window (leat_assigner_fits), so that nothing here overflows.
#pragma once

#include "operators/base/limits.h"
#include "operators/core/spec.h"

#define LEAT_ASSIGN_TIME_MAX LEAT_WINDOW_MS_MAX

typedef struct leat_assigner {
    leat_window_kind kind;
    int64_t size_ms, step_ms, offset_ms, pane_ms;
    const struct leat_zone *zone; // NULL: windows lie in instants
} leat_assigner;

// Rejects what is not a window (LEAT_E_INVALID). time_kind: of the time column, LEAT_KIND_NULL when it is the batch's event time.
LEAT_MUST_CHECK leat_code leat_assigner_init(leat_assigner *assigner, const leat_window *window, uint8_t time_kind,
                                             leat_error *out_error);

int64_t leat_assigner_floor(int64_t time, int64_t size, int64_t offset); // greatest offset + k * size that is <= time
static inline bool leat_assigner_fits(int64_t time)
{
    return time > -LEAT_ASSIGN_TIME_MAX && time < LEAT_ASSIGN_TIME_MAX;
}
int64_t leat_assigner_local(const leat_assigner *assigner, int64_t instant);
static inline int64_t leat_assigner_pane(const leat_assigner *assigner, int64_t local)
{
    return leat_assigner_floor(local, assigner->pane_ms, assigner->offset_ms);
}
// Ends of the first and the last window that holds the pane; first > last when none does (a slide longer than the size).
int64_t leat_assigner_first_end(const leat_assigner *assigner, int64_t pane);
int64_t leat_assigner_last_end(const leat_assigner *assigner, int64_t pane);
int64_t leat_assigner_start(const leat_assigner *assigner, int64_t end); // of the window with this end
int64_t leat_assigner_due(const leat_assigner *assigner, int64_t end);
// The first end of the pane's windows that is due after `instant`; beyond last_end when none is.
int64_t leat_assigner_end_after(const leat_assigner *assigner, int64_t pane, int64_t instant);

// A window as it is written into a result: columns window_start, window_end, window_time, and the row's event time.
typedef struct leat_window_times {
    int64_t start, end, time, event_ms;
} leat_window_times;
// fields: of the three columns: TIMESTAMP is written in local time, TIMESTAMP_LTZ as an instant. zone: of the scale of start and end, NULL
// when they are instants. due: the window's last instant.
leat_window_times leat_window_times_of(const leat_field *fields, const struct leat_zone *zone, int64_t start,
                                       int64_t end, int64_t due);
