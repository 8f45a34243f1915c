// The functions of the conformance cases (kinds `process` and `ptf`), as an owner would write them: only operators/api/leat.h.
// Each does what its paragraph of the conformance README says, and its parameters have the names given there.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "operators/api/leat.h"

#define PARAMETER(...)                                                                                                 \
    {                                                                                                                  \
        .size = sizeof(leat_parameter), __VA_ARGS__                                                                    \
    }
#define TABLE(table_name)                                                                                              \
    PARAMETER(.name = table_name, .kind = LEAT_ARGUMENT_TABLE, .flags = LEAT_PARAMETER_OPTIONAL_PARTITION)
#define ON_TIME PARAMETER(.name = "on_time", .kind = LEAT_ARGUMENT_DESCRIPTOR, .flags = LEAT_PARAMETER_OPTIONAL)
#define MILLISECONDS(parameter_name)                                                                                   \
    PARAMETER(.name = parameter_name, .kind = LEAT_ARGUMENT_SCALAR, .type = LEAT_API_BIGINT)
#define CONDITION(parameter_name)                                                                                      \
    PARAMETER(.name = parameter_name, .kind = LEAT_ARGUMENT_EXPRESSION, .type = LEAT_API_BOOLEAN)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define FUNCTION(function_name, parameter_list, ...)                                                                   \
    {                                                                                                                  \
        .size = sizeof(leat_process_function), .api = LEAT_API, .name = function_name,                                 \
        .text = "of the conformance cases", .parameters = parameter_list, .parameter_count = COUNT(parameter_list),    \
        __VA_ARGS__                                                                                                    \
    }

static leat_cell text_cell(const char *text) { return leat_cell_text(text, (uint32_t)strlen(text)); }

static int is_true(const leat_row *row, uint32_t expression)
{
    const leat_column_view *view = &row->expressions[expression];
    return !(view->nulls && view->nulls[row->index]) && ((const uint8_t *)view->values)[row->index];
}

static int64_t scalar_i64(leat_context *context, uint32_t parameter)
{
    return context->api->scalar(context, parameter).i64;
}

static void write_i64(leat_context *context, uint32_t state, int64_t value)
{
    leat_cell *cell = context->api->write(context, state);
    cell->i64 = value;
    cell->set = 1;
}

// ---- rising {value, duration_ms, time}

enum { RISING_DURATION = 3, RISING_TIME };
enum { RISING_LAST, RISING_TIMER };
static const leat_parameter rising_parameters[] = {
    TABLE("r"), ON_TIME, PARAMETER(.name = "value", .kind = LEAT_ARGUMENT_EXPRESSION), MILLISECONDS("duration_ms"),
    PARAMETER(.name = "time", .kind = LEAT_ARGUMENT_SCALAR, .type = LEAT_API_STRING, .default_text = "'event_time'")};

static leat_time_domain rising_domain(leat_context *context)
{
    leat_text time = context->api->scalar(context, RISING_TIME).text;
    return time.size == strlen("processing_time") ? LEAT_PROCESSING_TIME : LEAT_EVENT_TIME;
}

static int rising_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "last", LEAT_STATE_VALUE, LEAT_API_DOUBLE, 0);
    api->state(declare, "timer", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    api->output_column(declare, 0, "alert_at", LEAT_API_INSTANT);
    return 0;
}

static int rising_process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    double value = leat_view_f64(&row->expressions[0], row->index);
    leat_cell *last = api->write(context, RISING_LAST);
    leat_cell before = *last;
    last->f64 = value;
    last->set = 1;
    if (!before.set)
        return 0;
    leat_cell timer = *api->read(context, RISING_TIMER);
    leat_time_domain domain = rising_domain(context);
    if (value < before.f64 && timer.set) {
        api->timer_clear(context, domain, timer.i64, NULL);
        api->clear(context, RISING_TIMER);
    } else if (value > before.f64 && !timer.set) {
        int64_t now = domain == LEAT_EVENT_TIME ? row->time_ms : api->processing_time(context);
        write_i64(context, RISING_TIMER, now + scalar_i64(context, RISING_DURATION));
        return api->timer_set(context, domain, now + scalar_i64(context, RISING_DURATION), NULL);
    }
    return 0;
}

