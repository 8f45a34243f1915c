// Collects the errors and warnings of a gateway file with their places.
//
// Usage: init over diagnostics; set the context ("rule 'overheating'") while a part is compiled; the functions below append. Nothing is
// reported twice for the same place and message. leat_report_sort brings them into the order of lines.
//
// Ownership: messages lie in the diagnostics' arena. Failure: never; after LEAT_REPORT_MAX the rest is counted, not kept.
#pragma once

#include "config/plan.h"
#include "config/yaml/node.h"

enum { LEAT_REPORT_MAX = 200, LEAT_REPORT_CONTEXT = 128, LEAT_REPORT_SECRETS = 64 };

typedef struct leat_report {
    leat_diagnostics *diagnostics;
    const char *path;                        // of the gateway file: its diagnostics come first
    char context[LEAT_REPORT_CONTEXT];       // put before each message; empty: none
    leat_slice secrets[LEAT_REPORT_SECRETS]; // blackened in the lines that are shown
    uint32_t secret_count;
} leat_report;

void leat_report_context(leat_report *report, const char *format, ...) LEAT_PRINTF(2, 3); // NULL-safe: "" clears it
// At a value or a key: its first line is shown, underlined.
void leat_report_error(leat_report *report, const leat_yaml_node *node, const char *format, ...) LEAT_PRINTF(3, 4);
void leat_report_warning(leat_report *report, const leat_yaml_node *node, const char *format, ...) LEAT_PRINTF(3, 4);
// At bytes of a document.
void leat_report_at(leat_report *report, const leat_yaml_document *document, uint32_t offset, uint32_t size,
                    const char *format, ...) LEAT_PRINTF(5, 6);
// At bytes of a scalar's value.
void leat_report_in(leat_report *report, const leat_yaml_node *scalar, uint32_t offset, uint32_t size,
                    const char *format, ...) LEAT_PRINTF(5, 6);
// A secret that stands in the file itself; its text lives as long as the report.
void leat_report_hide(leat_report *report, leat_slice secret);
void leat_report_sort(leat_report *report); // and hides
