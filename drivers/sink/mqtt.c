// Results as messages, acknowledged when the broker has taken them.
//
// The outbox is the only store: paho keeps nothing of ours on disk (its own store loses messages between two of its steps and deletes
// them when a session is gone), and the session starts clean. What is not acknowledged is sent again with the same id, sequence
// and bytes. MQTT 5: user properties `id`, `sequence`, `generation`, `kind` (only when not an insert).
//
// A window of `in_flight` slots, in order of sequence. Answers come in any order; only what is answered from the oldest on is
// acknowledged. QoS 0 is answered by the socket's having taken it.
//
// The connection is driven from send and flush: every call looks whether an attempt is due. A loss with results under way is told as a
// failure once, the agent opens us again; without any, we connect again by ourselves. flush returns LEAT_AGAIN while not connected:
// it wants to be called again.
//
// For good refused (passed over): topic not valid, payload too large or not of the announced format, not authorised. All other reasons
// (quota, busy, lost) are failures: tried again.
#include "drivers/sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "drivers/bus/mqtt_link.h"

enum {
    WINDOW_MAX = 100,
    TOPIC_MAX = 65535,
    // Of a PUBLISH beside topic and payload: header 5, topic length 2, packet id 2, properties 4 + four pairs.
    PACKET_OVERHEAD = 160,
};

typedef enum slot_state { SLOT_SENT, SLOT_DONE, SLOT_REFUSED } slot_state;

struct mqtt_sink;
typedef struct slot {
    struct mqtt_sink *sink;
    uint64_t sequence;
    slot_state state;
    char reason[96];
} slot;

typedef struct mqtt_sink {
    leat_sink sink;
    const leat_mqtt_sink_settings *settings;
    leat_sink_control *control;
    leat_mqtt_link link;
    bool has_link;
    leat_writer topic;  // of the message being sent, terminated
    int64_t connect_ms; // boot clock: when the next attempt is due
    bool pause_due;     // the pause after the last attempt is not set yet
    // -- under the lock
    pthread_mutex_t lock;
    slot slots[WINDOW_MAX];
    uint32_t first, count;
    bool failed, closing;
} mqtt_sink;

// ---- the window

static void fail_once(mqtt_sink *self, const char *reason)
{
    pthread_mutex_lock(&self->lock);
    bool first = !self->failed && !self->closing;
    self->failed = true;
    pthread_mutex_unlock(&self->lock);
    if (first)
        self->control->failed(self->control, reason);
}

// Under the lock. Tells what is answered from the oldest on.
static bool drain(mqtt_sink *self)
{
    uint64_t through = 0;
    bool moved = false;
    while (self->count > 0 && self->slots[self->first].state != SLOT_SENT) {
        slot *oldest = &self->slots[self->first];
        self->first = (self->first + 1) % WINDOW_MAX;
        self->count--;
        moved = true;
        if (oldest->state == SLOT_DONE) {
            through = oldest->sequence;
            continue;
        }
        if (through)
            self->control->acknowledged(self->control, through, leat_slice_of("", 0));
        through = 0;
        self->control->refused(self->control, oldest->sequence, oldest->reason);
    }
    if (through)
        self->control->acknowledged(self->control, through, leat_slice_of("", 0));
    return moved;
}

static void answer(slot *answered, slot_state state, const char *reason)
{
    mqtt_sink *self = answered->sink;
    pthread_mutex_lock(&self->lock);
    answered->state = state;
    snprintf(answered->reason, sizeof answered->reason, "%s", reason);
    // After a failure nothing is told any more: all of it is sent again.
    bool moved = !self->failed && drain(self);
    pthread_mutex_unlock(&self->lock);
    if (moved)
        self->control->wake(self->control);
}

static slot *take_slot(mqtt_sink *self, uint64_t sequence)
{
    slot *taken = NULL;
    pthread_mutex_lock(&self->lock);
    if (!self->failed && self->count < (uint32_t)self->settings->in_flight) {
        taken = &self->slots[(self->first + self->count++) % WINDOW_MAX];
        *taken = (slot){.sink = self, .sequence = sequence, .state = SLOT_SENT};
    }
    pthread_mutex_unlock(&self->lock);
    return taken;
}

// It was not sent after all; no answer will come.
static void give_back_slot(mqtt_sink *self)
{
    pthread_mutex_lock(&self->lock);
    self->count--;
    pthread_mutex_unlock(&self->lock);
}

// ---- what paho tells; on its threads

