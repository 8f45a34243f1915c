#include "operators/core/key_slot.h"

static const uint32_t SLOTS_MAX = 1u << 31;

// ---- memory

void *leat_keys_alloc(leat_keys *keys, size_t size)
{
    void *memory = leat_budget_alloc(keys->budget, size);
    if (memory)
        keys->memory += size;
    return memory;
}

void *leat_keys_grow(leat_keys *keys, void *old, size_t old_size, size_t new_size)
{
    void *memory = leat_budget_grow(keys->budget, old, old_size, new_size);
    if (memory)
        keys->memory += new_size - old_size;
    return memory;
}

void leat_keys_free(leat_keys *keys, void *memory, size_t size)
{
    if (memory)
        keys->memory -= size;
    leat_budget_free(keys->budget, memory, size);
}

// ---- slots

void leat_keys_prefetch(const leat_keys *keys, uint32_t slot)
{
    __builtin_prefetch(leat_keys_record(keys, slot, leat_keys_record_size(keys)));
}

static bool grow_directory(leat_keys *keys)
{
    uint32_t room = keys->page_room ? keys->page_room * 2 : 4;
    void *pages = leat_keys_grow(keys, keys->pages, keys->page_room * sizeof *keys->pages, room * sizeof *keys->pages);
    if (!pages)
        return false;
    keys->pages = pages;
    keys->page_room = room;
    return true;
}

static bool grow_words(leat_keys *keys, uint64_t **words, uint32_t *word_count, uint32_t needed)
{
    if (needed <= *word_count)
        return true;
    uint32_t room = *word_count * 2 > needed ? *word_count * 2 : needed;
    void *grown = leat_keys_grow(keys, *words, *word_count * sizeof(uint64_t), room * sizeof(uint64_t));
    if (!grown)
        return false;
    *words = grown;
    *word_count = room;
    return true;
}

static bool add_page(leat_keys *keys)
{
    uint32_t words = (keys->page_count + 1) * (PAGE_SLOTS / 64);
    if (keys->page_count == keys->page_room && !grow_directory(keys))
        return false;
    if (!grow_words(keys, &keys->free_bits, &keys->free_words, words) ||
        !grow_words(keys, &keys->free_summary, &keys->summary_words, (words + 63) / 64))
        return false;
    uint8_t *page = leat_keys_alloc(keys, PAGE_SLOTS * leat_keys_record_size(keys));
    if (!page)
        return false;
    keys->pages[keys->page_count++] = page;
    return true;
}

static uint32_t smallest_free(const leat_keys *keys)
{
    uint32_t summary = 0;
    while (!keys->free_summary[summary])
        summary++;
    uint32_t word = summary * 64 + (uint32_t)__builtin_ctzll(keys->free_summary[summary]);
    return word * 64 + (uint32_t)__builtin_ctzll(keys->free_bits[word]);
}

static void mark_used(leat_keys *keys, uint32_t slot)
{
    uint32_t word = slot / 64;
    keys->free_bits[word] &= ~((uint64_t)1 << slot % 64);
    if (!keys->free_bits[word])
        keys->free_summary[word / 64] &= ~((uint64_t)1 << word % 64);
    keys->free_count--;
}

void leat_keys_mark_free(leat_keys *keys, uint32_t slot)
{
    uint32_t word = slot / 64;
    keys->free_bits[word] |= (uint64_t)1 << slot % 64;
    keys->free_summary[word / 64] |= (uint64_t)1 << word % 64;
    keys->free_count++;
}

uint32_t leat_keys_next_slot(leat_keys *keys)
{
    if (keys->free_count)
        return smallest_free(keys);
    if (keys->slot_end == SLOTS_MAX)
        return LEAT_SLOT_NONE;
    if (keys->slot_end == keys->page_count * PAGE_SLOTS && !add_page(keys))
        return LEAT_SLOT_NONE;
    return keys->slot_end;
}

void leat_keys_commit_slot(leat_keys *keys, uint32_t slot)
{
    if (slot == keys->slot_end)
        keys->slot_end++;
    else
        mark_used(keys, slot);
    keys->count++;
}

// ---- bytes of long keys

static uint32_t class_of(size_t size) { return (uint32_t)((size + CLASS_STEP - 1) / CLASS_STEP); }

static uint8_t *take_bytes(leat_keys *keys, size_t size)
{
    if (!keys->free_keys)
        keys->free_keys = leat_keys_alloc(keys, CLASS_COUNT * sizeof *keys->free_keys);
    if (!keys->free_keys)
        return NULL;
    uint32_t class = class_of(size);
    uint8_t *bytes = keys->free_keys[class];
    if (bytes) {
        memcpy(&keys->free_keys[class], bytes, sizeof(uint8_t *));
        return bytes;
    }
    size_t room = (size_t) class * CLASS_STEP;
    if (keys->block_left < room) {
        key_block *block = leat_keys_alloc(keys, BLOCK_BYTES);
        if (!block)
            return NULL;
        block->next = keys->blocks;
        keys->blocks = block;
        keys->block_left = BLOCK_BYTES - CLASS_STEP;
    }
    bytes = (uint8_t *)keys->blocks + BLOCK_BYTES - keys->block_left;
    keys->block_left -= room;
    return bytes;
}

void leat_keys_give_bytes(leat_keys *keys, uint8_t *bytes, size_t size)
{
    uint32_t class = class_of(size);
    memcpy(bytes, &keys->free_keys[class], sizeof(uint8_t *));
    keys->free_keys[class] = bytes;
}

bool leat_keys_record_fill(leat_keys *keys, byte_record *record, uint64_t hash, leat_slice key)
{
    uint8_t *bytes = record->inlined;
    if (key.size > INLINE_BYTES) {
        bytes = take_bytes(keys, key.size);
        if (!bytes)
            return false;
        memcpy(record->inlined, &bytes, sizeof bytes);
    }
    if (key.size)
        memcpy(bytes, key.data, key.size);
    record->hash = hash;
    record->size = (uint32_t)key.size;
    return true;
}
