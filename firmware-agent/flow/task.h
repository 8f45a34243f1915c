// Inside of a flow: tasks, the nodes chained in them, and the channels between them. Private to firmware-agent/flow.
#pragma once

#include <pthread.h>

#include "firmware-agent/flow/flow.h"
#include "firmware-agent/flow/inputs.h"
#include "firmware-agent/flow/watermark.h"
#include "operators/base/ring.h"

enum { LEAT_TASK_POOL_BYTES = 8 << 20 }; // of batches that one task has made and nobody has given back yet

typedef struct leat_task leat_task;
typedef struct leat_flow_node leat_flow_node;

// Tables that the flow itself writes into a node's part, beside the operator's own. All but the last are marks: alone they are no reason
// for a checkpoint.
enum {
    LEAT_FLOW_TABLE_WATERMARK =
        LEAT_STATE_TABLES,     // the node's watermark; key: instance | (0, or input + 1: of that input's valve) << 32
    LEAT_FLOW_TABLE_CHANNEL,   // per input channel: watermark and status; key: producing node, instance, output
    LEAT_FLOW_TABLE_GENERATOR, // source: maximum, watermark, idleness
    LEAT_FLOW_TABLE_SEQUENCE,  // sink: last sequence
};

// A queue of elements from one task instance to one port of another.
typedef struct leat_channel {
    leat_ring ring;
    leat_task *producer, *consumer;
    uint32_t port;       // of the consumer's first node
    uint32_t sink_input; // which of the sink's inputs the rows belong to, when the consumer is a sink task
    const char *from;    // uid of the node that the producing task begins with: often the source
    uint64_t identity;   // hash of producing node, instance, output and port: names the channel in checkpoints
    // -- producer's: what did not fit; flushed before the task does anything else
    leat_batch **pending;
    uint32_t pending_count, pending_capacity;
    // -- consumer's
    bool blocked; // has delivered the current barrier
    bool ended;
    int64_t saved_ms; // as the last checkpoint has it
    uint8_t saved_status;
    bool unkept; // see leat_snapshot_mark_due
} leat_channel;

// Where an output of a node goes: another node of the same task, or an exchange.
typedef struct leat_target {
    unsigned output;
    leat_flow_node *node; // chained; NULL: exchange
    uint32_t port;        // of the chained node; for a chained sink: which of its inputs
    leat_exchange exchange;
    uint32_t key_count;
    const uint32_t *key_columns;
    leat_channel **channels; // one per consuming instance
    uint32_t channel_count;
    uint32_t next; // REBALANCE
} leat_target;

// State of a sink node (sink_task.c) and of a source node (source_task.c).
typedef struct leat_sink_state leat_sink_state;
typedef struct leat_source_state leat_source_state;

// An entry of a checkpoint that fits no instance or channel any more (another parallelism): the next snapshot removes it, so that it
// is not found to fit again after a second change.
typedef struct leat_flow_stale {
    struct leat_flow_stale *next;
    uint8_t table, key[8];
} leat_flow_stale;

// One instance of a plan node.
struct leat_flow_node {
    const leat_plan_node *plan;
    uint32_t index, instance, parallelism;
    leat_task *task;
    leat_operator *operator; // OPERATOR
    leat_operator_context context;
    leat_sink_state *sink;
    leat_source_state *source;
    leat_target *targets;
    uint32_t target_count;
    leat_arena arena; // what the operator keeps as long as the rule lives
    bool *outputs_used;
    int64_t wake_ms;                      // processing time it asked for; INT64_MAX: none
    int64_t saved_ms;                     // watermark as the last checkpoint has it
    bool unkept;                          // see leat_snapshot_mark_due
    leat_flow_stale *stale;               // of the first instance
    leat_drops drops;                     // of the operator; also counted in the rule's
    uint64_t drops_cut[LEAT_DROP_CAUSES]; // at the last barrier
    // -- figures; written by the task, read by anyone
    _Atomic uint64_t rows_in, rows_out, batches;
    _Atomic int64_t watermark_ms;
    _Atomic uint64_t state_bytes, state_keys;
};

enum { TASK_RESTING, TASK_QUEUED, TASK_RUNNING, TASK_AGAIN };

struct leat_task {
    leat_flow *flow;
    uint32_t index;
    leat_flow_node *nodes; // chain in order of flow; nodes[0] is fed by the channels
    uint32_t node_count;
    leat_channel **inputs;
    uint32_t input_count;
    uint32_t next_input;    // round robin
    leat_channel **outputs; // every channel that a node of the chain writes
    uint32_t output_count;
    leat_inputs valves; // of `inputs`
    leat_batch_pool *pool;
    bool blocked_output; // something is pending
    _Atomic uint32_t
        starved; // 0: no. Too many bytes of batches are under way: woken when fewer than this are, at the latest by the clock
    uint64_t batches_at_cut;
    bool ended; // END was passed on
    bool failed;
    uint64_t barrier;                // being aligned, 0: none
    uint32_t barrier_count;          // channels that have delivered it
    _Atomic uint64_t barrier_done;   // last one passed
    _Atomic(const char *) waits_for; // uid of what takes nothing; NULL: nobody
    _Atomic int64_t wake_ms;         // processing time; INT64_MAX: only when woken
    leat_error error;
    // -- scheduling
    _Atomic int state;
    leat_task *queue_next;
    _Atomic uint64_t busy_ns;
    _Atomic uint32_t fill_percent;
    _Atomic(const char *)
        holder; // `from` of the channel whose watermark holds the minimum back; NULL: one input, or none does
};

