// What delivers to one sink keeps. Only for firmware-agent/delivery*.c.
//
//   delivery.c         the outbox, what the driver may call, checkpoints, figures
//   delivery_driver.c  the sink's thread and the driver's instance
#pragma once

#include "firmware-agent/delivery.h"

typedef struct in_flight {
    uint64_t sequence, end; // end: of its record in the outbox
} in_flight;

struct leat_delivery_line {
    leat_sink_control control; // first: drivers get it
    leat_delivery_setup setup;
    const leat_plan_sink *plan;
    const char *directory;
    leat_arena arena;        // the agent's lifetime
    leat_arena driver_arena; // one driver instance
    leat_log *outbox;
    const leat_sink_ops *ops;
    leat_sink_setup sink_setup;
    leat_sink *driver; // open now, or NULL
    leat_log_reader *reader;
    leat_writer header;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t news;
    // -- under the lock
    bool stop, woken, driver_failed;
    char failure[160];
    _Atomic uint64_t committed; // may leave; also read without the lock
    leat_cursor cursor;
    uint64_t tokens, tokens_taken,
        tokens_kept;   // tokens that drivers gave at open; of these in the last cursor given out, and in a checkpoint
    in_flight *flight; // a ring
    uint32_t flight_first, flight_count, flight_capacity;
    uint64_t trim_limit;
    uint64_t sent, resent, refused, failures, highest_sent;
    bool connected, noted;
    char note[160];
    // -- the sink's task
    _Atomic uint64_t results, last_sequence;
    _Atomic uint64_t appended; // position behind the last result
    leat_slice kept;           // a record that the driver did not take yet; borrowed from the reader
    uint64_t kept_end;
    bool has_kept;
    uint32_t damage_told;
};

// -- delivery.c
void leat_delivery_control_note(leat_sink_control *control, bool connected, const char *text);
void leat_delivery_tell_damage(leat_delivery_line *line, leat_log_gap gap);
bool leat_delivery_parse_record(leat_slice record, leat_delivery *out_delivery, char out_rule[LEAT_NAME_SIZE]);

// -- delivery_driver.c
leat_code leat_delivery_find_ops(leat_delivery_line *line, leat_error *out_error);
leat_code leat_delivery_make_header(leat_delivery_line *line, leat_error *out_error);
void *leat_delivery_thread(void *argument);
