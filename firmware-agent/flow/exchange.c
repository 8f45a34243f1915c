#include <string.h>

#include "operators/core/key.h"

#include "firmware-agent/flow/task.h"

// What did not fit waits in `pending`, in order; the task then does nothing else until it is flushed.
static void keep_pending(leat_channel *channel, leat_batch *batch)
{
    if (channel->pending_count == channel->pending_capacity) {
        uint32_t capacity = channel->pending_capacity ? channel->pending_capacity * 2 : 8;
        leat_env *env = channel->producer->flow->setup.env;
        leat_batch **grown =
            leat_env_grow(env, channel->pending, channel->pending_capacity * sizeof *grown, capacity * sizeof *grown);
        LEAT_ASSERT(grown);
        channel->pending = grown;
        channel->pending_capacity = capacity;
    }
    channel->pending[channel->pending_count++] = batch;
    channel->producer->blocked_output = true;
}

void leat_channel_send(leat_channel *channel, leat_batch *batch)
{
    leat_batch_ref(batch);
    if (channel->pending_count > 0 || !leat_ring_push(&channel->ring, batch))
        keep_pending(channel, batch);
    else
        leat_task_notify(channel->consumer);
}

bool leat_channel_flush(leat_channel *channel)
{
    uint32_t sent = 0;
    while (sent < channel->pending_count && leat_ring_push(&channel->ring, channel->pending[sent]))
        sent++;
    if (sent == 0)
        return channel->pending_count == 0;
    channel->pending_count -= sent;
    memmove(channel->pending, channel->pending + sent, channel->pending_count * sizeof *channel->pending);
    leat_task_notify(channel->consumer);
    return channel->pending_count == 0;
}

static void send_to_all(leat_target *target, leat_batch *batch)
{
    for (uint32_t i = 0; i < target->channel_count; i++)
        leat_channel_send(target->channels[i], batch);
}

// One derived batch per instance: the same columns, another selection, so nothing is copied. Instances without a row still get the
// watermark.
static void send_selected(leat_channel *channel, leat_batch_pool *pool, leat_batch *batch, const uint16_t *rows,
                          uint32_t count)
{
    if (count == 0 && batch->watermark_after == LEAT_TIME_NONE)
        return;
    leat_batch *part = count > 0 ? leat_batch_derive(pool, batch) : leat_batch_get(pool);
    if (count > 0) {
        uint16_t *selection = leat_arena_alloc(&part->arena, count * sizeof *selection);
        memcpy(selection, rows, count * sizeof *selection);
        part->selection = selection;
        part->selected = count;
    } else {
        part->watermark_after = batch->watermark_after;
    }
    leat_channel_send(channel, part);
    leat_batch_unref(part);
}

static void send_by_key(leat_target *target, leat_flow_node *from, leat_batch *batch)
{
    uint64_t hashes[LEAT_BATCH_ROWS];
    uint16_t rows[LEAT_BATCH_ROWS];
    leat_keys_hash_rows(batch, target->key_columns, target->key_count, hashes);
    for (uint32_t instance = 0; instance < target->channel_count; instance++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < batch->selected; i++) {
            rows[count] = (uint16_t)leat_batch_row(batch, i);
            count += leat_key_group(hashes[i]) % target->channel_count == instance;
        }
        send_selected(target->channels[instance], from->task->pool, batch, rows, count);
    }
}

static void send_in_turn(leat_target *target, leat_flow_node *from, leat_batch *batch)
{
    uint32_t chosen = target->next++ % target->channel_count;
    for (uint32_t i = 0; i < target->channel_count; i++) {
        if (i == chosen)
            leat_channel_send(target->channels[i], batch);
        else
            send_selected(target->channels[i], from->task->pool, batch, NULL, 0);
    }
}

void leat_target_send(leat_target *target, leat_flow_node *from, leat_batch *batch)
{
    if (target->node) {
        leat_node_deliver(target->node, target->port, batch);
        return;
    }
    if (target->channel_count == 1 || batch->selected == 0 || target->exchange == LEAT_EXCHANGE_BROADCAST)
        send_to_all(target, batch);
    else if (target->exchange == LEAT_EXCHANGE_KEY)
        send_by_key(target, from, batch);
    else if (target->exchange == LEAT_EXCHANGE_REBALANCE)
        send_in_turn(target, from, batch);
    else
        leat_channel_send(target->channels[0], batch);
}
