#include "config/yaml/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_SIZE = 1024, SOURCE_LINE_MAX = 400 };

void leat_diagnostics_init(leat_diagnostics *diagnostics, leat_env *env)
{
    *diagnostics = (leat_diagnostics){0};
    leat_arena_init(&diagnostics->arena, env, 4096);
}

void leat_diagnostics_fini(leat_diagnostics *diagnostics)
{
    leat_arena_fini(&diagnostics->arena);
    *diagnostics = (leat_diagnostics){0};
}

void leat_report_context(leat_report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report->context, sizeof report->context, format, arguments);
    va_end(arguments);
}

// ---- places

static bool is_continuation(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

static uint32_t characters(const char *from, const char *to)
{
    uint32_t count = 0;
    for (; from < to; from++)
        count += !is_continuation(*from);
    return count;
}

// A copy without control characters: it goes to a terminal.
static const char *printable(leat_arena *arena, const char *text, size_t size)
{
    char *copy = leat_arena_copy(arena, text, size);
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)copy[i] < 0x20 && copy[i] != '\t') || copy[i] == 0x7f)
            copy[i] = '?';
    return copy;
}

static void place(leat_diagnostics *diagnostics, leat_diagnostic *d, leat_slice text, uint32_t offset, uint32_t size)
{
    const char *end = text.data + text.size, *at = text.data + (offset < text.size ? offset : text.size), *start = at;
    while (start > text.data && start[-1] != '\n')
        start--;
    const char *stop = at;
    while (stop < end && *stop != '\n')
        stop++;
    d->line = 1;
    for (const char *c = text.data; c < start; c++)
        d->line += *c == '\n';
    stop -= stop > start && stop[-1] == '\r';
    d->column = d->caret = 1 + characters(start, at);
    const char *last = size > (size_t)(stop - at) ? stop : at + size;
    d->caret_size = last > at && characters(at, last) ? characters(at, last) : 1; // a stray byte is no character
    if (stop - start > SOURCE_LINE_MAX) {
        stop = start + SOURCE_LINE_MAX;
        while (stop > start && is_continuation(*stop))
            stop--;
    }
    d->source_line = printable(&diagnostics->arena, start, (size_t)(stop - start));
}

// ---- adding

static bool is_known(const leat_diagnostics *diagnostics, const leat_diagnostic *d)
{
    for (uint32_t i = 0; i < diagnostics->count; i++) {
        const leat_diagnostic *other = &diagnostics->items[i];
        if (other->line == d->line && other->column == d->column && !strcmp(other->path, d->path) &&
            !strcmp(other->message, d->message))
            return true;
    }
    return false;
}

static leat_diagnostic *slot(leat_diagnostics *diagnostics)
{
    if (diagnostics->count == diagnostics->capacity) {
        uint32_t capacity = diagnostics->capacity ? diagnostics->capacity * 2 : 16;
        leat_diagnostic *items = leat_arena_array(&diagnostics->arena, leat_diagnostic, capacity);
        if (diagnostics->count)
            memcpy(items, diagnostics->items, diagnostics->count * sizeof *items);
        diagnostics->items = items;
        diagnostics->capacity = capacity;
    }
    return &diagnostics->items[diagnostics->count];
}

__attribute__((format(printf, 6, 0))) static void add(leat_report *report, const leat_yaml_document *document,
                                                      uint32_t offset, uint32_t size, bool warning, const char *format,
                                                      va_list arguments)
{
    leat_diagnostics *diagnostics = report->diagnostics;
    char message[MESSAGE_SIZE];
    int length = *report->context ? snprintf(message, sizeof message, "%s: ", report->context) : 0;
    vsnprintf(message + length, sizeof message - (size_t)length, format, arguments);
    diagnostics->error_count += !warning;
    if (diagnostics->count >= LEAT_REPORT_MAX)
        return;
    leat_diagnostic *d = slot(diagnostics);
    *d = (leat_diagnostic){.warning = warning,
                           .path = leat_arena_copy(&diagnostics->arena, document->path, strlen(document->path)),
                           .message = printable(&diagnostics->arena, message, strlen(message))};
    place(diagnostics, d, document->text, offset, size);
    if (is_known(diagnostics, d))
        diagnostics->error_count -= !warning;
    else
        diagnostics->count++;
}