static bool is_for_good(int code)
{
    return code == MQTTREASONCODE_NOT_AUTHORIZED || code == MQTTREASONCODE_TOPIC_NAME_INVALID ||
           code == MQTTREASONCODE_PACKET_TOO_LARGE || code == MQTTREASONCODE_PAYLOAD_FORMAT_INVALID;
}

static void on_sent(void *context, MQTTAsync_successData *response)
{
    (void)response;
    answer(context, SLOT_DONE, "");
}

static void on_sent5(void *context, MQTTAsync_successData5 *response)
{
    (void)response;
    answer(context, SLOT_DONE, "");
}

static void on_not_sent(void *context, MQTTAsync_failureData *response)
{
    char text[96];
    snprintf(text, sizeof text, "not sent (%d)", response->code);
    fail_once(((slot *)context)->sink, text);
}

static void on_not_sent5(void *context, MQTTAsync_failureData5 *response)
{
    char text[96];
    int code = (int)response->reasonCode;
    const char *reason = code >= 0x80 ? MQTTReasonCode_toString((enum MQTTReasonCodes)code) : NULL;
    if (reason)
        snprintf(text, sizeof text, "the broker says: %s", reason);
    else
        snprintf(text, sizeof text, "not sent (%d)", code >= 0x80 ? code : response->code);
    if (is_for_good(code))
        answer(context, SLOT_REFUSED, text);
    else
        fail_once(((slot *)context)->sink, text);
}

static void on_change(void *context, leat_mqtt_state state, const char *reason)
{
    mqtt_sink *self = context;
    if (state == LEAT_MQTT_CONNECTING)
        return;
    bool connected = state == LEAT_MQTT_CONNECTED;
    pthread_mutex_lock(&self->lock);
    bool under_way = self->count > 0 && !self->closing;
    pthread_mutex_unlock(&self->lock);
    self->control->note(self->control, connected, reason);
    if (!connected && under_way)
        fail_once(self, reason);
    self->control->wake(self->control);
}

// ---- the connection

static leat_code drive(mqtt_sink *self, leat_error *out_error)
{
    int64_t now_ms = leat_boot_ms(self->sink.setup->env);
    switch (leat_mqtt_link_state(&self->link)) {
    case LEAT_MQTT_CONNECTED:
        leat_mqtt_link_succeeded(&self->link);
        self->pause_due = true;
        self->connect_ms = 0;
        return LEAT_OK;
    case LEAT_MQTT_CONNECTING:
        if (leat_mqtt_link_is_stuck(&self->link))
            return leat_error_set(out_error, LEAT_E_TIMEOUT, "an attempt to connect to %s does not end",
                                  self->settings->connection.url);
        return LEAT_AGAIN;
    case LEAT_MQTT_IDLE:
        break;
    }
    if (self->pause_due)
        self->connect_ms = now_ms + leat_mqtt_link_pause_ms(&self->link);
    self->pause_due = false;
    if (now_ms >= self->connect_ms) {
        self->pause_due = true;
        leat_mqtt_link_connect(&self->link);
    }
    return LEAT_AGAIN;
}

static leat_code mqtt_open(leat_sink *sink, const leat_sink_setup *setup, leat_error *out_error)
{
    mqtt_sink *self = (mqtt_sink *)sink;
    sink->setup = setup;
    self->settings = setup->settings;
    self->control = setup->control;
    leat_mqtt_link_setup link = {.env = setup->env,
                                 .connection = &self->settings->connection,
                                 .client_id =
                                     leat_arena_format(setup->arena, "leat-%s-%s-out", setup->agent_name, setup->name),
                                 .clean = true,
                                 .in_flight = (int)self->settings->in_flight,
                                 .on_change = on_change,
                                 .context = self};
    leat_mqtt_link_init(&self->link);
    pthread_mutex_init(&self->lock, NULL);
    leat_writer_init(&self->topic, setup->env, TOPIC_MAX + 1);
    self->has_link = true;
    leat_code code = leat_mqtt_link_open(&self->link, &link, out_error);
    if (code == LEAT_OK && drive(self, out_error) == LEAT_AGAIN)
        return LEAT_OK;
    sink->ops->close(sink); // the agent does not close what did not open
    return code;
}

static void mqtt_close(leat_sink *sink)
{
    mqtt_sink *self = (mqtt_sink *)sink;
    if (!self->has_link)
        return;
    pthread_mutex_lock(&self->lock);
    self->closing = true;
    pthread_mutex_unlock(&self->lock);
    leat_mqtt_link_close(&self->link);
    leat_mqtt_link_fini(&self->link);
    pthread_mutex_destroy(&self->lock);
    leat_writer_fini(&self->topic);
    self->has_link = false;
}

// ---- sending

