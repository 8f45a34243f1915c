// leat.h: functions of your own for leat, in C, loaded from a shared object. This header is all you need; it includes libc only.
//
// A process function is called for every row of its key with keyed state and timers, as Flink's KeyedProcessFunction and process
// table functions are. Rules call it by name:
//
//     SELECT unit, alert_at FROM rising(r => TABLE boiler PARTITION BY unit, on_time => DESCRIPTOR(ts), value => DESCRIPTOR(temperature), duration => INTERVAL '1' SECOND)
//
// How it is used, in the order of calls:
//   declare   once, when the gateway file is read: says what it takes, keeps and gives, for the arguments at hand
//   open      once per worker, before the first row
//   process   for every row; the state and timers are those of the row's key
//   timer     when a timer is due: event time, when the watermark has reached it; processing time, when the clock has
//   close     once per worker
//
// Threads: one instance is called by one thread at a time; process and timer never run together. Do not block, do not start threads.
// State belongs to leat: it is part of every checkpoint, whatever you keep elsewhere is lost at a restart. Do not keep pointers from one call to the next.
// Time: int64 milliseconds since 1970. LEAT_NO_WATERMARK stands for "none yet".
// Failure: return 0; anything else stops the rule with the text given to leat_fail.
//
// ABI: every struct that crosses the border begins with its size; a newer agent reads an older function by it, and an older agent
// refuses a newer one by `api`. Fields are only ever added at the end. The library exports `leat_library_entry`.
// The shared object must belong to root and be writable by nobody else, or the agent refuses it.
#ifndef LEAT_API_H
#define LEAT_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_API 1u
#define LEAT_NO_WATERMARK INT64_MIN

// -- types and values

typedef enum leat_api_type {
    LEAT_API_BOOLEAN = 1,  // i64: 0, 1
    LEAT_API_INT,          // i64
    LEAT_API_BIGINT,       // i64
    LEAT_API_FLOAT,        // f64
    LEAT_API_DOUBLE,       // f64
    LEAT_API_STRING,       // text, UTF-8
    LEAT_API_BYTES,        // text
    LEAT_API_TIMESTAMP,    // i64, ms, without zone
    LEAT_API_INSTANT,      // i64, ms since 1970 (TIMESTAMP_LTZ)
    LEAT_API_INTERVAL,     // i64, ms
    LEAT_API_DECIMAL,      // text, e.g. "12.50"
    LEAT_API_INT_ARRAY,    // items: i64
    LEAT_API_DOUBLE_ARRAY, // items: f64
    LEAT_API_STRING_ARRAY  // items: text
} leat_api_type;

typedef struct leat_text {
    const char *bytes; // not terminated
    uint32_t size;
} leat_text;

typedef struct leat_cell leat_cell;
struct leat_cell {
    uint8_t set;  // 0: NULL
    uint8_t type; // leat_api_type
    uint16_t reserved;
    uint32_t count; // arrays: items
    union {
        int64_t i64;
        double f64;
        leat_text text;
        const leat_cell *items;
    };
};

// -- what a function is given at declare time

typedef enum leat_argument_kind {
    LEAT_ARGUMENT_TABLE = 1,  // r => TABLE t PARTITION BY k ORDER BY ...
    LEAT_ARGUMENT_SCALAR,     // a constant
    LEAT_ARGUMENT_DESCRIPTOR, // DESCRIPTOR(column [, column]): columns of the first table
    LEAT_ARGUMENT_EXPRESSION  // any expression over the columns of the first table: leat computes it for each row
} leat_argument_kind;

enum {
    LEAT_PARAMETER_OPTIONAL = 1,
    LEAT_PARAMETER_BROADCAST = 2,     // TABLE: every instance sees every row, no PARTITION BY
    LEAT_PARAMETER_ROW_SEMANTICS = 4, // TABLE: no PARTITION BY, no state, no timers
    LEAT_PARAMETER_OPTIONAL_PARTITION = 8,
    LEAT_PARAMETER_PASS_COLUMNS = 16 // TABLE: all input columns are put before the function's own; forbids timers
};

typedef struct leat_parameter {
    uint32_t size; // sizeof(leat_parameter)
    const char *name;
    leat_argument_kind kind;
    uint32_t flags;
    leat_api_type type;       // SCALAR, EXPRESSION: wanted type, 0: any numeric
    const char *default_text; // SCALAR: SQL literal used when it is left out, NULL: none
    const char *text;         // one sentence for the manual
} leat_parameter;

typedef enum leat_state_kind {
    LEAT_STATE_VALUE = 1, // one cell
    LEAT_STATE_LIST,      // cells, in order of adding
    LEAT_STATE_MAP,       // cells by a STRING or BIGINT key
    // Or-ed to one of them. SHARED: not per key but one for all, written by rows of a broadcast table and read by all; every
    // instance keeps its own copy, so only write what each of them sees. REFRESH_READ: reading begins its time to live anew as well
    // as writing does (a map: that of the item; a list: that of all of them).
    LEAT_STATE_SHARED = 256,
    LEAT_STATE_REFRESH_READ = 512,
    LEAT_STATE_FORM = 255 // mask of the kind itself
} leat_state_kind;

