// Messages of a broker into the journal; acknowledged once they are there (`ack: durable`) or in its memory (`fast`).
//
// QoS 1: paho calls on_message, then sends PUBACK; so the message is appended and synced within the callback.
// QoS 2: paho puts the packet into its persistence, which is ours: store_put appends the message with its packet id ("key") as one
//   record; then PUBREC leaves. PUBREL takes the id out again: store_remove appends a tombstone; then PUBCOMP. Ids that are known
//   are rebuilt from the journal at start, so a retransmission is recognised and only acknowledged. on_message does nothing: paho's
//   own store would lose messages here (MQTT 5) or deliver twice (3.1.1). The tombstone is not waited for: one that a crash loses leaves
//   an id that is known in vain; an id found in the journal counts as retransmitted only for a packet that says so (DUP).
// A message that cannot be kept (no room, disk too slow) is not acknowledged: the socket is shut down within the callback, and the
//   broker sends it again after the next connect. Held intake: disconnect while there is room for what is under way.
//
// Records, by tag: MESSAGE topic, payload, key (QoS 2) or 0 | TOMBSTONE key | STILL key, payload = hash of the message (u64): repeats a
// known id further back than which the journal may be trimmed. The latter two are LEAT_RAW_CONTROL.
//
// The session at the broker is part of the guarantee. When it is gone after we had one, a gap `session-lost` is recorded.
#include "drivers/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/bus/mqtt_link.h"
#include "drivers/bus/mqtt_packet.h"

enum {
    TAG_MESSAGE = 1,
    TAG_TOMBSTONE = 2,
    TAG_STILL = 3,
    SLICE_MS = 200,       // of a wait within a callback, between looks at stop
    BLOCK_MS_MAX = 10000, // in a callback, and less than half of the keep-alive
    WATCH_MS = 5000,
    STILL_MS = 30000,
    SUBSCRIBE_MS = 15000,
    ROOM_MS = 1000,
    RECEIVE_MAXIMUM = 100, // QoS 1 and 2 packets under way (MQTT 5): bounds what a crash makes known ids of
    TOPICS_MAX = 256,
    STORE_REFUSED = -2, // MQTTCLIENT_PERSISTENCE_ERROR: paho then keeps its commands in memory
};

typedef enum subscription { NOT_SUBSCRIBED, SUBSCRIBING, SUBSCRIBED, SUBSCRIPTION_REFUSED } subscription;

typedef struct mqtt_source {
    leat_source source;
    const leat_mqtt_source_settings *settings;
    leat_intake *intake;
    leat_mqtt_link link;
    bool has_link; // init was called
    MQTTClient_persistence store;
    int64_t block_ms; // how long a callback may wait for the disk
    const char *client_id;
    _Atomic bool held; // set in a callback: the thread of run disconnects
    // -- the thread of run
    bool rebuilt, had_session;
    int64_t last_here_ms; // wall clock: until then messages reached us; 0: never
    int64_t last_still_ms;
    // -- under known_lock
    pthread_mutex_t known_lock;
    leat_mqtt_known_set known;
    // -- under the link's lock
    subscription subscription;
    char subscription_text[120];
} mqtt_source;

// ---- keeping

static bool wait_durable(mqtt_source *self, uint64_t position)
{
    int64_t until_ms = leat_boot_ms(self->source.setup->env) + self->block_ms;
    leat_code code;
    while ((code = self->intake->wait_durable(self->intake, position, SLICE_MS)) == LEAT_E_TIMEOUT)
        if (self->intake->stopping(self->intake) || leat_boot_ms(self->source.setup->env) >= until_ms)
            return false;
    return code == LEAT_OK;
}

static void note_held(mqtt_source *self)
{
    if (!atomic_exchange(&self->held, true))
        leat_mqtt_link_wake(&self->link);
}

