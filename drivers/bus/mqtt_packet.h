// PUBLISH packets of QoS 2 as paho's persistence sees them, and the packet ids whose message is kept and not yet released.
//
// The set is small: as many as the broker has under way (mosquitto: 20), at most 65535.
// Threads: the caller's lock. Failure: reserve returns false when there is no memory; put after it cannot fail.
#pragma once

#include "operators/base/bytes.h"

typedef struct leat_mqtt_publish {
    leat_slice topic, payload; // borrowed from the packet
    uint16_t id;
    bool duplicate, retained;
} leat_mqtt_publish;

// fixed: first byte and remaining length; rest: all behind it. False: not a well-formed PUBLISH of QoS 2.
bool leat_mqtt_publish_parse(leat_slice fixed, leat_slice rest, bool v5, leat_mqtt_publish *out_publish);

enum { LEAT_MQTT_BARE_SIZE = 9 };
// A PUBLISH of QoS 2 that holds nothing but its id, for paho to restore; returns its size.
size_t leat_mqtt_publish_bare(uint16_t id, bool v5, uint8_t out_bytes[LEAT_MQTT_BARE_SIZE]);

typedef struct leat_mqtt_known {
    uint64_t hash;     // of topic and payload
    uint64_t position; // in the journal
    uint16_t id;
    bool restored; // found in the journal at start: whether the broker still has it is not known
} leat_mqtt_known;

typedef struct leat_mqtt_known_set {
    leat_env *env;
    leat_mqtt_known *items;
    uint32_t count, capacity;
} leat_mqtt_known_set;

uint64_t leat_mqtt_hash(leat_slice topic, leat_slice payload);
void leat_mqtt_known_fini(leat_mqtt_known_set *set);
leat_mqtt_known *leat_mqtt_known_find(const leat_mqtt_known_set *set, uint16_t id); // NULL: not there
LEAT_MUST_CHECK bool leat_mqtt_known_reserve(leat_mqtt_known_set *set);
void leat_mqtt_known_put(leat_mqtt_known_set *set, leat_mqtt_known known); // replaces one of the same id
bool leat_mqtt_known_remove(leat_mqtt_known_set *set, uint16_t id);