static int rising_timer(leat_context *context, const leat_timer *timer)
{
    leat_cell at = leat_cell_i64(LEAT_API_INSTANT, timer->time_ms);
    context->api->emit(context, 0, &at, 1);
    context->api->clear(context, RISING_TIMER);
    return 0;
}

static const leat_process_function rising = FUNCTION("rising_value", rising_parameters, .declare = rising_declare,
                                                     .process = rising_process, .timer = rising_timer);

// ---- small_then_large {small, large, emit, within_ms}

enum { STL_SMALL, STL_LARGE, STL_EMIT = 4, STL_WITHIN };
enum { STL_FLAG, STL_TIMER, STL_COLUMNS_MAX = 32 };
static const leat_parameter small_then_large_parameters[] = {
    TABLE("r"),
    ON_TIME,
    CONDITION("small"),
    CONDITION("large"),
    PARAMETER(.name = "emit", .kind = LEAT_ARGUMENT_DESCRIPTOR),
    PARAMETER(.name = "within_ms", .kind = LEAT_ARGUMENT_SCALAR, .type = LEAT_API_BIGINT,
              .flags = LEAT_PARAMETER_OPTIONAL)};

static int small_then_large_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "flag", LEAT_STATE_VALUE, LEAT_API_BOOLEAN, 0);
    api->state(declare, "timer", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    for (uint32_t i = 0; i < STL_COLUMNS_MAX && api->descriptor(declare, STL_EMIT, i) >= 0; i++) {
        uint32_t column = (uint32_t)api->descriptor(declare, STL_EMIT, i);
        api->output_column(declare, 0, api->column_name(declare, 0, column), api->column_type(declare, 0, column));
    }
    return 0;
}

static leat_cell row_cell(const leat_row *row, uint32_t column)
{
    leat_api_type type = (leat_api_type)row->columns[column].type;
    if (leat_row_is_null(row, column))
        return leat_cell_null(type);
    if (type == LEAT_API_FLOAT || type == LEAT_API_DOUBLE)
        return leat_cell_f64(leat_row_f64(row, column));
    if (type != LEAT_API_STRING && type != LEAT_API_BYTES && type != LEAT_API_DECIMAL)
        return leat_cell_i64(type, leat_row_i64(row, column));
    leat_text text = leat_row_text(row, column);
    leat_cell cell = leat_cell_text(text.bytes, text.size);
    cell.type = (uint8_t)type;
    return cell;
}

static void small_then_large_emit(leat_context *context, const leat_row *row)
{
    leat_cell cells[STL_COLUMNS_MAX];
    uint32_t count = 0;
    for (int32_t column; count < STL_COLUMNS_MAX && (column = context->api->descriptor(context, STL_EMIT, count)) >= 0;)
        cells[count++] = row_cell(row, (uint32_t)column);
    context->api->emit(context, 0, cells, count);
}

static int small_then_large_process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    leat_cell within = api->scalar(context, STL_WITHIN);
    if (api->read(context, STL_FLAG)->set) {
        if (is_true(row, STL_LARGE))
            small_then_large_emit(context, row);
        api->clear(context, STL_FLAG);
        if (api->read(context, STL_TIMER)->set)
            api->timer_clear(context, LEAT_PROCESSING_TIME, api->read(context, STL_TIMER)->i64, NULL);
        api->clear(context, STL_TIMER);
    }
    if (!is_true(row, STL_SMALL))
        return 0;
    write_i64(context, STL_FLAG, 1);
    if (!within.set)
        return 0;
    int64_t at = api->processing_time(context) + within.i64;
    write_i64(context, STL_TIMER, at);
    return api->timer_set(context, LEAT_PROCESSING_TIME, at, NULL);
}

