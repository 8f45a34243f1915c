#include "config/yaml/document.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/yaml/report.h"
#include "operators/base/hash.h"

enum { ANCHORS_MAX = 256, KEYS_UNHASHED = 16 };

// `a.b[0]` and `alerts/{rule}` without quotes are no YAML within { }: libyaml is shown U+E05B, 5D, 7B, 7D in place of such brackets,
// one character for one, and values get the brackets back. No text that is YAML as it stands has them behind a word with another meaning.
enum { MARK_SIZE = 3 };

typedef struct anchor {
    const char *name;
    const leat_yaml_node *node;
} anchor;

typedef struct builder {
    leat_arena *arena;
    leat_report *report;
    leat_yaml_document *document;
    yaml_parser_t parser;
    uint32_t character, byte; // the place that was converted last
    uint32_t node_count, depth;
    uint32_t anchor_count;
    anchor anchors[ANCHORS_MAX];
    bool failed;
    bool marked; // brackets have been replaced
} builder;

// ---- places

static bool is_continuation(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

// libyaml counts characters, we count bytes.
static uint32_t byte_of(builder *b, size_t character)
{
    leat_slice text = b->document->text;
    while (b->character < character && b->byte < text.size) {
        b->byte++;
        while (b->byte < text.size && is_continuation(text.data[b->byte]))
            b->byte++;
        b->character++;
    }
    while (b->character > character && b->byte > 0) {
        b->byte--;
        while (b->byte > 0 && is_continuation(text.data[b->byte]))
            b->byte--;
        b->character--;
    }
    return b->byte;
}

static void fail_at(builder *b, size_t character, const char *message)
{
    b->failed = true;
    leat_report_at(b->report, b->document, byte_of(b, character), 1, "%s", message);
}

static bool is_tab_indent(const builder *b, uint32_t offset)
{
    leat_slice text = b->document->text;
    while (offset > 0 && (text.data[offset - 1] == ' ' || text.data[offset - 1] == '\t'))
        offset--;
    if (offset > 0 && text.data[offset - 1] != '\n')
        return false;
    for (; offset < text.size && (text.data[offset] == ' ' || text.data[offset] == '\t'); offset++)
        if (text.data[offset] == '\t')
            return true;
    return false;
}

// What libyaml says, in words of ours where they help.
static const char *advice(const char *problem)
{
    static const struct {
        const char *problem, *text;
    } known[] = {
        {"mapping values are not allowed", "a ':' is not expected here; put the text in quotes if it belongs to it"},
        {"did not find expected key", "expected a key here; is the indentation right?"},
        {"could not find expected ':'", "expected 'key: value'; the ':' is missing"},
        {"did not find expected ',' or '}'", "expected ',' or '}'"},
        {"did not find expected ',' or ']'", "expected ',' or ']'"},
        {"did not find expected '-' indicator", "expected '-' or the end of the list; is the indentation right?"},
        {"found character that cannot start any token", "this character cannot begin a value; put the text in quotes"},
        {"found unexpected end of stream", "the text ends within a quoted text"},
        {"found unknown escape character",
         "unknown escape in a text with double quotes; single quotes take \\ as it is"},
        {"found undefined tag handle", "tags (!) are not used here; put the text in quotes"},
        {"did not find expected <document start>", "a second document begins here; one file describes one gateway"},
        {"block sequence entries are not allowed", "a list is not expected here"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(problem, known[i].problem))
            return known[i].text;
    return problem;
}

static void parser_failed(builder *b)
{
    const yaml_parser_t *parser = &b->parser;
    const char *problem = parser->problem ? parser->problem : "not YAML";
    if (parser->error == YAML_READER_ERROR) {
        b->failed = true;
        leat_report_at(b->report, b->document, (uint32_t)parser->problem_offset, 1, "%s", problem);
        return;
    }
    if (parser->error == YAML_MEMORY_ERROR)
        problem = "no memory to read it";
    uint32_t offset = byte_of(b, parser->problem_mark.index);
    if (offset >= b->document->text.size && parser->context) { // the end came too early: where it began says more
        fail_at(b, parser->context_mark.index, "this is not closed before the end of the file");
        return;
    }
    bool tab = is_tab_indent(b, offset);
    fail_at(b, parser->problem_mark.index, tab ? "a tab cannot indent: YAML wants spaces" : advice(problem));
}

static bool next(builder *b, yaml_event_t *out_event)
{
    if (b->failed)
        return false;
    if (yaml_parser_parse(&b->parser, out_event))
        return true;
    parser_failed(b);
    return false;
}

// ---- nodes

static const leat_yaml_node *build(builder *b, yaml_event_t *event);

static leat_yaml_node *node_new(builder *b, const yaml_event_t *event, leat_yaml_kind kind)
{
    if (++b->node_count > LEAT_YAML_NODES_MAX) {
        fail_at(b, event->start_mark.index, "the file has too many values");
        return NULL;
    }
    leat_yaml_node *node = leat_arena_new(b->arena, leat_yaml_node);
    node->kind = kind;
    node->document = b->document;
    node->offset = byte_of(b, event->start_mark.index);
    node->end = byte_of(b, event->end_mark.index);
    node->weight = 1;
    return node;
}

static bool check_tag(builder *b, const yaml_event_t *event, const yaml_char_t *tag)
{
    if (tag)
        fail_at(b, event->start_mark.index, "tags (!) are not used here; put the text in quotes");
    return !tag;
}

static void remember(builder *b, const yaml_event_t *event, const yaml_char_t *name, const leat_yaml_node *node)
{
    if (!name || !node)
        return;
    if (b->anchor_count == ANCHORS_MAX) {
        fail_at(b, event->start_mark.index, "the file has too many anchors");
        return;
    }
    const char *copy = leat_arena_copy(b->arena, (const char *)name, strlen((const char *)name));
    b->anchors[b->anchor_count++] = (anchor){copy, node};
}

static const leat_yaml_node *build_alias(builder *b, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    for (uint32_t i = b->anchor_count; i-- > 0;) {
        if (strcmp(b->anchors[i].name, name))
            continue;
        b->node_count += b->anchors[i].node->weight;
        if (b->node_count > LEAT_YAML_NODES_MAX)
            fail_at(b, event->start_mark.index, "aliases make the file too large");
        return b->failed ? NULL : b->anchors[i].node;
    }
    b->failed = true;
    uint32_t start = byte_of(b, event->start_mark.index), end = byte_of(b, event->end_mark.index);
    leat_report_at(b->report, b->document, start, end - start, "unknown anchor '%.60s': &%.60s has to stand before it",
                   name, name);
    return NULL;
}

static leat_yaml_style style_of(yaml_scalar_style_t style)
{
    switch (style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE:
        return LEAT_YAML_SINGLE;
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        return LEAT_YAML_DOUBLE;
    case YAML_LITERAL_SCALAR_STYLE:
        return LEAT_YAML_LITERAL;
    case YAML_FOLDED_SCALAR_STYLE:
        return LEAT_YAML_FOLDED;
    default:
        return LEAT_YAML_PLAIN;
    }
}

// ---- brackets

static bool is_word(char c)
{
    char low = (char)(c | 0x20);
    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// Size of "[12]" or "{name}" at `at` behind a word; 0: none.
static size_t bracket_size(leat_slice text, size_t at)
{
    char open = text.data[at], before = at ? text.data[at - 1] : ' ';
    bool index = open == '[' && (is_word(before) || before == ']');
    bool name = open == '{' && (is_word(before) || strchr("/-.}", before));
    size_t end = at + 1;
    if (!index && !name)
        return 0;
    while (end < text.size && (index ? text.data[end] >= '0' && text.data[end] <= '9' : is_word(text.data[end])))
        end++;
    return end > at + 1 && end < text.size && text.data[end] == (index ? ']' : '}') ? end + 1 - at : 0;
}

// The bracket that three bytes of a value stand for; 0: none.
static char bracket_of(leat_slice text, size_t at)
{
    const unsigned char *c = (const unsigned char *)text.data + at;
    if (text.size - at < MARK_SIZE || c[0] != 0xee || c[1] != 0x81)
        return 0;
    return strchr("\x9b\x9d\xbb\xbd", c[2]) && c[2] ? (char)((c[2] & 0x3f) + 0x40) : 0;
}

static char *put_mark(char *to, char bracket)
{
    *to++ = (char)0xee;
    *to++ = (char)0x81;
    *to++ = (char)((bracket & 0x3f) | 0x80);
    return to;
}

static leat_slice with_marks(builder *b, leat_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += bracket_size(text, i) > 0;
        if (bracket_of(text, i))
            return text;
    }
    if (!count)
        return text;
    char *copy = leat_arena_alloc(b->arena, text.size + count * 2 * (MARK_SIZE - 1)), *to = copy;
    for (size_t i = 0; i < text.size;) {
        size_t size = bracket_size(text, i);
        if (!size) {
            *to++ = text.data[i++];
            continue;
        }
        to = put_mark(to, text.data[i]);
        memcpy(to, text.data + i + 1, size - 2);
        to = put_mark(to + size - 2, text.data[i + size - 1]);
        i += size;
    }
    b->marked = true;
    return leat_slice_of(copy, (size_t)(to - copy));
}

static leat_slice copy_value(builder *b, leat_slice value)
{
    char *copy = leat_arena_copy(b->arena, value.data, value.size), *to = copy;
    if (!b->marked)
        return leat_slice_of(copy, value.size);
    for (size_t i = 0; i < value.size;) {
        char bracket = bracket_of(value, i);
        *to++ = bracket ? bracket : value.data[i];
        i += bracket ? MARK_SIZE : 1;
    }
    *to = 0;
    return leat_slice_of(copy, (size_t)(to - copy));
}

// ---- scalars

// libyaml begins a value with its `&name`.
static uint32_t after_anchor(leat_slice text, uint32_t offset, uint32_t end)
{
    while (offset < end && !strchr(" \t\r\n", text.data[offset]))
        offset++;
    while (offset < end && strchr(" \t\r\n", text.data[offset]))
        offset++;
    return offset;
}

static const leat_yaml_node *build_scalar(builder *b, const yaml_event_t *event)
{
    leat_yaml_node *node = check_tag(b, event, event->data.scalar.tag) ? node_new(b, event, LEAT_YAML_SCALAR) : NULL;
    if (!node)
        return NULL;
    node->style = style_of(event->data.scalar.style);
    node->text = copy_value(b, leat_slice_of((const char *)event->data.scalar.value, event->data.scalar.length));
    if (event->data.scalar.anchor)
        node->offset = after_anchor(b->document->text, node->offset, node->end);
    remember(b, event, event->data.scalar.anchor, node);
    return node;
}

// ---- mappings

typedef struct pairs {
    leat_yaml_pair *items;
    uint32_t count, capacity;
    const leat_yaml_node *merge; // of `<<`
    uint32_t *slots;             // hash of keys: index + 1
    uint32_t slot_count;
} pairs;

static uint32_t *slot_of(const pairs *p, leat_slice key)
{
    uint64_t hash = leat_hash(key.data, key.size);
    for (;; hash++) {
        uint32_t *slot = &p->slots[hash & (p->slot_count - 1)];
        if (!*slot || leat_slice_equal(p->items[*slot - 1].key->text, key))
            return slot;
    }
}

static bool pairs_have(const pairs *p, leat_slice key)
{
    if (p->slots)
        return *slot_of(p, key);
    for (uint32_t i = 0; i < p->count; i++)
        if (leat_slice_equal(p->items[i].key->text, key))
            return true;
    return false;
}

static void pairs_grow(builder *b, pairs *p)
{
    uint32_t capacity = p->capacity ? p->capacity * 2 : 8;
    leat_yaml_pair *items = leat_arena_array(b->arena, leat_yaml_pair, capacity);
    if (p->count)
        memcpy(items, p->items, p->count * sizeof *items);
    p->items = items;
    p->capacity = capacity;
    if (capacity <= KEYS_UNHASHED)
        return;
    p->slot_count = capacity * 2;
    p->slots = leat_arena_array(b->arena, uint32_t, p->slot_count);
    for (uint32_t i = 0; i < p->count; i++)
        *slot_of(p, items[i].key->text) = i + 1;
}

static void pairs_add(builder *b, pairs *p, leat_yaml_pair pair)
{
    if (p->count == p->capacity)
        pairs_grow(b, p);
    p->items[p->count++] = pair;
    if (p->slots)
        *slot_of(p, pair.key->text) = p->count;
}

static bool good_key(builder *b, const leat_yaml_node *key)
{
    if (key->kind == LEAT_YAML_SCALAR)
        return true;
    b->failed = true;
    leat_report_at(b->report, b->document, key->offset, 1, "a key has to be a text");
    return false;
}

static void pair_take(builder *b, pairs *p, leat_yaml_pair pair)
{
    if (leat_slice_is(pair.key->text, "<<") && pair.key->style == LEAT_YAML_PLAIN)
        p->merge = pair.value;
    else if (pairs_have(p, pair.key->text))
        leat_report_error(b->report, pair.key, "key '%.60s' stands here twice", pair.key->text.data);
    else
        pairs_add(b, p, pair);
}

// `<<: *base`: what the mapping does not say itself.
static void merge(builder *b, pairs *p)
{
    const leat_yaml_node *from = p->merge;
    if (from && from->kind != LEAT_YAML_MAPPING)
        leat_report_error(b->report, from, "'<<' takes a mapping, such as an alias: '<<: *base'");
    for (uint32_t i = 0; from && from->kind == LEAT_YAML_MAPPING && i < from->count; i++)
        if (!pairs_have(p, from->pairs[i].key->text))
            pairs_add(b, p, from->pairs[i]);
}

static const leat_yaml_node *build_next(builder *b)
{
    yaml_event_t event;
    if (!next(b, &event))
        return NULL;
    const leat_yaml_node *node = build(b, &event);
    yaml_event_delete(&event);
    return node;
}

// The next event, unless it is `end`; then *out_end is set to where it ends.
static bool next_unless(builder *b, yaml_event_type_t end, yaml_event_t *out_event, uint32_t *out_end)
{
    if (!next(b, out_event))
        return false;
    if (out_event->type != end)
        return true;
    *out_end = byte_of(b, out_event->end_mark.index);
    yaml_event_delete(out_event);
    return false;
}

static void mapping_read(builder *b, leat_yaml_node *node, pairs *p)
{
    yaml_event_t event;
    while (next_unless(b, YAML_MAPPING_END_EVENT, &event, &node->end)) {
        const leat_yaml_node *key = build(b, &event);
        yaml_event_delete(&event);
        const leat_yaml_node *value = key && good_key(b, key) ? build_next(b) : NULL;
        if (!value)
            return;
        node->weight += key->weight + value->weight;
        pair_take(b, p, (leat_yaml_pair){key, value});
    }
}

static const leat_yaml_node *build_mapping(builder *b, const yaml_event_t *event)
{
    leat_yaml_node *node =
        check_tag(b, event, event->data.mapping_start.tag) ? node_new(b, event, LEAT_YAML_MAPPING) : NULL;
    pairs p = {0};
    if (!node)
        return NULL;
    mapping_read(b, node, &p);
    merge(b, &p);
    node->pairs = p.items;
    node->count = p.count;
    remember(b, event, event->data.mapping_start.anchor, node);
    return b->failed ? NULL : node;
}

// ---- sequences

static const leat_yaml_node *build_sequence(builder *b, const yaml_event_t *event)
{
    leat_yaml_node *node =
        check_tag(b, event, event->data.sequence_start.tag) ? node_new(b, event, LEAT_YAML_SEQUENCE) : NULL;
    const leat_yaml_node **items = NULL;
    uint32_t capacity = 0;
    yaml_event_t inner;
    while (node && next_unless(b, YAML_SEQUENCE_END_EVENT, &inner, &node->end)) {
        const leat_yaml_node *item = build(b, &inner);
        yaml_event_delete(&inner);
        if (!item)
            return NULL;
        if (node->count == capacity) {
            const leat_yaml_node **larger = leat_arena_array(b->arena, const leat_yaml_node *, capacity * 2 + 4);
            if (node->count)
                memcpy(larger, items, node->count * sizeof *items);
            items = larger;
            capacity = capacity * 2 + 4;
        }
        LEAT_ASSERT(items);
        items[node->count++] = item;
        node->weight += item->weight;
    }
    if (!node || b->failed)
        return NULL;
    node->items = items;
    remember(b, event, event->data.sequence_start.anchor, node);
    return node;
}

// NULL: failed.
static const leat_yaml_node *build(builder *b, yaml_event_t *event)
{
    const leat_yaml_node *node = NULL;
    if (b->depth == LEAT_YAML_DEPTH_MAX) {
        fail_at(b, event->start_mark.index, "nested too deeply");
        return NULL;
    }
    b->depth++;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        node = build_alias(b, event);
        break;
    case YAML_SCALAR_EVENT:
        node = build_scalar(b, event);
        break;
    case YAML_MAPPING_START_EVENT:
        node = build_mapping(b, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        node = build_sequence(b, event);
        break;
    default:
        fail_at(b, event->start_mark.index, "expected a value");
        break;
    }
    b->depth--;
    return node;
}

// ---- document

static size_t bad_utf8(leat_slice text)
{
    for (size_t i = 0; i < text.size;) {
        unsigned char c = (unsigned char)text.data[i];
        size_t size = c < 0x80                ? 1
                      : c >= 0xc2 && c < 0xe0 ? 2
                      : c >= 0xe0 && c < 0xf0 ? 3
                      : c >= 0xf0 && c < 0xf5 ? 4
                                              : 0;
        if (!size || size > text.size - i)
            return i;
        for (size_t k = 1; k < size; k++)
            if (!is_continuation(text.data[i + k]))
                return i;
        i += size;
    }
    return SIZE_MAX;
}

static bool check_bytes(builder *b)
{
    leat_slice text = b->document->text;
    if (text.size > LEAT_YAML_BYTES_MAX) {
        leat_report_at(b->report, b->document, 0, 1, "the file has %zu bytes, at most %d are read", text.size,
                       LEAT_YAML_BYTES_MAX);
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if ((c >= 0x20 && c != 0x7f) || c == '\t' || c == '\n' || c == '\r')
            continue;
        leat_report_at(b->report, b->document, (uint32_t)i, 1, "control character 0x%02x; a text file has none", c);
        return false;
    }
    size_t bad = bad_utf8(text);
    if (bad == SIZE_MAX)
        return true;
    leat_report_at(b->report, b->document, (uint32_t)bad, 1,
                   "byte 0x%02x is not UTF-8; the file has to be saved as UTF-8", (unsigned char)text.data[bad]);
    return false;
}

static bool read_stream(builder *b)
{
    bool documents = false;
    for (bool end = false; !end && !b->failed;) {
        yaml_event_t event;
        if (!next(b, &event))
            return false;
        end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && documents)
            fail_at(b, event.start_mark.index, "a second document begins here; one file describes one gateway");
        else if (event.type == YAML_DOCUMENT_START_EVENT)
            documents = true;
        else if (event.type != YAML_DOCUMENT_END_EVENT && event.type != YAML_STREAM_START_EVENT && !end)
            b->document->root = build(b, &event);
        yaml_event_delete(&event);
    }
    return !b->failed;
}

static leat_slice without_mark(leat_slice text)
{
    bool marked = text.size >= 3 && !memcmp(text.data, "\xef\xbb\xbf", 3);
    return marked ? leat_slice_of(text.data + 3, text.size - 3) : text;
}

const leat_yaml_document *leat_yaml_parse(leat_arena *arena, const char *path, leat_slice text, leat_report *report)
{
    builder *b = leat_arena_new(arena, builder);
    b->arena = arena;
    b->report = report;
    b->document = leat_arena_new(arena, leat_yaml_document);
    b->document->path = path;
    b->document->text = without_mark(text);
    if (!check_bytes(b))
        return NULL;
    if (!yaml_parser_initialize(&b->parser)) {
        leat_report_at(report, b->document, 0, 1, "no memory to read it");
        return NULL;
    }
    leat_slice input = with_marks(b, b->document->text);
    yaml_parser_set_encoding(&b->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b->parser, (const unsigned char *)input.data, input.size);
    bool good = read_stream(b);
    yaml_parser_delete(&b->parser);
    return good ? b->document : NULL;
}
