#include "operators/window_assign.h"

#include "operators/base/calendar.h"

static const int64_t DAY_MS = 86400000;

static int64_t greatest_common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static leat_code check(const leat_window *window, leat_error *out_error)
{
    int64_t step = window->kind == LEAT_WINDOW_TUMBLE ? window->size_ms : window->slide_ms;
    if (window->size_ms <= 0 || step <= 0)
        return leat_error_set(out_error, LEAT_E_INVALID, "expected a window of at least 1 ms, found %lld and %lld ms",
                              (long long)window->size_ms, (long long)step);
    if (window->size_ms >= LEAT_ASSIGN_TIME_MAX || step >= LEAT_ASSIGN_TIME_MAX)
        return leat_error_set(out_error, LEAT_E_LIMIT, "a window of %lld ms is too long", (long long)window->size_ms);
    if (window->kind == LEAT_WINDOW_CUMULATE && window->size_ms % step)
        return leat_error_set(out_error, LEAT_E_INVALID,
                              "expected the size of CUMULATE to be a multiple of its step, found %lld and %lld ms",
                              (long long)window->size_ms, (long long)step);
    int64_t around = window->kind == LEAT_WINDOW_HOP ? step : window->size_ms;
    if (window->offset_ms <= -around || window->offset_ms >= around)
        return leat_error_set(out_error, LEAT_E_INVALID, "expected an offset below %lld ms, found %lld ms",
                              (long long)around, (long long)window->offset_ms);
    return LEAT_OK;
}

leat_code leat_assigner_init(leat_assigner *assigner, const leat_window *window, uint8_t time_kind,
                             leat_error *out_error)
{
    LEAT_ASSERT(window->kind != LEAT_WINDOW_SESSION);
    leat_code code = check(window, out_error);
    if (code != LEAT_OK)
        return code;
    int64_t step = window->kind == LEAT_WINDOW_TUMBLE ? window->size_ms : window->slide_ms;
    *assigner = (leat_assigner){
        .kind = window->kind,
        .size_ms = window->size_ms,
        .step_ms = step,
        .offset_ms = window->offset_ms,
        .pane_ms = window->kind == LEAT_WINDOW_HOP ? greatest_common_divisor(window->size_ms, step) : step,
        .zone = time_kind == LEAT_KIND_TIMESTAMP ? NULL : window->zone,
    };
    return LEAT_OK;
}

int64_t leat_assigner_floor(int64_t time, int64_t size, int64_t offset)
{
    int64_t rest = (time - offset) % size;
    return time - (rest < 0 ? rest + size : rest);
}

int64_t leat_assigner_local(const leat_assigner *assigner, int64_t instant)
{
    return assigner->zone ? leat_zone_to_local_ms(assigner->zone, instant) : instant;
}

int64_t leat_assigner_first_end(const leat_assigner *assigner, int64_t pane)
{
    if (assigner->kind != LEAT_WINDOW_HOP)
        return pane + assigner->step_ms;
    // The first start on the grid that is later than pane - size.
    int64_t start =
        leat_assigner_floor(pane - assigner->size_ms, assigner->step_ms, assigner->offset_ms) + assigner->step_ms;
    return start + assigner->size_ms;
}

int64_t leat_assigner_last_end(const leat_assigner *assigner, int64_t pane)
{
    if (assigner->kind == LEAT_WINDOW_HOP)
        return leat_assigner_floor(pane, assigner->step_ms, assigner->offset_ms) + assigner->size_ms;
    return leat_assigner_floor(pane, assigner->size_ms, assigner->offset_ms) + assigner->size_ms;
}

int64_t leat_assigner_start(const leat_assigner *assigner, int64_t end)
{
    if (assigner->kind != LEAT_WINDOW_CUMULATE)
        return end - assigner->size_ms;
    return leat_assigner_floor(end - 1, assigner->size_ms, assigner->offset_ms);
}

// First instant of the jump that makes a local time before `end` one that is not, between two instants a day or less apart.
static int64_t first_not_before(const struct leat_zone *zone, int64_t end, int64_t low, int64_t high)
{
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (leat_zone_to_local_ms(zone, middle) < end)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t leat_assigner_due(const leat_assigner *assigner, int64_t end)
{
    const struct leat_zone *zone = assigner->zone;
    if (!zone)
        return end - 1;
    int64_t before = leat_zone_offset_ms(zone, end - 2 * DAY_MS), after = leat_zone_offset_ms(zone, end + 2 * DAY_MS);
    int64_t by_before = end - 1 - before, by_after = end - 1 - after; // the last local time that lies in the window
    bool is_before = leat_zone_offset_ms(zone, by_before) == before,
         is_after = leat_zone_offset_ms(zone, by_after) == after;
    int64_t later = by_before > by_after ? by_before : by_after;
    if (is_before && is_after)
        return later; // also where an hour comes twice
    if (is_before || is_after)
        return is_after ? by_after : by_before;
    return first_not_before(zone, end - 1, by_before < by_after ? by_before : by_after, later) - 1; // jumped over
}

int64_t leat_assigner_end_after(const leat_assigner *assigner, int64_t pane, int64_t instant)
{
    int64_t end = leat_assigner_first_end(assigner, pane), last = leat_assigner_last_end(assigner, pane);
    if (instant >= LEAT_ASSIGN_TIME_MAX)
        return last + assigner->step_ms;
    // Local time and instants are less than two days apart: jump nearly there, then look.
    int64_t behind = instant > end ? instant - end - 2 * DAY_MS : 0;
    if (behind > assigner->step_ms)
        end += behind / assigner->step_ms * assigner->step_ms;
    while (end <= last && leat_assigner_due(assigner, end) <= instant)
        end += assigner->step_ms;
    return end;
}

static int64_t as_column(const struct leat_zone *zone, leat_type type, int64_t local)
{
    return zone && type.kind == LEAT_KIND_TIMESTAMP_LTZ ? leat_zone_from_local_ms(zone, local) : local;
}

leat_window_times leat_window_times_of(const leat_field *fields, const struct leat_zone *zone, int64_t start,
                                       int64_t end, int64_t due)
{
    bool instant = fields[2].type.kind == LEAT_KIND_TIMESTAMP_LTZ;
    return (leat_window_times){
        .start = as_column(zone, fields[0].type, start),
        .end = as_column(zone, fields[1].type, end),
        .time = zone && instant ? due : end - 1,
        .event_ms = due,
    };
}