static int small_then_large_timer(leat_context *context, const leat_timer *timer)
{
    (void)timer;
    context->api->clear_all_state(context);
    return 0;
}

static const leat_process_function small_then_large =
    FUNCTION("small_then_large", small_then_large_parameters, .declare = small_then_large_declare,
             .process = small_then_large_process, .timer = small_then_large_timer);

// ---- order_timeout {open, close, timeout_ms}

enum { ORDER_TIMEOUT_MS = 4, ORDER_OPEN = 0, ORDER_CLOSE };
static const leat_parameter order_timeout_parameters[] = {TABLE("r"), ON_TIME, CONDITION("open"), CONDITION("close"),
                                                          MILLISECONDS("timeout_ms")};

static int order_timeout_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "timer", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    api->output_column(declare, 0, "result", LEAT_API_STRING);
    return api->output(declare, "timeout") == 1 ? 0 : -1;
}

static int order_timeout_process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    if (is_true(row, ORDER_OPEN)) {
        int64_t at = row->time_ms + scalar_i64(context, ORDER_TIMEOUT_MS);
        write_i64(context, 0, at);
        api->timer_set(context, LEAT_EVENT_TIME, at, NULL);
    }
    if (is_true(row, ORDER_CLOSE)) {
        leat_cell paid = text_cell("paid");
        if (api->read(context, 0)->set)
            api->timer_clear(context, LEAT_EVENT_TIME, api->read(context, 0)->i64, NULL);
        api->clear(context, 0);
        api->emit(context, 0, &paid, 1);
    }
    return 0;
}

static int order_timeout_timer(leat_context *context, const leat_timer *timer)
{
    (void)timer;
    context->api->emit(context, 1, NULL, 0);
    return 0;
}

static const leat_process_function order_timeout =
    FUNCTION("order_timeout", order_timeout_parameters, .declare = order_timeout_declare,
             .process = order_timeout_process, .timer = order_timeout_timer);

// ---- long_ride {is_start, limit_ms}

enum { LONG_RIDE_LIMIT = 3 };
enum { LONG_RIDE_FIRST_IS_START, LONG_RIDE_FIRST_TIME };
static const leat_parameter long_ride_parameters[] = {TABLE("r"), ON_TIME, CONDITION("is_start"),
                                                      MILLISECONDS("limit_ms")};

static int long_ride_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "first_is_start", LEAT_STATE_VALUE, LEAT_API_BOOLEAN, 0);
    api->state(declare, "first_time", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    return 0;
}

static int long_ride_process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    int64_t limit = scalar_i64(context, LONG_RIDE_LIMIT), first = api->read(context, LONG_RIDE_FIRST_TIME)->i64;
    int is_start = is_true(row, 0);
    if (!api->read(context, LONG_RIDE_FIRST_TIME)->set) {
        write_i64(context, LONG_RIDE_FIRST_IS_START, is_start);
        write_i64(context, LONG_RIDE_FIRST_TIME, row->time_ms);
        return is_start ? api->timer_set(context, LEAT_EVENT_TIME, row->time_ms + limit, NULL) : 0;
    }
    if (!is_start)
        api->timer_clear(context, LEAT_EVENT_TIME, first + limit, NULL);
    int64_t length = is_start ? first - row->time_ms : row->time_ms - first;
    if (length > limit)
        api->emit(context, 0, NULL, 0);
    api->clear_all_state(context);
    return 0;
}

static int long_ride_timer(leat_context *context, const leat_timer *timer)
{
    (void)timer;
    context->api->emit(context, 0, NULL, 0);
    context->api->clear_all_state(context);
    return 0;
}

static const leat_process_function long_ride = FUNCTION("long_ride", long_ride_parameters, .declare = long_ride_declare,
                                                        .process = long_ride_process, .timer = long_ride_timer);

// ---- rides_and_fares {}