// True: kept as asked for. False: it must not be acknowledged.
static bool keep(mqtt_source *self, const leat_raw *raw, bool durable, uint64_t *out_position)
{
    leat_code code = self->intake->append(self->intake, raw, out_position);
    if (code != LEAT_OK || self->intake->held(self->intake))
        note_held(self);
    return code == LEAT_OK && (!durable || wait_durable(self, *out_position));
}

static bool is_wanted(mqtt_source *self, const leat_raw *raw)
{
    if (raw->payload.size > LEAT_PAYLOAD_BYTES_MAX) {
        self->intake->count(self->intake, "too_large", 1);
        self->intake->gap(self->intake, "too-large", raw->arrival_ms, raw->arrival_ms, 1);
        return false;
    }
    if (raw->payload.size == 0) // clears a retained message; the format makes no row of it
        self->intake->count(self->intake, "empty", 1);
    if ((raw->flags & LEAT_RAW_RETAINED) && self->settings->retained == LEAT_MQTT_RETAINED_IGNORE) {
        self->intake->count(self->intake, "retained_ignored", 1);
        return false;
    }
    return true;
}

static leat_raw raw_of(mqtt_source *self, leat_slice topic, leat_slice payload, bool retained, bool duplicate)
{
    return (leat_raw){.arrival_ms = leat_wall_ms(self->source.setup->env),
                      .tag = TAG_MESSAGE,
                      .flags = (uint8_t)((retained ? LEAT_RAW_RETAINED : 0) | (duplicate ? LEAT_RAW_DUPLICATE : 0)),
                      .topic = topic,
                      .payload = payload};
}

static void refuse(mqtt_source *self)
{
    self->intake->count(self->intake, "not_kept", 1);
    leat_mqtt_link_cut(&self->link);
}

static void take_message(mqtt_source *self, leat_slice topic, const MQTTAsync_message *message)
{
    uint64_t position;
    leat_slice payload = leat_slice_of(message->payload, (size_t)message->payloadlen);
    leat_raw raw = raw_of(self, topic, payload, message->retained, message->dup);
    if (!is_wanted(self, &raw))
        return;
    bool kept = keep(self, &raw, message->qos > 0 && self->settings->ack == LEAT_MQTT_ACK_DURABLE, &position);
    if (!kept && message->qos == 0)
        self->intake->gap(self->intake, "intake-full", raw.arrival_ms, raw.arrival_ms, 1);
    else if (!kept)
        refuse(self);
}

