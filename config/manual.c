// The reference of the gateway file, made from the tables that read it.
#include "config/detections.h"
#include "config/gateway.h"
#include "config/yaml/document.h"

#include <string.h>

typedef struct manual {
    leat_arena *arena;
    leat_writer *out;
} manual;

// A cell of a table: `|` would end it.
static void cell(manual *m, const char *text)
{
    for (; text && *text; text++) {
        if (*text == '|')
            leat_write_u8(m->out, '\\');
        leat_write_u8(m->out, (uint8_t)(*text == '\n' ? ' ' : *text));
    }
}

static void print_setting(manual *m, const leat_setting *setting)
{
    leat_write_format(m->out, "| `%s` | ", setting->name);
    cell(m, leat_setting_type_text(m->arena, setting));
    if (setting->required)
        leat_write_text(m->out, " | required | ");
    else if (setting->default_text)
        leat_write_format(m->out, " | `%s` | ", setting->default_text);
    else
        leat_write_text(m->out, " | | ");
    cell(m, setting->text);
    leat_write_text(m->out, " |\n");
}

static void print_settings(manual *m, const leat_settings *table)
{
    if (!table->count)
        return;
    leat_write_text(m->out, "\n| key | value | default | |\n| --- | --- | --- | --- |\n");
    for (uint32_t i = 0; i < table->count; i++)
        print_setting(m, &table->items[i]);
}

// ---- drivers and formats

static void print_implicit(manual *m, uint32_t implicit)
{
    static const char *const names[] = {"source", "ts", "topic", "unit", "quality"};
    leat_write_text(m->out, "\nColumns beside the fields:");
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (implicit & (1u << i))
            leat_write_format(m->out, " `%s`", names[i]);
    leat_write_text(m->out, ".\n");
}

static void print_source(manual *m, const leat_source_description *driver)
{
    leat_write_format(m->out, "\n### Source `%s`\n\n%s.%s%s\n", driver->name, driver->summary,
                      driver->replayable ? " Read again from its position after a crash." : " Kept in the journal.",
                      driver->decodes ? " Takes no `format`." : "");
    print_implicit(m, driver->implicit);
    print_settings(m, &driver->settings);
    if (!driver->field_settings.count)
        return;
    leat_write_text(m->out, "\nKeys of a field:\n");
    print_settings(m, &driver->field_settings);
}

static void print_sink(manual *m, const leat_sink_description *driver)
{
    leat_write_format(m->out, "\n### Sink `%s`\n\n%s.", driver->name, driver->summary);
    if (driver->guarantee_text)
        leat_write_format(m->out, " Promises: %s.", driver->guarantee_text);
    leat_write_text(m->out, driver->takes_retract  ? " Takes changes of every kind.\n"
                            : driver->takes_upsert ? " Takes new rows and updates by key.\n"
                                                   : " Takes new rows only.\n");
    print_settings(m, &driver->settings);
}

static void print_drivers(manual *m, const leat_driver_catalog *drivers)
{
    leat_write_text(
        m->out,
        "\n## sources\n\n`NAME: { driver: .. }`; the driver's keys stand beside these. `fields` names the columns: "
        "`{ reading: double }`, `{ reading: { double: a.b[0] } }` with the place in the payload (`topic[1]`: a part "
        "of the topic), or `{ reading: { type: double, path: a.b[0], unit: degC } }`. `format` is a name "
        "(`json`, the default) or `{ csv: { header: true } }`.\n\n"
        "`watermark: none` gives none before the end. Rows that could not be decoded are the stream "
        "`NAME.rejected`.\n");
    print_settings(m, &gateway_source_settings);
    leat_write_text(m->out, "\n| type | |\n| --- | --- |\n");
    gateway_print_types(m->out);
    for (const leat_source_description *const *entry = drivers->sources; *entry; entry++)
        print_source(m, *entry);
    leat_write_text(m->out, "\n## sinks\n\n`NAME: { driver: .. }`; the driver's keys stand beside these.\n");
    print_settings(m, &gateway_sink_settings);
    for (const leat_sink_description *const *entry = drivers->sinks; *entry; entry++)
        print_sink(m, *entry);
    leat_write_text(m->out, "\n## Formats\n");
    for (const leat_format_description *const *entry = drivers->formats; *entry; entry++) {
        leat_write_format(m->out, "\n### Format `%s`\n\n%s.%s\n", (*entry)->name, (*entry)->summary,
                          !(*entry)->encodes   ? " Only for sources."
                          : !(*entry)->decodes ? " Only for sinks."
                                               : "");
        print_settings(m, &(*entry)->settings);
    }
}