enum { RIDES, FARES };
static const leat_parameter rides_and_fares_parameters[] = {TABLE("rides"), TABLE("fares"), ON_TIME};

static int rides_and_fares_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "ride", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    api->state(declare, "fare", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    api->output_column(declare, 0, "fare_ride_id", LEAT_API_BIGINT);
    return 0;
}

static int rides_and_fares_process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    uint32_t other = row->input == RIDES ? FARES : RIDES;
    leat_cell ride = api->key(context, 0);
    if (!api->read(context, other)->set)
        return api->put(context, row->input, ride);
    api->emit(context, 0, &ride, 1);
    api->clear(context, other);
    return 0;
}

static const leat_process_function rides_and_fares =
    FUNCTION("rides_and_fares", rides_and_fares_parameters, .declare = rides_and_fares_declare,
             .process = rides_and_fares_process);

// ---- timer_at {timer_ms, on_timer}: a number, or with the name timer_at_text a text

enum { TIMER_AT_MS = 2, TIMER_AT_OUT };
static const leat_parameter timer_at_parameters[] = {
    TABLE("r"), ON_TIME, MILLISECONDS("timer_ms"),
    PARAMETER(.name = "on_timer", .kind = LEAT_ARGUMENT_SCALAR, .type = LEAT_API_BIGINT)};
static const leat_parameter timer_at_text_parameters[] = {
    TABLE("r"), ON_TIME, MILLISECONDS("timer_ms"),
    PARAMETER(.name = "on_timer", .kind = LEAT_ARGUMENT_SCALAR, .type = LEAT_API_STRING)};

static int timer_at_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->output_column(declare, 0, "out", (leat_api_type)api->scalar(declare, TIMER_AT_OUT).type);
    return 0;
}

static int timer_at_process(leat_context *context, const leat_row *row)
{
    leat_cell key = context->api->key(context, 0);
    (void)row;
    key.type = context->api->scalar(context, TIMER_AT_OUT).type; // an INT is a BIGINT then
    context->api->emit(context, 0, &key, 1);
    return context->api->timer_set(context, LEAT_EVENT_TIME, scalar_i64(context, TIMER_AT_MS), NULL);
}

static int timer_at_timer(leat_context *context, const leat_timer *timer)
{
    leat_cell out = context->api->scalar(context, TIMER_AT_OUT);
    (void)timer;
    context->api->emit(context, 0, &out, 1);
    return 0;
}

static const leat_process_function timer_at = FUNCTION("timer_at", timer_at_parameters, .declare = timer_at_declare,
                                                       .process = timer_at_process, .timer = timer_at_timer);
static const leat_process_function timer_at_text =
    FUNCTION("timer_at_text", timer_at_text_parameters, .declare = timer_at_declare, .process = timer_at_process,
             .timer = timer_at_timer);

// ---- register_then_delete {register_after_ms, delete_after_ms}

enum { REGISTER_AFTER = 2, DELETE_AFTER };
static const leat_parameter register_then_delete_parameters[] = {TABLE("r"), ON_TIME, MILLISECONDS("register_after_ms"),
                                                                 MILLISECONDS("delete_after_ms")};

static int register_then_delete_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "key", LEAT_STATE_VALUE, LEAT_API_STRING, 0);
    api->output_column(declare, 0, "out", LEAT_API_STRING);
    return 0;
}

static void emit_prefixed(leat_context *context, const char *prefix, const leat_cell *key)
{
    char text[256];
    int size = key->type == LEAT_API_STRING
                   ? snprintf(text, sizeof text, "%s%.*s", prefix, (int)key->text.size, key->text.bytes)
                   : snprintf(text, sizeof text, "%s%" PRId64, prefix, key->i64);
    leat_cell out = leat_cell_text(text, (uint32_t)size);
    context->api->emit(context, 0, &out, 1);
}