// Always returns 1: 0 would acknowledge all the same, and queue in memory.
static int on_message(void *context, char *topic, int topic_size, MQTTAsync_message *message)
{
    mqtt_source *self = context;
    if (message->qos != 2) // store_put has those
        take_message(self, leat_slice_of(topic, topic_size ? (size_t)topic_size : strlen(topic)), message);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

// ---- QoS 2: paho's persistence; called under paho's mutex

static bool append_control(mqtt_source *self, uint8_t tag, uint16_t id, leat_slice payload)
{
    uint64_t position;
    leat_raw raw = {.arrival_ms = leat_wall_ms(self->source.setup->env),
                    .tag = tag,
                    .flags = LEAT_RAW_CONTROL,
                    .key = id,
                    .payload = payload};
    return self->intake->append(self->intake, &raw, &position) == LEAT_OK;
}

// The same message again, by an id that is known?
static bool is_again(mqtt_source *self, const leat_mqtt_publish *publish, uint64_t hash, uint64_t *out_position)
{
    pthread_mutex_lock(&self->known_lock);
    const leat_mqtt_known *known = leat_mqtt_known_find(&self->known, publish->id);
    bool again = known && known->hash == hash && (publish->duplicate || !known->restored);
    *out_position = known ? known->position : 0;
    pthread_mutex_unlock(&self->known_lock);
    return again;
}

static bool keep_exactly(mqtt_source *self, const leat_mqtt_publish *publish)
{
    uint64_t position, hash = leat_mqtt_hash(publish->topic, publish->payload);
    bool durable = self->settings->ack == LEAT_MQTT_ACK_DURABLE;
    if (is_again(self, publish, hash, &position)) {
        self->intake->count(self->intake, "retransmitted", 1);
        return !durable || wait_durable(self, position);
    }
    leat_raw raw = raw_of(self, publish->topic, publish->payload, publish->retained, publish->duplicate);
    if (!is_wanted(self, &raw))
        return true;
    raw.key = publish->id;
    pthread_mutex_lock(&self->known_lock);
    bool room = leat_mqtt_known_reserve(&self->known);
    pthread_mutex_unlock(&self->known_lock);
    if (!room || !keep(self, &raw, false, &position))
        return false;
    // Known from here on, synced or not: it is in the journal once.
    pthread_mutex_lock(&self->known_lock);
    leat_mqtt_known_put(&self->known, (leat_mqtt_known){.hash = hash, .position = position, .id = publish->id});
    pthread_mutex_unlock(&self->known_lock);
    return !durable || wait_durable(self, position);
}

// "r5-17" (MQTT 5), "r-17": a received PUBLISH of QoS 2. 0: something else.
static uint16_t id_of_key(const char *key)
{
    if (*key++ != 'r')
        return 0;
    key += *key == '5';
    long id = *key == '-' ? strtol(key + 1, NULL, 10) : 0;
    return id > 0 && id <= 65535 ? (uint16_t)id : 0;
}

static int store_open(void **out_handle, const char *client_id, const char *address, void *context)
{
    (void)client_id;
    (void)address;
    *out_handle = context;
    return 0;
}

static int store_close(void *handle)
{
    (void)handle;
    return 0;
}

static int store_put(void *handle, char *key, int count, char *buffers[], int sizes[])
{
    mqtt_source *self = handle;
    leat_mqtt_publish publish;
    if (!id_of_key(key))
        return STORE_REFUSED;
    // What is returned here does not reach the wire: PUBREC leaves unless the socket is shut down.
    if (count != 2 ||
        !leat_mqtt_publish_parse(leat_slice_of(buffers[0], (size_t)sizes[0]),
                                 leat_slice_of(buffers[1], (size_t)sizes[1]), leat_mqtt_link_is_v5(&self->link),
                                 &publish) ||
        !keep_exactly(self, &publish))
        refuse(self);
    return 0;
}

// Also called by paho when it throws a session away or is destroyed before its first connect; only PUBREL counts, and that comes while
// connected. forget_session does the rest.
static int store_remove(void *handle, char *key)
{
    mqtt_source *self = handle;
    uint16_t id = id_of_key(key);
    if (!id || leat_mqtt_link_state(&self->link) != LEAT_MQTT_CONNECTED)
        return 0;
    pthread_mutex_lock(&self->known_lock);
    bool known = leat_mqtt_known_remove(&self->known, id);
    pthread_mutex_unlock(&self->known_lock);
    if (known && !append_control(self, TAG_TOMBSTONE, id, leat_slice_of("", 0)))
        note_held(self);
    return 0;
}

static int store_get(void *handle, char *key, char **out_buffer, int *out_size)
{
    const mqtt_source *self = handle;
    uint16_t id = id_of_key(key);
    uint8_t *bytes = id ? MQTTAsync_malloc(LEAT_MQTT_BARE_SIZE) : NULL;
    if (!bytes)
        return STORE_REFUSED;
    *out_size = (int)leat_mqtt_publish_bare(id, leat_mqtt_link_is_v5(&self->link), bytes);
    *out_buffer = (char *)bytes;
    return 0;
}

static void free_keys(char **keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        MQTTAsync_free(keys[i]);
    MQTTAsync_free(keys);
}

// Under known_lock.
static int list_keys(const mqtt_source *self, char ***out_keys)
{
    enum { KEY_SIZE = 16 };
    const char *prefix = leat_mqtt_link_is_v5(&self->link) ? "r5-" : "r-";
    char **keys = MQTTAsync_malloc(self->known.count * sizeof *keys);
    for (uint32_t i = 0; keys && i < self->known.count; i++) {
        keys[i] = MQTTAsync_malloc(KEY_SIZE);
        if (!keys[i]) {
            free_keys(keys, i);
            return STORE_REFUSED;
        }
        snprintf(keys[i], KEY_SIZE, "%s%u", prefix, self->known.items[i].id);
    }
    *out_keys = keys;
    return keys ? 0 : STORE_REFUSED;
}

static int store_keys(void *handle, char ***out_keys, int *out_count)
{
    mqtt_source *self = handle;
    *out_keys = NULL;
    *out_count = 0;
    pthread_mutex_lock(&self->known_lock);
    int rc = self->known.count ? list_keys(self, out_keys) : 0;
    if (rc == 0)
        *out_count = (int)self->known.count;
    pthread_mutex_unlock(&self->known_lock);
    return rc;
}

static int store_clear(void *handle)
{
    (void)handle;
    return 0;
}

static int store_contains(void *handle, char *key)
{
    mqtt_source *self = handle;
    pthread_mutex_lock(&self->known_lock);
    bool known = leat_mqtt_known_find(&self->known, id_of_key(key)) != NULL;
    pthread_mutex_unlock(&self->known_lock);
    return known ? 0 : STORE_REFUSED;
}

// ---- known ids over restarts

static void visit_record(void *context, const leat_raw *raw)
{
    mqtt_source *self = context;
    self->had_session = true;
    self->last_here_ms = raw->arrival_ms;
    if (raw->key == 0 || raw->key > 65535)
        return;
    leat_mqtt_known known = {.id = (uint16_t)raw->key, .position = raw->position, .restored = true};
    if (raw->tag == TAG_TOMBSTONE) {
        leat_mqtt_known_remove(&self->known, known.id);
        return;
    }
    known.hash = leat_mqtt_hash(raw->topic, raw->payload);
    if (raw->tag == TAG_STILL && raw->payload.size == sizeof known.hash)
        memcpy(&known.hash, raw->payload.data, sizeof known.hash);
    if (leat_mqtt_known_reserve(&self->known))
        leat_mqtt_known_put(&self->known, known);
}

static leat_code rebuild(mqtt_source *self, leat_error *out_error)
{
    if (self->rebuilt)
        return LEAT_OK;
    leat_code code = self->intake->visit(self->intake, visit_record, self);
    if (code != LEAT_OK)
        return leat_error_set(out_error, code, "the journal's packet ids cannot be read");
    self->rebuilt = true;
    return LEAT_OK;
}

// The journal is trimmed behind the checkpoints, a known id may outlive its record there.
static void repeat_known(mqtt_source *self)
{
    int64_t now_ms = leat_boot_ms(self->source.setup->env);
    if (now_ms - self->last_still_ms < STILL_MS)
        return;
    self->last_still_ms = now_ms;
    pthread_mutex_lock(&self->known_lock);
    for (uint32_t i = 0; i < self->known.count; i++) {
        const leat_mqtt_known *known = &self->known.items[i];
        append_control(self, TAG_STILL, known->id, leat_slice_of((const char *)&known->hash, sizeof known->hash));
    }
    pthread_mutex_unlock(&self->known_lock);
}

// The broker has begun to number anew. Nothing arrives before we have subscribed.
static bool forget_session(mqtt_source *self)
{
    bool done = true;
    pthread_mutex_lock(&self->known_lock);
    while (self->known.count && done) {
        uint16_t id = self->known.items[self->known.count - 1].id;
        done = append_control(self, TAG_TOMBSTONE, id, leat_slice_of("", 0));
        if (done)
            leat_mqtt_known_remove(&self->known, id);
    }
    pthread_mutex_unlock(&self->known_lock);
    return done;
}

// ---- subscribing

static void end_subscribing(mqtt_source *self, subscription result, const char *text)
{
    pthread_mutex_lock(&self->link.lock);
    if (self->subscription == SUBSCRIBING) {
        self->subscription = result;
        snprintf(self->subscription_text, sizeof self->subscription_text, "%s", text);
    }
    pthread_mutex_unlock(&self->link.lock);
    leat_mqtt_link_wake(&self->link);
}

// What was granted, topic by topic: a QoS, or a reason from 0x80 on.
static void check_granted(mqtt_source *self, const int *granted, uint32_t count)
{
    char text[120] = "";
    for (uint32_t i = 0; i < count && i < self->settings->topics.count; i++) {
        const char *topic = self->settings->topics.items[i];
        if (granted[i] >= 0x80) {
            const char *reason = granted[i] == 0x80 ? NULL : MQTTReasonCode_toString((enum MQTTReasonCodes)granted[i]);
            snprintf(text, sizeof text, "the broker refused topic '%.60s': %s", topic, reason ? reason : "not allowed");
            end_subscribing(self, SUBSCRIPTION_REFUSED, text);
            return;
        }
        if (granted[i] < self->settings->qos) {
            snprintf(text, sizeof text, "the broker grants qos %d for topic '%.60s'", granted[i], topic);
            self->intake->count(self->intake, "qos_lowered", 1);
        }
    }
    end_subscribing(self, SUBSCRIBED, text);
}

static void on_subscribed(void *context, MQTTAsync_successData *response)
{
    mqtt_source *self = context;
    uint32_t count = self->settings->topics.count;
    check_granted(self, count > 1 ? response->alt.qosList : &response->alt.qos, count);
}

static void on_subscribed5(void *context, MQTTAsync_successData5 *response)
{
    mqtt_source *self = context;
    int granted[TOPICS_MAX];
    uint32_t count = (uint32_t)response->alt.sub.reasonCodeCount;
    count = count < TOPICS_MAX ? count : TOPICS_MAX;
    for (uint32_t i = 0; i < count; i++)
        granted[i] = count > 1 ? (int)response->alt.sub.reasonCodes[i] : (int)response->reasonCode;
    check_granted(self, granted, count);
}

static void on_not_subscribed(void *context, MQTTAsync_failureData *response)
{
    int code = response->code;
    check_granted(context, &(int){code >= 0x80 ? code : 0x80}, 1);
}

static void on_not_subscribed5(void *context, MQTTAsync_failureData5 *response)
{
    int code = (int)response->reasonCode;
    check_granted(context, &(int){code >= 0x80 ? code : 0x80}, 1);
}

static int send_subscribe(mqtt_source *self)
{
    const leat_text_list *topics = &self->settings->topics;
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    MQTTSubscribe_options each = MQTTSubscribe_options_initializer, list[TOPICS_MAX];
    int qos[TOPICS_MAX];
    // Retained messages: when a subscription is new, or never.
    each.retainHandling = self->settings->retained == LEAT_MQTT_RETAINED_IGNORE ? 2 : 1;
    for (uint32_t i = 0; i < topics->count; i++) {
        list[i] = each;
        qos[i] = (int)self->settings->qos;
    }
    options.context = self;
    if (leat_mqtt_link_is_v5(&self->link)) {
        options.onSuccess5 = on_subscribed5;
        options.onFailure5 = on_not_subscribed5;
        options.subscribeOptions = each;
        options.subscribeOptionsList = list;
        options.subscribeOptionsCount = (int)topics->count;
    } else {
        options.onSuccess = on_subscribed;
        options.onFailure = on_not_subscribed;
    }
    return MQTTAsync_subscribeMany(self->link.client, (int)topics->count, (char *const *)topics->items, qos, &options);
}

static subscription subscription_of(mqtt_source *self, char out_text[120])
{
    pthread_mutex_lock(&self->link.lock);
    subscription now = self->subscription;
    memcpy(out_text, self->subscription_text, sizeof self->subscription_text);
    pthread_mutex_unlock(&self->link.lock);
    return now;
}

// With 3.1.1 a repeated subscription brings all retained messages again, so not while the broker has it.
static bool subscribe(mqtt_source *self, bool session_present, char out_text[120])
{
    if (session_present && !leat_mqtt_link_is_v5(&self->link) && subscription_of(self, out_text) == SUBSCRIBED)
        return true;
    pthread_mutex_lock(&self->link.lock);
    self->subscription = SUBSCRIBING;
    pthread_mutex_unlock(&self->link.lock);
    int rc = send_subscribe(self);
    int64_t until_ms = leat_boot_ms(self->source.setup->env) + SUBSCRIBE_MS;
    subscription now = SUBSCRIBING;
    while (rc == MQTTASYNC_SUCCESS && leat_mqtt_link_state(&self->link) == LEAT_MQTT_CONNECTED &&
           !self->intake->stopping(self->intake) && leat_boot_ms(self->source.setup->env) < until_ms &&
           (now = subscription_of(self, out_text)) == SUBSCRIBING)
        leat_mqtt_link_await(&self->link, SLICE_MS);
    if (now == SUBSCRIBING)
        snprintf(out_text, 120, "the broker did not answer the subscription");
    return now == SUBSCRIBED;
}

// ---- run

static leat_code mqtt_open(leat_source *source, const leat_source_setup *setup, leat_error *out_error)
{
    mqtt_source *self = (mqtt_source *)source;
    source->setup = setup;
    self->settings = setup->settings;
    self->intake = setup->intake;
    if (self->settings->topics.count > TOPICS_MAX)
        return leat_error_set(out_error, LEAT_E_LIMIT, "topic: expected at most %d, found %u", TOPICS_MAX,
                              self->settings->topics.count);
    int64_t half_ms = self->settings->connection.keep_alive_ms / 2 - 2 * SLICE_MS;
    self->block_ms = half_ms < BLOCK_MS_MAX ? half_ms : BLOCK_MS_MAX;
    self->client_id = leat_arena_format(setup->arena, "leat-%s-%s", setup->agent_name, setup->name);
    self->known.env = setup->env;
    self->last_still_ms = leat_boot_ms(setup->env);
    leat_mqtt_link_init(&self->link);
    pthread_mutex_init(&self->known_lock, NULL);
    self->has_link = true;
    self->store = (MQTTClient_persistence){.context = self,
                                           .popen = store_open,
                                           .pclose = store_close,
                                           .pput = store_put,
                                           .pget = store_get,
                                           .premove = store_remove,
                                           .pkeys = store_keys,
                                           .pclear = store_clear,
                                           .pcontainskey = store_contains};
    return LEAT_OK;
}

static void mqtt_close(leat_source *source)
{
    mqtt_source *self = (mqtt_source *)source;
    if (!self->has_link)
        return;
    leat_mqtt_known_fini(&self->known);
    pthread_mutex_destroy(&self->known_lock);
    leat_mqtt_link_fini(&self->link);
    self->has_link = false;
}

static void mqtt_stop(leat_source *source) { leat_mqtt_link_wake(&((mqtt_source *)source)->link); }

static leat_code open_link(mqtt_source *self, leat_error *out_error)
{
    const leat_mqtt_source_settings *settings = self->settings;
    leat_mqtt_link_setup setup = {.env = self->source.setup->env,
                                  .connection = &settings->connection,
                                  .client_id = self->client_id,
                                  .clean = settings->clean,
                                  .session_expiry_s = (settings->session_expiry_ms + 999) / 1000,
                                  .receive_maximum = RECEIVE_MAXIMUM,
                                  .persistence = &self->store,
                                  .on_message = on_message,
                                  .context = self};
    return leat_mqtt_link_open(&self->link, &setup, out_error);
}

// What may have passed us by since last_here_ms.
static void record_gap(mqtt_source *self, bool session_present)
{
    int64_t now_ms = leat_wall_ms(self->source.setup->env);
    if (self->had_session && !session_present)
        self->intake->gap(self->intake, self->settings->clean ? "clean-session" : "session-lost", self->last_here_ms,
                          now_ms, 0);
    else if (self->had_session && self->settings->qos == 0)
        self->intake->gap(self->intake, "disconnected", self->last_here_ms, now_ms, 0);
}

// From nothing to subscribed; out_text says why not.
static bool join_broker(mqtt_source *self, char out_text[160])
{
    leat_mqtt_link_connect(&self->link);
    while (leat_mqtt_link_state(&self->link) == LEAT_MQTT_CONNECTING && !self->intake->stopping(self->intake) &&
           !leat_mqtt_link_is_stuck(&self->link))
        leat_mqtt_link_await(&self->link, SLICE_MS);
    leat_mqtt_link_reason(&self->link, out_text);
    if (leat_mqtt_link_state(&self->link) != LEAT_MQTT_CONNECTED)
        return false;
    bool session_present = self->link.session_present;
    record_gap(self, session_present);
    bool ready = atomic_load(&self->link.socket) > 0;
    snprintf(out_text, 160, "%s", ready ? "no room in the journal" : "paho's trace does not tell the socket");
    ready = ready && (session_present || forget_session(self)) && subscribe(self, session_present, out_text);
    if (ready)
        self->had_session = true;
    return ready;
}

static void watch(mqtt_source *self)
{
    while (leat_mqtt_link_state(&self->link) == LEAT_MQTT_CONNECTED && !atomic_load(&self->held) &&
           !self->intake->stopping(self->intake)) {
        repeat_known(self);
        self->last_here_ms = leat_wall_ms(self->source.setup->env);
        leat_mqtt_link_await(&self->link, WATCH_MS);
    }
}

static void wait_for_room(mqtt_source *self)
{
    if (!self->intake->held(self->intake)) {
        atomic_store(&self->held, false);
        return;
    }
    self->intake->note(self->intake, false, "intake is held back until the journal has room");
    while (!self->intake->stopping(self->intake) && self->intake->wait_room(self->intake, ROOM_MS) != LEAT_OK)
        ;
    atomic_store(&self->held, false);
}

// One connection, from joining to its end.
static void serve(mqtt_source *self)
{
    char text[160];
    if (join_broker(self, text)) {
        leat_mqtt_link_succeeded(&self->link);
        self->intake->note(self->intake, true, text);
        watch(self);
        self->intake->count(self->intake, "disconnects", 1);
        leat_mqtt_link_reason(&self->link, text);
    } else if (!self->intake->stopping(self->intake)) {
        self->intake->count(self->intake, "failed_connects", 1);
    }
    if (self->intake->stopping(self->intake))
        return;
    leat_mqtt_link_disconnect(&self->link, 0, NULL);
    self->intake->note(self->intake, false, text[0] ? text : "disconnected");
}

static leat_code mqtt_run(leat_source *source, leat_error *out_error)
{
    mqtt_source *self = (mqtt_source *)source;
    leat_code code = rebuild(self, out_error);
    if (code == LEAT_OK)
        code = open_link(self, out_error);
    if (code != LEAT_OK)
        return code;
    while (!self->intake->stopping(self->intake)) {
        wait_for_room(self);
        if (self->intake->stopping(self->intake))
            break;
        serve(self);
        repeat_known(self);
        if (leat_mqtt_link_is_stuck(&self->link)) {
            code = leat_error_set(out_error, LEAT_E_TIMEOUT, "an attempt to connect to %s does not end",
                                  self->settings->connection.url);
            break;
        }
        self->intake->sleep(self->intake, leat_mqtt_link_pause_ms(&self->link));
    }
    leat_mqtt_link_close(&self->link);
    return code;
}

extern const leat_source_ops leat_source_mqtt_ops;
const leat_source_ops leat_source_mqtt_ops = {
    .abi = LEAT_DRIVER_ABI,
    .size = sizeof(leat_source_ops),
    .name = "mqtt",
    .instance_size = sizeof(mqtt_source),
    .open = mqtt_open,
    .close = mqtt_close,
    .run = mqtt_run,
    .stop = mqtt_stop,
};