typedef struct leat_declare leat_declare; // opaque
typedef struct leat_declare_api {
    uint32_t size;
    // Arguments: index of the parameter. Columns are numbered as leat_row sees them.
    uint32_t (*column_count)(leat_declare *declare, uint32_t table);
    const char *(*column_name)(leat_declare *declare, uint32_t table, uint32_t column);
    leat_api_type (*column_type)(leat_declare *declare, uint32_t table, uint32_t column);
    int (*given)(leat_declare *declare, uint32_t parameter);        // 0: left out
    leat_cell (*scalar)(leat_declare *declare, uint32_t parameter); // SCALAR
    int32_t (*descriptor)(leat_declare *declare, uint32_t parameter,
                          uint32_t i); // DESCRIPTOR: column of the first table, -1: none
    leat_api_type (*expression_type)(leat_declare *declare, uint32_t parameter);
    // What the function gives: columns of its output (0: main) in order; partition keys come before, rowtime after, by themselves.
    void (*output_column)(leat_declare *declare, uint32_t output, const char *name, leat_api_type type);
    uint32_t (*output)(leat_declare *declare,
                       const char *name); // a further output: the stream RULE.name; returns its index
    // What it keeps per key. ttl_ms 0: for ever (or the rule's state_ttl). Returns the handle for the calls at run time.
    uint32_t (*state)(leat_declare *declare, const char *name, leat_state_kind kind, leat_api_type type,
                      int64_t ttl_ms);
    void (*fail)(leat_declare *declare, uint32_t parameter,
                 const char *message); // refuses the arguments, at that argument's place
    void *reserved[8];
} leat_declare_api;

// -- what it is given at run time

// A column of the batch that the row is part of. Values: i64 and instants int64_t, f64 double, BOOLEAN uint8_t, text leat_column_text,
// arrays leat_cell. TINYINT, SMALLINT, DATE (days) and TIME (ms) are given as INT. Types that this header does not know: type 0,
// no values. An EXPRESSION of which any number is wanted never is a DECIMAL: it is given as DOUBLE.
typedef struct leat_column_text {
    const char *bytes;
    size_t size;
} leat_column_text;
typedef struct leat_column_view {
    uint32_t type;        // leat_api_type
    const uint8_t *nulls; // 1 = NULL; NULL pointer: none is
    const void *values;
} leat_column_view;

typedef struct leat_row {
    uint32_t size;
    uint32_t input; // index among the TABLE parameters
    uint32_t index; // into the columns
    uint32_t column_count;
    const leat_column_view *columns;
    const leat_column_view *expressions; // one per EXPRESSION parameter, in their order
    int64_t time_ms;                     // event time; LEAT_NO_WATERMARK without on_time
    uint8_t kind;                        // 0 +I, 1 -U, 2 +U, 3 -D
} leat_row;

typedef enum leat_time_domain { LEAT_EVENT_TIME = 0, LEAT_PROCESSING_TIME = 1 } leat_time_domain;

typedef struct leat_timer {
    uint32_t size;
    leat_time_domain domain;
    int64_t time_ms;
    const char *name; // NULL: unnamed
} leat_timer;

typedef struct leat_context leat_context;
typedef struct leat_context_api {
    uint32_t size;
    int64_t (*watermark)(leat_context *context);         // current watermark, LEAT_NO_WATERMARK
    int64_t (*processing_time)(leat_context *context);   // kept across restarts, never goes back
    leat_cell (*key)(leat_context *context, uint32_t i); // of the current row or timer
    leat_cell (*scalar)(leat_context *context, uint32_t parameter);
    int32_t (*descriptor)(leat_context *context, uint32_t parameter, uint32_t i);
    // Value state. read: the cell, `set` 0 at first (or expired), good until the state is next changed; write: the same cell, never
    // NULL, to be changed in place by i64 and f64 types: assign the value and `set`, nothing else. Without memory the rule stops after
    // the call, so what put, list_add, map_put and timer_set return need not be looked at.
    const leat_cell *(*read)(leat_context *context, uint32_t state);
    leat_cell *(*write)(leat_context *context, uint32_t state);
    int (*put)(leat_context *context, uint32_t state, leat_cell value); // any type; copies text
    void (*clear)(leat_context *context, uint32_t state);               // values, lists, maps
    void (*clear_all_state)(leat_context *context);
    // List state.
    uint32_t (*list_size)(leat_context *context, uint32_t state);
    leat_cell (*list_get)(leat_context *context, uint32_t state, uint32_t index);
    int (*list_add)(leat_context *context, uint32_t state, leat_cell value);
    void (*list_remove)(leat_context *context, uint32_t state, uint32_t index);
    // Map state. map_next: iterates in order of adding; *iterator starts at 0; returns 0 at the end. Removing on the way is allowed,
    // putting a new key is not.
    leat_cell (*map_get)(leat_context *context, uint32_t state, leat_cell key);
    int (*map_put)(leat_context *context, uint32_t state, leat_cell key, leat_cell value);
    void (*map_remove)(leat_context *context, uint32_t state, leat_cell key);
    int (*map_next)(leat_context *context, uint32_t state, uint32_t *iterator, leat_cell *out_key,
                    leat_cell *out_value);
    // Timers, one per key, domain and time (unnamed) or per key, domain and name (named: setting it again replaces). A timer for a
    // time that has passed fires with the next watermark. Clearing one that does not exist does nothing.
    int (*timer_set)(leat_context *context, leat_time_domain domain, int64_t time_ms, const char *name);
    void (*timer_clear)(leat_context *context, leat_time_domain domain, int64_t time_ms, const char *name);
    void (*timers_clear_all)(leat_context *context);
    // Emits a row: `count` cells for the columns declared for that output. Its event time is the row's or the timer's.
    void (*emit)(leat_context *context, uint32_t output, const leat_cell *cells, uint32_t count);
    void (*fail)(leat_context *context, const char *message);
    int32_t (*column)(leat_context *context, uint32_t table,
                      const char *name); // of the table's columns as leat_row sees them; -1: none
    void *reserved[15];
} leat_context_api;

