#include "tests/support/harness_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static leat_slice slice_copy(leat_slice from)
{
    char *copy = malloc(from.size + 1);
    assert_non_null(copy);
    if (from.size)
        memcpy(copy, from.data, from.size);
    return leat_slice_of(copy, from.size);
}

static void entry_free(harness_image_entry *entry)
{
    free((char *)entry->key.data);
    free((char *)entry->value.data);
}

void harness_image_clear(harness_image *image)
{
    for (size_t i = 0; i < image->count; i++)
        entry_free(&image->entries[i]);
    free(image->entries);
    *image = (harness_image){0};
}

static int entry_compare(const harness_image_entry *entry, uint8_t table, uint32_t group, leat_slice key)
{
    if (entry->table != table)
        return entry->table < table ? -1 : 1;
    if (entry->group != group)
        return entry->group < group ? -1 : 1;
    return leat_slice_compare(entry->key, key);
}

static size_t image_place(const harness_image *image, uint8_t table, uint32_t group, leat_slice key, bool *out_found)
{
    size_t low = 0, high = image->count;
    *out_found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = entry_compare(&image->entries[middle], table, group, key);
        if (order == 0) {
            *out_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void harness_image_put(harness_image *image, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    bool found;
    size_t place = image_place(image, table, group, key, &found);
    if (found) {
        free((char *)image->entries[place].value.data);
        image->entries[place].value = slice_copy(value);
        return;
    }
    if (image->count == image->room) {
        image->room = image->room ? image->room * 2 : 16;
        image->entries = realloc(image->entries, image->room * sizeof *image->entries);
        assert_non_null(image->entries);
    }
    memmove(image->entries + place + 1, image->entries + place, (image->count - place) * sizeof *image->entries);
    image->entries[place] = (harness_image_entry){table, group, slice_copy(key), slice_copy(value)};
    image->count++;
}

void harness_image_remove(harness_image *image, uint8_t table, uint32_t group, leat_slice key)
{
    bool found;
    size_t place = image_place(image, table, group, key, &found);
    if (!found)
        return; // made and removed between two snapshots
    entry_free(&image->entries[place]);
    image->count--;
    memmove(image->entries + place, image->entries + place + 1, (image->count - place) * sizeof *image->entries);
}

void harness_image_copy(harness_image *to, const harness_image *from)
{
    harness_image_clear(to);
    for (size_t i = 0; i < from->count; i++)
        harness_image_put(to, from->entries[i].table, from->entries[i].group, from->entries[i].key,
                          from->entries[i].value);
}

bool harness_image_equal(const harness_image *a, const harness_image *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        const harness_image_entry *x = &a->entries[i], *y = &b->entries[i];
        same = entry_compare(x, y->table, y->group, y->key) == 0 && leat_slice_equal(x->value, y->value);
    }
    return same;
}