static int register_then_delete_process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    int64_t watermark = api->watermark(context);
    (void)row;
    if (api->read(context, 0)->set) {
        api->clear(context, 0);
        api->timer_clear(context, LEAT_EVENT_TIME, watermark + scalar_i64(context, DELETE_AFTER), NULL);
        return 0;
    }
    leat_cell key = api->key(context, 0);
    char number[32];
    emit_prefixed(context, "INPUT:", &key);
    if (key.type != LEAT_API_STRING)
        key = leat_cell_text(number, (uint32_t)snprintf(number, sizeof number, "%" PRId64, key.i64));
    api->put(context, 0, key);
    return api->timer_set(context, LEAT_EVENT_TIME, watermark + scalar_i64(context, REGISTER_AFTER), NULL);
}

static int register_then_delete_timer(leat_context *context, const leat_timer *timer)
{
    (void)timer;
    leat_cell key = *context->api->read(context, 0);
    if (!key.set)
        key = text_cell("null"); // as Java adds it to a text
    emit_prefixed(context, "STATE:", &key);
    return 0;
}

static const leat_process_function register_then_delete =
    FUNCTION("register_then_delete", register_then_delete_parameters, .declare = register_then_delete_declare,
             .process = register_then_delete_process, .timer = register_then_delete_timer);

// ---- process table functions: what their events have in common

static const leat_parameter ptf_parameters[] = {PARAMETER(.name = "r", .kind = LEAT_ARGUMENT_TABLE),
                                                PARAMETER(.name = "on_time", .kind = LEAT_ARGUMENT_DESCRIPTOR)};

typedef struct ptf_instance {
    int32_t score;
} ptf_instance;

static int ptf_open(leat_context *context)
{
    ptf_instance *self = context->self;
    self->score = context->api->column(context, 0, "score");
    if (self->score < 0)
        context->api->fail(context, "the table has no column score");
    return self->score < 0;
}

static int event_columns(leat_declare *declare, const leat_declare_api *api, int with_state)
{
    api->output_column(declare, 0, "event", LEAT_API_STRING);
    if (with_state)
        api->output_column(declare, 0, "state", LEAT_API_INT);
    api->output_column(declare, 0, "score", LEAT_API_INT);
    api->output_column(declare, 0, "timer", LEAT_API_STRING);
    api->output_column(declare, 0, "for", LEAT_API_BIGINT);
    api->output_column(declare, 0, "time", LEAT_API_BIGINT);
    api->output_column(declare, 0, "watermark", LEAT_API_BIGINT);
    return 0;
}

static int ptf_declare(leat_declare *declare, const leat_declare_api *api) { return event_columns(declare, api, 0); }

// An event; `time` is that of the row or timer. The columns after `state`, which not all functions have.
typedef struct event {
    const char *name, *timer;
    leat_cell score, at;
    int64_t time;
    int with_state;
} event;

static void emit_event(leat_context *context, const event *e)
{
    int64_t watermark = context->api->watermark(context);
    leat_cell cells[7];
    uint32_t n = 0;
    cells[n++] = text_cell(e->name);
    if (e->with_state)
        cells[n++] = leat_cell_null(LEAT_API_INT);
    cells[n++] = e->score;
    cells[n++] = e->timer ? text_cell(e->timer) : leat_cell_null(LEAT_API_STRING);
    cells[n++] = e->at;
    cells[n++] = leat_cell_i64(LEAT_API_BIGINT, e->time);
    cells[n++] =
        watermark == LEAT_NO_WATERMARK ? leat_cell_null(LEAT_API_BIGINT) : leat_cell_i64(LEAT_API_BIGINT, watermark);
    context->api->emit(context, 0, cells, n);
}

static leat_cell score_of(leat_context *context, const leat_row *row)
{
    return row_cell(row, (uint32_t)((const ptf_instance *)context->self)->score);
}

static void emit_row(leat_context *context, const leat_row *row)
{
    event e = {.name = "row", .score = score_of(context, row), .time = row->time_ms};
    emit_event(context, &e);
}