static void add_pair(MQTTProperties *properties, const char *name, const char *value)
{
    MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
    property.value.data = (MQTTLenString){.len = (int)strlen(name), .data = (char *)name};
    property.value.value = (MQTTLenString){.len = (int)strlen(value), .data = (char *)value};
    MQTTProperties_add(properties, &property);
}

static void add_identity(MQTTProperties *properties, const leat_delivery *delivery)
{
    static const char *const kinds[] = {"+I", "-U", "+U", "-D"};
    char number[24];
    add_pair(properties, "id", delivery->id);
    snprintf(number, sizeof number, "%" PRIu64, delivery->sequence);
    add_pair(properties, "sequence", number);
    snprintf(number, sizeof number, "%" PRIu32, delivery->generation);
    add_pair(properties, "generation", number);
    if (delivery->kind > 0 && delivery->kind < 4)
        add_pair(properties, "kind", kinds[delivery->kind]);
}

static int publish(mqtt_sink *self, const leat_delivery *delivery, slot *taken)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.context = taken;
    if (leat_mqtt_link_is_v5(&self->link)) {
        options.onSuccess5 = on_sent5;
        options.onFailure5 = on_not_sent5;
        add_identity(&options.properties, delivery);
    } else {
        options.onSuccess = on_sent;
        options.onFailure = on_not_sent;
    }
    // A retained message is the row of its topic: a deleted row leaves none behind.
    size_t size = delivery->kind == LEAT_DELETE && self->settings->retain ? 0 : delivery->payload.size;
    int rc =
        MQTTAsync_send(self->link.client, (const char *)self->topic.bytes, (int)size,
                       size ? delivery->payload.data : "", (int)self->settings->qos, self->settings->retain, &options);
    MQTTProperties_free(&options.properties);
    return rc;
}

// Why the broker could never take it; NULL: it could. Tried all the same it would end the connection, again and again.
static const char *why_never(mqtt_sink *self, const leat_delivery *delivery)
{
    leat_slice topic = delivery->topic;
    if (topic.size == 0 || topic.size > TOPIC_MAX)
        return "the topic is empty or too long";
    if (memchr(topic.data, '+', topic.size) || memchr(topic.data, '#', topic.size) || memchr(topic.data, 0, topic.size))
        return "the topic has a character that a topic must not have (+ # NUL)";
    if (self->link.packet_max && topic.size + delivery->payload.size + PACKET_OVERHEAD > self->link.packet_max)
        return "larger than the broker's maximum packet size";
    return NULL;
}

static leat_code mqtt_send(leat_sink *sink, const leat_delivery *delivery, leat_error *out_error)
{
    mqtt_sink *self = (mqtt_sink *)sink;
    leat_code code = drive(self, out_error);
    if (code != LEAT_OK)
        return code;
    slot *taken = take_slot(self, delivery->sequence);
    if (!taken)
        return LEAT_AGAIN;
    const char *never = why_never(self, delivery);
    if (never) {
        answer(taken, SLOT_REFUSED, never);
        return LEAT_OK;
    }
    leat_writer_reset(&self->topic);
    leat_write_bytes(&self->topic, delivery->topic.data, delivery->topic.size);
    leat_write_u8(&self->topic, 0);
    int rc = self->topic.failed ? MQTTASYNC_FAILURE : publish(self, delivery, taken);
    if (rc == MQTTASYNC_SUCCESS)
        return LEAT_OK;
    if (rc == MQTTASYNC_BAD_UTF8_STRING) {
        answer(taken, SLOT_REFUSED, "the topic is not valid UTF-8");
        return LEAT_OK;
    }
    give_back_slot(self);
    if (rc == MQTTASYNC_DISCONNECTED || rc == MQTTASYNC_MAX_BUFFERED_MESSAGES || rc == MQTTASYNC_NO_MORE_MSGIDS)
        return LEAT_AGAIN;
    const char *text = MQTTAsync_strerror(rc);
    return leat_error_set(out_error, LEAT_E_IO, "cannot send to %s: %s", self->settings->connection.url,
                          text ? text : "");
}

static leat_code mqtt_flush(leat_sink *sink, leat_error *out_error) { return drive((mqtt_sink *)sink, out_error); }

extern const leat_sink_ops leat_sink_mqtt_ops;
const leat_sink_ops leat_sink_mqtt_ops = {
    .abi = LEAT_DRIVER_ABI,
    .size = sizeof(leat_sink_ops),
    .name = "mqtt",
    .instance_size = sizeof(mqtt_sink),
    .open = mqtt_open,
    .send = mqtt_send,
    .flush = mqtt_flush,
    .close = mqtt_close,
};
