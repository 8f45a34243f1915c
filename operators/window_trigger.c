#include "operators/window_trigger.h"

static void set(leat_window_timer *timer, leat_window_clock clock, int64_t due_ms)
{
    *timer = (leat_window_timer){.due_ms = due_ms, .set = true, .clock = (uint8_t)clock};
}

unsigned leat_trigger_fire(const leat_window_stream_spec *spec)
{
    return LEAT_TRIGGER_FIRE | (spec->purging ? LEAT_TRIGGER_PURGE : 0);
}

static leat_window_clock clock_of(const leat_window_stream_spec *spec)
{
    bool processing =
        spec->trigger == LEAT_TRIGGER_PROCESSING_TIME || spec->trigger == LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME;
    return processing ? LEAT_WINDOW_PROCESSING : LEAT_WINDOW_EVENT;
}

// ---- continuous: the next firing is on the grid of the interval, but not behind the window's end

// Flink's firing by the clock ends with the window: at its last instant, or at once where the clock has left that behind. Beside a
// firing at the end by event time it goes on, or rows that come while the watermark is on its way would wait for that end.
static bool ends_by_clock(const leat_window_stream_spec *spec)
{
    return spec->trigger == LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME && !spec->trigger_at_end;
}

static void next_fire(const leat_window_stream_spec *spec, leat_stream_window *window, int64_t after_ms)
{
    int64_t interval = spec->trigger_interval_ms;
    int64_t next = after_ms > LEAT_TIME_MAX - interval ? LEAT_TIME_MAX : after_ms + interval;
    bool bounded = clock_of(spec) == LEAT_WINDOW_EVENT || ends_by_clock(spec) || window->max_ms > after_ms;
    window->fire_ms = bounded && window->max_ms < next ? window->max_ms : next;
    window->has_fire = true;
    set(&window->at_fire, clock_of(spec), window->fire_ms);
}

static unsigned continuous_on_row(const leat_window_stream_spec *spec, leat_stream_window *window, int64_t time_ms)
{
    if (!window->has_fire)
        next_fire(spec, window, time_ms - time_ms % spec->trigger_interval_ms); // towards 0, as Flink does
    return LEAT_TRIGGER_CONTINUE;
}

static unsigned continuous_on_time(const leat_window_stream_spec *spec, leat_stream_window *window, int64_t time_ms)
{
    if (ends_by_clock(spec) && time_ms == window->max_ms)
        return leat_trigger_fire(spec); // the last one: the next firing stays known and is not planned again
    if (!window->has_fire || window->fire_ms != time_ms)
        return LEAT_TRIGGER_CONTINUE;
    next_fire(spec, window, time_ms);
    return leat_trigger_fire(spec);
}

// ---- at the end, by event time

static bool ends_by_event_time(const leat_window_stream_spec *spec)
{
    return spec->trigger_at_end || spec->trigger == LEAT_TRIGGER_EVENT_TIME ||
           spec->trigger == LEAT_TRIGGER_CONTINUOUS_EVENT_TIME;
}

static unsigned end_on_row(const leat_window_stream_spec *spec, leat_stream_window *window, int64_t watermark_ms)
{
    if (window->max_ms <= watermark_ms)
        return leat_trigger_fire(spec);
    set(&window->at_end, LEAT_WINDOW_EVENT, window->max_ms);
    return LEAT_TRIGGER_CONTINUE;
}

// ---- the three calls

static unsigned count_on_row(const leat_window_stream_spec *spec, leat_stream_window *window)
{
    if (++window->count < (uint64_t)spec->trigger_count)
        return LEAT_TRIGGER_CONTINUE;
    window->count = 0;
    return leat_trigger_fire(spec);
}

unsigned leat_trigger_on_row(const leat_window_stream_spec *spec, leat_stream_window *window,
                             const leat_trigger_time *time)
{
    unsigned at_end = ends_by_event_time(spec) ? end_on_row(spec, window, time->watermark_ms) : 0;
    switch (spec->trigger) {
    case LEAT_TRIGGER_NEVER:
    case LEAT_TRIGGER_EVENT_TIME:
    case LEAT_TRIGGER_DELTA: // asked by the caller, who has the rows
        break;
    case LEAT_TRIGGER_COUNT:
        return at_end | count_on_row(spec, window);
    case LEAT_TRIGGER_PROCESSING_TIME:
        set(&window->at_end, LEAT_WINDOW_PROCESSING, window->max_ms);
        break;
    case LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME:
        return at_end | continuous_on_row(spec, window, time->now_ms);
    case LEAT_TRIGGER_CONTINUOUS_EVENT_TIME:
        return at_end ? at_end : continuous_on_row(spec, window, time->row_ms);
    }
    return at_end;
}

unsigned leat_trigger_on_time(const leat_window_stream_spec *spec, leat_stream_window *window, leat_window_clock clock,
                              int64_t time_ms)
{
    if (clock == LEAT_WINDOW_EVENT && ends_by_event_time(spec) && time_ms == window->max_ms)
        return leat_trigger_fire(spec);
    if (clock != clock_of(spec))
        return LEAT_TRIGGER_CONTINUE;
    switch (spec->trigger) {
    case LEAT_TRIGGER_NEVER:
    case LEAT_TRIGGER_COUNT:
    case LEAT_TRIGGER_DELTA:
    case LEAT_TRIGGER_EVENT_TIME:
        break;
    case LEAT_TRIGGER_PROCESSING_TIME:
        return leat_trigger_fire(spec);
    case LEAT_TRIGGER_CONTINUOUS_EVENT_TIME:
    case LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME:
        return continuous_on_time(spec, window, time_ms);
    }
    return LEAT_TRIGGER_CONTINUE;
}

// ---- merging: counts add up, the earlier of two next firings holds

void leat_trigger_absorb(leat_stream_window *into, const leat_stream_window *from)
{
    into->count += from->count;
    if (from->has_fire && (!into->has_fire || from->fire_ms < into->fire_ms))
        into->fire_ms = from->fire_ms;
    into->has_fire |= from->has_fire;
}

void leat_trigger_merged(const leat_window_stream_spec *spec, leat_stream_window *window, const leat_trigger_time *time)
{
    window->at_end.set = window->at_fire.set = window->at_cleanup.set = false;
    if (window->has_fire)
        set(&window->at_fire, clock_of(spec), window->fire_ms);
    if (ends_by_event_time(spec) && window->max_ms > time->watermark_ms)
        set(&window->at_end, LEAT_WINDOW_EVENT, window->max_ms);
    if (spec->trigger == LEAT_TRIGGER_PROCESSING_TIME && window->max_ms > time->now_ms)
        set(&window->at_end, LEAT_WINDOW_PROCESSING, window->max_ms);
}