static void set_timer(leat_context *context, int64_t now, const char *name, int64_t at, int with_state)
{
    event e = {.name = "register",
               .timer = name,
               .at = leat_cell_i64(LEAT_API_BIGINT, at),
               .time = now,
               .with_state = with_state};
    emit_event(context, &e);
    context->api->timer_set(context, LEAT_EVENT_TIME, at, name);
}

static void clear_named(leat_context *context, int64_t now, const char *name)
{
    event e = {.name = "clear", .timer = name, .time = now};
    emit_event(context, &e);
    context->api->timer_clear(context, LEAT_EVENT_TIME, 0, name);
}

static void clear_unnamed(leat_context *context, int64_t now, int64_t at)
{
    event e = {.name = "clear", .at = leat_cell_i64(LEAT_API_BIGINT, at), .time = now};
    emit_event(context, &e);
    context->api->timer_clear(context, LEAT_EVENT_TIME, at, NULL);
}

static void clear_everything(leat_context *context, int64_t now)
{
    event e = {.name = "clear", .timer = "*", .time = now};
    emit_event(context, &e);
    context->api->timers_clear_all(context);
    context->api->clear_all_state(context);
}

static void emit_fire(leat_context *context, const leat_timer *timer, int with_state)
{
    event e = {.name = "fire", .timer = timer->name, .time = timer->time_ms, .with_state = with_state};
    emit_event(context, &e);
}

static int key_is(leat_context *context, const char *name)
{
    leat_text key = context->api->key(context, 0).text;
    return key.size == strlen(name) && memcmp(key.bytes, name, key.size) == 0;
}

static int timer_is(const leat_timer *timer, const char *name) { return timer->name && strcmp(timer->name, name) == 0; }

// ---- late_timers

static int late_timers_process(leat_context *context, const leat_row *row)
{
    emit_row(context, row);
    if (key_is(context, "Bob")) {
        set_timer(context, row->time_ms, "bob", 0, 0);
        set_timer(context, row->time_ms, NULL, 0, 0);
    } else if (key_is(context, "Alice")) {
        set_timer(context, row->time_ms, "alice", 1, 0);
    }
    return 0;
}

static int late_timers_timer(leat_context *context, const leat_timer *timer)
{
    emit_fire(context, timer, 0);
    if (timer_is(timer, "alice"))
        set_timer(context, timer->time_ms, "alice-again", 0, 0);
    return 0;
}

static const leat_process_function late_timers =
    FUNCTION("late_timers", ptf_parameters, .instance_size = sizeof(ptf_instance), .open = ptf_open,
             .declare = ptf_declare, .process = late_timers_process, .timer = late_timers_timer);

// ---- named_timers

static int named_timers_process(leat_context *context, const leat_row *row)
{
    emit_row(context, row);
    if (row->time_ms != 0)
        return 0;
    set_timer(context, 0, "timeout1", 1, 0);
    set_timer(context, 0, "timeout2", 2, 0);
    set_timer(context, 0, "timeout3", 3, 0);
    set_timer(context, 0, "timeout4", INT64_MAX, 0);
    set_timer(context, 0, "timeout5", INT64_MAX, 0);
    return 0;
}

static int named_timers_timer(leat_context *context, const leat_timer *timer)
{
    emit_fire(context, timer, 0);
    if (timer_is(timer, "timeout1")) {
        set_timer(context, timer->time_ms, "timeout2", timer->time_ms + 4, 0);
        clear_named(context, timer->time_ms, "timeout3");
    } else if (timer_is(timer, "timeout2")) {
        clear_everything(context, timer->time_ms);
    }
    return 0;
}

static const leat_process_function named_timers =
    FUNCTION("named_timers", ptf_parameters, .instance_size = sizeof(ptf_instance), .open = ptf_open,
             .declare = ptf_declare, .process = named_timers_process, .timer = named_timers_timer);

// ---- unnamed_timers

