// The short forms of config/detections/*.yaml, embedded in the binary: a name, parameters, and a SQL text in which ${name} stands for
// a parameter. Owners add their own under `detections:` of the gateway file.
#pragma once

#include <stddef.h>

struct leat_detection_text {
    const char *name; // of the file, without .yaml
    const char *text;
};
extern const struct leat_detection_text leat_detection_texts[];
extern const size_t leat_detection_text_count;
