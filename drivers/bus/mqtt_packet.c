#include "drivers/bus/mqtt_packet.h"

#include <string.h>

#include "operators/base/hash.h"

enum { KNOWN_FIRST = 32, QOS_2 = 0x04, QOS_BITS = 0x06, DUPLICATE = 0x08, RETAINED = 0x01, PUBLISH = 0x30 };

bool leat_mqtt_publish_parse(leat_slice fixed, leat_slice rest, bool v5, leat_mqtt_publish *out_publish)
{
    leat_reader reader;
    uint8_t first = fixed.size ? (uint8_t)fixed.data[0] : 0;
    leat_reader_init(&reader, rest.data, rest.size);
    out_publish->topic = leat_read_bytes(&reader, leat_read_u16be(&reader));
    out_publish->id = leat_read_u16be(&reader);
    if (v5)
        leat_read_sized(&reader); // properties
    out_publish->payload = leat_read_bytes(&reader, leat_reader_left(&reader));
    out_publish->duplicate = first & DUPLICATE;
    out_publish->retained = first & RETAINED;
    return !reader.failed && (first & 0xf0) == PUBLISH && (first & QOS_BITS) == QOS_2 && out_publish->id != 0;
}

size_t leat_mqtt_publish_bare(uint16_t id, bool v5, uint8_t out_bytes[LEAT_MQTT_BARE_SIZE])
{
    uint8_t *cursor = out_bytes;
    *cursor++ = PUBLISH | QOS_2;
    *cursor++ = v5 ? 7 : 6;
    *cursor++ = 0;
    *cursor++ = 1;
    *cursor++ = '-'; // topic
    *cursor++ = (uint8_t)(id >> 8);
    *cursor++ = (uint8_t)id;
    if (v5)
        *cursor++ = 0; // no properties
    *cursor++ = '-';   // payload: paho allocates its size, and zero is no size for that
    return (size_t)(cursor - out_bytes);
}

uint64_t leat_mqtt_hash(leat_slice topic, leat_slice payload)
{
    return leat_hash_combine(leat_hash(topic.data, topic.size), leat_hash(payload.data, payload.size));
}

void leat_mqtt_known_fini(leat_mqtt_known_set *set)
{
    if (set->items)
        leat_env_free(set->env, set->items, set->capacity * sizeof *set->items);
    set->items = NULL;
    set->count = set->capacity = 0;
}

leat_mqtt_known *leat_mqtt_known_find(const leat_mqtt_known_set *set, uint16_t id)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->items[i].id == id)
            return &set->items[i];
    return NULL;
}

bool leat_mqtt_known_reserve(leat_mqtt_known_set *set)
{
    if (set->count < set->capacity)
        return true;
    uint32_t capacity = set->capacity ? set->capacity * 2 : KNOWN_FIRST;
    leat_mqtt_known *items =
        leat_env_grow(set->env, set->items, set->capacity * sizeof *items, capacity * sizeof *items);
    if (!items)
        return false;
    set->items = items;
    set->capacity = capacity;
    return true;
}

void leat_mqtt_known_put(leat_mqtt_known_set *set, leat_mqtt_known known)
{
    leat_mqtt_known *old = leat_mqtt_known_find(set, known.id);
    if (old)
        *old = known;
    else
        set->items[set->count++] = known;
}

bool leat_mqtt_known_remove(leat_mqtt_known_set *set, uint16_t id)
{
    leat_mqtt_known *known = leat_mqtt_known_find(set, id);
    if (known)
        *known = set->items[--set->count];
    return known != NULL;
}