static int unnamed_timers_process(leat_context *context, const leat_row *row)
{
    emit_row(context, row);
    if (row->time_ms != 0)
        return 0;
    set_timer(context, 0, NULL, 1, 0);
    set_timer(context, 0, NULL, 2, 0);
    set_timer(context, 0, NULL, INT64_MAX, 0);
    return 0;
}

static int unnamed_timers_timer(leat_context *context, const leat_timer *timer)
{
    emit_fire(context, timer, 0);
    if (timer->time_ms == 1) {
        set_timer(context, 1, NULL, 5, 0);
        clear_unnamed(context, 1, 2);
    } else if (timer->time_ms == 5) {
        clear_everything(context, 5);
    }
    return 0;
}

static const leat_process_function unnamed_timers =
    FUNCTION("unnamed_timers", ptf_parameters, .instance_size = sizeof(ptf_instance), .open = ptf_open,
             .declare = ptf_declare, .process = unnamed_timers_process, .timer = unnamed_timers_timer);

// ---- append_score

enum { SEEN_MAX = 1024 };

static int append_score_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "seen", LEAT_STATE_LIST, LEAT_API_INT, 0);
    api->output_column(declare, 0, "score", LEAT_API_INT);
    api->output_column(declare, 0, "time", LEAT_API_BIGINT);
    api->output_column(declare, 0, "watermark", LEAT_API_BIGINT);
    api->output_column(declare, 0, "seen", LEAT_API_INT_ARRAY);
    return 0;
}

static int append_score_process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    leat_cell items[SEEN_MAX];
    leat_cell score = score_of(context, row), seen = {.set = 1, .type = LEAT_API_INT_ARRAY, .items = items};
    int64_t watermark = api->watermark(context);
    api->list_add(context, 0, score);
    for (; seen.count < api->list_size(context, 0) && seen.count < SEEN_MAX; seen.count++)
        items[seen.count] = api->list_get(context, 0, seen.count);
    leat_cell cells[] = {score, leat_cell_i64(LEAT_API_BIGINT, row->time_ms),
                         watermark == LEAT_NO_WATERMARK ? leat_cell_null(LEAT_API_BIGINT)
                                                        : leat_cell_i64(LEAT_API_BIGINT, watermark),
                         seen};
    api->emit(context, 0, cells, 4);
    return 0;
}

static const leat_process_function append_score =
    FUNCTION("append_score", ptf_parameters, .instance_size = sizeof(ptf_instance), .open = ptf_open,
             .declare = append_score_declare, .process = append_score_process);

// ---- counting_state

static int counting_state_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "state", LEAT_STATE_VALUE, LEAT_API_INT, 0);
    return event_columns(declare, api, 1);
}

static int counting_state_process(leat_context *context, const leat_row *row)
{
    leat_cell state = *context->api->read(context, 0);
    leat_cell cells[] = {leat_cell_null(LEAT_API_STRING), state, score_of(context, row)};
    context->api->emit(context, 0, cells, 3);
    write_i64(context, 0, state.set ? state.i64 + 1 : 1);
    if (!state.set)
        set_timer(context, row->time_ms, "t", row->time_ms + 2, 1);
    return 0;
}

static int counting_state_timer(leat_context *context, const leat_timer *timer)
{
    emit_fire(context, timer, 1);
    leat_cell *state = context->api->write(context, 0);
    state->i64 *= 10;
    return 0;
}

static const leat_process_function counting_state =
    FUNCTION("counting_state", ptf_parameters, .instance_size = sizeof(ptf_instance), .open = ptf_open,
             .declare = counting_state_declare, .process = counting_state_process, .timer = counting_state_timer);

// ---- above_limit: rows of `limits` (one INT) reach every instance and replace the limit; a row of `r` whose `score` is above it gives
// (score, limit, how often for its key)

enum { LIMIT_SHARED, LIMIT_SEEN };
static const leat_parameter limit_parameters[] = {
    PARAMETER(.name = "r", .kind = LEAT_ARGUMENT_TABLE),
    PARAMETER(.name = "limits", .kind = LEAT_ARGUMENT_TABLE, .flags = LEAT_PARAMETER_BROADCAST)};