struct leat_context {
    const leat_context_api *api;
    void *self; // instance_size bytes of the function, cleared before open
    // leat's own fields follow
};

enum {
    // Processing-time timers do not count the time in which the agent was down. Use named ones: their times move at a restart.
    LEAT_FUNCTION_SKIP_DOWNTIME = 1
};

typedef struct leat_process_function {
    uint32_t size; // sizeof(leat_process_function)
    uint32_t api;  // LEAT_API
    const char *name;
    const char *text; // one sentence for the manual
    const leat_parameter *parameters;
    uint32_t parameter_count;
    size_t instance_size;
    int (*declare)(leat_declare *declare, const leat_declare_api *api);
    int (*open)(leat_context *context); // optional
    int (*process)(leat_context *context, const leat_row *row);
    int (*timer)(leat_context *context, const leat_timer *timer); // optional
    void (*close)(leat_context *context);                         // optional
    uint64_t flags;                                               // LEAT_FUNCTION_...
    void *reserved[7];
} leat_process_function;

typedef struct leat_library {
    uint32_t size;
    uint32_t api;
    const char *name;
    const leat_process_function *const *processes; // NULL-terminated
    const void *const *scalars;                    // reserved: scalar, table and aggregate functions
    const void *const *tables;
    const void *const *aggregates;
    void *reserved[8];
} leat_library;
// Every library defines: const leat_library leat_library_entry = {...};

// -- short forms for function code

static inline int leat_row_is_null(const leat_row *row, uint32_t column)
{
    return row->columns[column].nulls && row->columns[column].nulls[row->index];
}
static inline int64_t leat_row_i64(const leat_row *row, uint32_t column)
{
    const leat_column_view *view = &row->columns[column];
    return view->type == LEAT_API_BOOLEAN ? ((const uint8_t *)view->values)[row->index]
                                          : ((const int64_t *)view->values)[row->index];
}
// Any numeric column as double.
static inline double leat_view_f64(const leat_column_view *view, uint32_t index)
{
    return view->type == LEAT_API_DOUBLE || view->type == LEAT_API_FLOAT
               ? ((const double *)view->values)[index]
               : (double)((const int64_t *)view->values)[index];
}
static inline double leat_row_f64(const leat_row *row, uint32_t column)
{
    return leat_view_f64(&row->columns[column], row->index);
}
static inline leat_text leat_row_text(const leat_row *row, uint32_t column)
{
    const leat_column_text *text = &((const leat_column_text *)row->columns[column].values)[row->index];
    return (leat_text){text->bytes, (uint32_t)text->size};
}
static inline leat_cell leat_cell_null(leat_api_type type)
{
    leat_cell cell = {0};
    cell.type = (uint8_t)type;
    return cell;
}
static inline leat_cell leat_cell_i64(leat_api_type type, int64_t value)
{
    leat_cell cell = {0};
    cell.set = 1;
    cell.type = (uint8_t)type;
    cell.i64 = value;
    return cell;
}
static inline leat_cell leat_cell_f64(double value)
{
    leat_cell cell = {0};
    cell.set = 1;
    cell.type = LEAT_API_DOUBLE;
    cell.f64 = value;
    return cell;
}
static inline leat_cell leat_cell_text(const char *bytes, uint32_t size)
{
    leat_cell cell = {0};
    cell.set = 1;
    cell.type = LEAT_API_STRING;
    cell.text.bytes = bytes;
    cell.text.size = size;
    return cell;
}

#ifdef __cplusplus
}
#endif
#endif