// ---- detections

static void print_parameter(manual *m, const detection_parameter *parameter)
{
    leat_write_format(m->out, "| `%s` | %s", parameter->name, gateway_parameter_type_name(parameter->type));
    for (uint32_t i = 0; i < parameter->choices.count; i++)
        leat_write_format(m->out, "%s `%s`", i ? "," : ":", parameter->choices.items[i]);
    const leat_yaml_node *value = parameter->default_value;
    if (parameter->required)
        leat_write_text(m->out, " | required | ");
    else if (value && value->kind == LEAT_YAML_SCALAR)
        leat_write_format(m->out, " | `%s` | ", value->text.data);
    else
        leat_write_text(m->out, " | | ");
    cell(m, parameter->text);
    leat_write_text(m->out, " |\n");
}

static void print_detection(manual *m, leat_report *report, const struct leat_detection_text *text)
{
    const leat_yaml_document *document = leat_yaml_parse(m->arena, text->name, leat_slice_text(text->text), report);
    if (!document || !document->root)
        return;
    const detection *d = gateway_read_detection(m->arena, report, text->name, document->root, document->root);
    leat_write_format(m->out, "\n### `detect: %s`\n\n%s\n\n| key | value | default | |\n| --- | --- | --- | --- |\n",
                      d->name, d->text);
    for (uint32_t i = 0; i < d->parameter_count; i++)
        print_parameter(m, &d->parameters[i]);
    if (d->sql)
        leat_write_format(m->out, "\n```sql\n%s```\n", d->sql->text.data);
}

static void print_detections(manual *m)
{
    leat_diagnostics diagnostics;
    leat_diagnostics_init(&diagnostics, m->arena->env);
    leat_report report = {.diagnostics = &diagnostics, .path = ""};
    leat_write_text(
        m->out,
        "\n## detections\n\nShort forms of rules: SQL texts with parameters, which are keys of the rule. Your own "
        "stand under `detections:`, in the same form, or as `NAME: PATH` of a file.\n");
    for (size_t i = 0; i < leat_detection_text_count; i++)
        print_detection(m, &report, &leat_detection_texts[i]);
    leat_diagnostics_fini(&diagnostics);
}

void leat_manual_print(const leat_driver_catalog *drivers, leat_writer *out)
{
    leat_arena arena;
    leat_arena_init(&arena, out->env, 65536);
    manual m = {&arena, out};
    leat_write_text(
        out, "# The gateway file\n\nOne YAML file with the sections below. Durations are `500ms`, `2s`, `1m`, `1h30m`; "
             "sizes "
             "`64MiB`; a secret is `file:PATH` or `${NAME}` of the environment; relative paths begin at the file.\n\n"
             "## agent\n");
    print_settings(&m, &gateway_agent_settings);
    print_drivers(&m, drivers);
    leat_write_text(out, "\n## rules\n\n`NAME: { sql: .. }`, `NAME: { detect: .. }`, or one of the forms below: "
                         "`window`, `pattern`, `join`, `split`. A rule's results are a stream that other rules read "
                         "by its name; further outputs, such as `late` or those of `split`, are NAME.OUTPUT, and "
                         "`outputs: { OUTPUT: SINK }` sends them to sinks.\n");
    print_settings(&m, &gateway_rule_settings);
    leat_write_text(out, "\nFor windows of `sql`, results before and after their end:\n");
    print_settings(&m, &gateway_emit_settings);
    gateway_print_forms(out);
    print_detections(&m);
    leat_write_text(out, "\n## functions\n\n`NAME: PATH`, or a list of paths: shared objects with functions in C "
                         "(operators/api/leat.h).\n");
    leat_arena_fini(&arena);
}