static int above_limit_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "limit", (leat_state_kind)(LEAT_STATE_VALUE | LEAT_STATE_SHARED), LEAT_API_BIGINT, 0);
    api->state(declare, "seen", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0);
    api->output_column(declare, 0, "score", LEAT_API_BIGINT);
    api->output_column(declare, 0, "bound", LEAT_API_BIGINT);
    api->output_column(declare, 0, "seen", LEAT_API_BIGINT);
    return 0;
}

static int above_limit_process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    if (row->input == 1)
        return api->put(context, LIMIT_SHARED, leat_cell_i64(LEAT_API_BIGINT, leat_row_i64(row, 0)));
    const leat_cell *limit = api->read(context, LIMIT_SHARED);
    int64_t score = leat_row_i64(row, 1);
    if (!limit->set || score <= limit->i64)
        return 0;
    int64_t bound = limit->i64, seen = api->read(context, LIMIT_SEEN)->i64 + 1;
    write_i64(context, LIMIT_SEEN, seen);
    leat_cell cells[] = {leat_cell_i64(LEAT_API_BIGINT, score), leat_cell_i64(LEAT_API_BIGINT, bound),
                         leat_cell_i64(LEAT_API_BIGINT, seen)};
    api->emit(context, 0, cells, 3);
    return 0;
}

static const leat_process_function above_limit =
    FUNCTION("above_limit", limit_parameters, .declare = above_limit_declare, .process = above_limit_process);

// ---- the library

// ---- set_again: timers for times that have passed, the same ones again and again

enum { AGAIN_CLOCK_MS = 100, AGAIN_TIMES = 3 };

static int set_again_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "fired", LEAT_STATE_VALUE, LEAT_API_INT, 0);
    api->output_column(declare, 0, "domain", LEAT_API_STRING);
    api->output_column(declare, 0, "at", LEAT_API_BIGINT);
    return 0;
}

static int set_again_process(leat_context *context, const leat_row *row)
{
    (void)row;
    context->api->timer_set(context, LEAT_PROCESSING_TIME, AGAIN_CLOCK_MS, NULL);
    return context->api->timer_set(context, LEAT_EVENT_TIME, 0, "again");
}

// An event timer sets itself anew within the pass in which it fires, twice.
static int set_again_timer(leat_context *context, const leat_timer *timer)
{
    const leat_context_api *api = context->api;
    int of_rows = timer->domain == LEAT_EVENT_TIME;
    leat_cell cells[] = {leat_cell_text(of_rows ? "event" : "clock", 5),
                         leat_cell_i64(LEAT_API_BIGINT, timer->time_ms)};
    api->emit(context, 0, cells, 2);
    if (!of_rows)
        return 0;
    leat_cell fired = *api->read(context, 0);
    write_i64(context, 0, fired.set ? fired.i64 + 1 : 1);
    if ((fired.set ? fired.i64 : 0) % AGAIN_TIMES + 1 < AGAIN_TIMES)
        api->timer_set(context, LEAT_EVENT_TIME, 0, "again");
    return 0;
}

static const leat_process_function set_again =
    FUNCTION("set_again", ptf_parameters, .instance_size = sizeof(ptf_instance), .open = ptf_open,
             .declare = set_again_declare, .process = set_again_process, .timer = set_again_timer);

static const leat_process_function *const processes[] = {
    &rising,         &small_then_large,     &order_timeout, &long_ride,    &rides_and_fares, &timer_at,
    &timer_at_text,  &register_then_delete, &late_timers,   &named_timers, &unnamed_timers,  &append_score,
    &counting_state, &above_limit,          &set_again,     NULL};

extern const leat_library leat_library_entry;
const leat_library leat_library_entry = {
    .size = sizeof(leat_library), .api = LEAT_API, .name = "conformance", .processes = processes};