typedef struct leat_workers leat_workers;

struct leat_flow {
    leat_flow_setup setup;
    leat_arena arena;
    leat_budget *budgets; // per rule
    leat_task *tasks;
    uint32_t task_count;
    leat_flow_node **sources; // by plan source; NULL: nobody reads it
    leat_flow_node **sinks;
    leat_flow_node **by_node;         // first instance of each plan node
    uint32_t *instances;              // of each plan node
    _Atomic uint64_t barrier_request; // id that source tasks are to let in
    _Atomic uint32_t barrier_left;    // tasks that have not passed it
    _Atomic uint32_t tasks_left;      // not ended
    _Atomic bool end_sources, drain, stopping, failed;
    _Atomic bool held; // sources read nothing
    _Atomic uint32_t batch_bytes;
    _Atomic(leat_workers *) workers; // NULL until they are started
    bool savepoint;                  // restored from one
};

// -- graph.c
LEAT_MUST_CHECK leat_code leat_graph_build(leat_flow *flow, leat_error *out_error);

// -- task.c
typedef enum leat_step { LEAT_STEP_IDLE, LEAT_STEP_MORE, LEAT_STEP_BLOCKED } leat_step;
// Does what can be done now. MORE: call again; BLOCKED: an output ring or outbox is full, its consumer wakes the task.
leat_step leat_task_step(leat_task *task);
void leat_task_fail(leat_task *task, const leat_error *error);
// Sends one element down the outputs of a node (borrows it).
void leat_node_emit(leat_flow_node *node, unsigned output, leat_batch *batch);
// Hands an element to a node of the chain.
void leat_node_deliver(leat_flow_node *node, uint32_t port, leat_batch *batch);
// Sends a mark to every outgoing channel of the task and through chained sinks.
void leat_task_mark(leat_task *task, leat_element_kind kind, uint64_t barrier);
// The barrier has reached the whole task: snapshots of all nodes, then the mark.
void leat_task_cut(leat_task *task, uint64_t barrier);
void leat_task_end(leat_task *task);
bool leat_task_starves(leat_task *task);             // before anything new is begun
bool leat_task_barrier_waits(const leat_task *task); // a source task has still to let one in

// -- exchange.c
void leat_target_send(leat_target *target, leat_flow_node *from, leat_batch *batch);
void leat_channel_send(leat_channel *channel, leat_batch *batch); // takes a reference
bool leat_channel_flush(leat_channel *channel);                   // true: nothing is pending any more

// -- source_task.c
LEAT_MUST_CHECK leat_code leat_source_state_create(leat_flow_node *node, leat_error *out_error);
void leat_source_state_destroy(leat_flow_node *node);
leat_step leat_source_step(leat_flow_node *node);
void leat_source_snapshot(leat_flow_node *node, leat_snapshot *snapshot);
void leat_source_restore(leat_flow_node *node, leat_slice value);
void leat_source_forget(leat_flow_node *node); // the generator starts anew
int64_t leat_source_wake_ms(const leat_flow_node *node);
bool leat_source_mid_arrival(const leat_flow_node *node); // rows of an arrival are still to come: no barrier now
bool leat_source_is_idle(const leat_flow_node *node);
uint64_t leat_source_future_rows(const leat_flow_node *node); // any thread

// -- sink_task.c
LEAT_MUST_CHECK leat_code leat_sink_state_create(leat_flow_node *node, leat_error *out_error);
void leat_sink_state_destroy(leat_flow_node *node);
void leat_sink_deliver(leat_flow_node *node, uint32_t input, leat_batch *batch);
bool leat_sink_flush(leat_flow_node *node); // what the outbox had no room for; true: nothing is held any more
bool leat_sink_held(const leat_flow_node *node);
void leat_sink_snapshot(leat_flow_node *node, leat_snapshot *snapshot);
void leat_sink_restore(leat_flow_node *node, leat_slice value);

// -- worker.c
LEAT_MUST_CHECK leat_code leat_workers_start(leat_flow *flow, leat_error *out_error);
void leat_workers_stop(leat_flow *flow);
void leat_task_notify(leat_task *task); // there may be something to do; any thread
uint64_t leat_workers_heartbeat(const leat_flow *flow);