void leat_report_at(leat_report *report, const leat_yaml_document *document, uint32_t offset, uint32_t size,
                    const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(report, document, offset, size, false, format, arguments);
    va_end(arguments);
}

static uint32_t node_size(const leat_yaml_node *node)
{
    bool block = node->kind == LEAT_YAML_SCALAR && node->style >= LEAT_YAML_LITERAL;
    return block ? 1 : node->end - node->offset;
}

void leat_report_error(leat_report *report, const leat_yaml_node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(report, node->document, node->offset, node_size(node), false, format, arguments);
    va_end(arguments);
}

void leat_report_warning(leat_report *report, const leat_yaml_node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(report, node->document, node->offset, node_size(node), true, format, arguments);
    va_end(arguments);
}

void leat_report_in(leat_report *report, const leat_yaml_node *scalar, uint32_t offset, uint32_t size,
                    const char *format, ...)
{
    uint32_t start = leat_yaml_value_offset(scalar, offset);
    uint32_t last = size ? leat_yaml_value_offset(scalar, offset + size - 1) : start;
    va_list arguments;
    va_start(arguments, format);
    add(report, scalar->document, start, last >= start ? last - start + 1 : 1, false, format, arguments);
    va_end(arguments);
}

// ---- secrets

void leat_report_hide(leat_report *report, leat_slice secret)
{
    if (secret.size && report->secret_count < LEAT_REPORT_SECRETS)
        report->secrets[report->secret_count++] = secret;
}

static void hide(const leat_report *report, char *line)
{
    for (uint32_t i = 0; i < report->secret_count; i++) {
        leat_slice secret = report->secrets[i];
        for (char *at = line; (at = memmem(at, strlen(at), secret.data, secret.size)); at += secret.size)
            memset(at, '*', secret.size);
    }
}

// ---- order

static bool comes_before(const leat_report *report, const leat_diagnostic *a, const leat_diagnostic *b)
{
    bool a_own = !strcmp(a->path, report->path), b_own = !strcmp(b->path, report->path);
    int paths = strcmp(a->path, b->path);
    if (a_own != b_own)
        return a_own;
    if (paths)
        return paths < 0;
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

// Stable, and at most LEAT_REPORT_MAX of them.
void leat_report_sort(leat_report *report)
{
    leat_diagnostic *items = report->diagnostics->items;
    for (uint32_t i = 0; i < report->diagnostics->count; i++)
        hide(report, (char *)(uintptr_t)items[i].source_line);
    for (uint32_t i = 1; i < report->diagnostics->count; i++) {
        leat_diagnostic moved = items[i];
        uint32_t k = i;
        for (; k > 0 && comes_before(report, &moved, &items[k - 1]); k--)
            items[k] = items[k - 1];
        items[k] = moved;
    }
}

// ---- printing

static void print_caret(const leat_diagnostic *d, leat_writer *out)
{
    uint32_t column = 1;
    leat_write_text(out, "    ");
    for (const char *c = d->source_line; *c && column < d->caret; c++) {
        if (is_continuation(*c))
            continue;
        leat_write_u8(out, *c == '\t' ? '\t' : ' ');
        column++;
    }
    leat_write_u8(out, '^');
    uint32_t room = characters(d->source_line, d->source_line + strlen(d->source_line));
    for (uint32_t i = 1; i < d->caret_size && d->caret + i <= room; i++)
        leat_write_u8(out, '~');
    leat_write_u8(out, '\n');
}

void leat_diagnostics_print(const leat_diagnostics *diagnostics, leat_writer *out)
{
    for (uint32_t i = 0; i < diagnostics->count; i++) {
        const leat_diagnostic *d = &diagnostics->items[i];
        leat_write_format(out, "%s:%u:%u: %s%s\n", d->path, d->line, d->column, d->warning ? "warning: " : "",
                          d->message);
        leat_write_format(out, "    %s\n", d->source_line);
        print_caret(d, out);
    }
    if (diagnostics->error_count + 0u > LEAT_REPORT_MAX)
        leat_write_text(out, "more errors follow; these come first\n");
}
