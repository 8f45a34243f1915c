// Every call that can fail returns a leat_code that the compiler makes the caller look at.
//
// Usage: a function takes `leat_error *out_error` as its last parameter. On failure it fills place (where the
// user has to look: `gateway.yaml:31:14`, a file, a device) and message, and returns the code. The lowest layer
// that knows the place sets it; a caller may put a context before the message with leat_error_prefix; nobody
// rewrites it. `out_error` may be NULL where the caller only needs the code.
//
// Three kinds are never mixed: a bug is LEAT_ASSERT (on in release builds: the supervisor restarts the agent and
// the checkpoint restores it), a fault is a leat_code, a bad row is counted (core/drop.h) and never an error.
//
// Ownership: a leat_error is a plain value in the caller's frame. Threads: none shared. Failure: never fails.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAT_MUST_CHECK __attribute__((warn_unused_result))
#define LEAT_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))

typedef enum leat_code {
    LEAT_OK = 0,
    LEAT_AGAIN,     // nothing to do now; not a failure
    LEAT_END,       // the bounded input is exhausted; not a failure
    LEAT_E_INVALID, // the user's text or argument is wrong
    LEAT_E_NOT_FOUND,
    LEAT_E_EXISTS,
    LEAT_E_LIMIT, // a bound of limits.h or a budget
    LEAT_E_MEMORY,
    LEAT_E_IO,
    LEAT_E_NO_SPACE,    // disk full: intake is held back, the agent goes on when there is room
    LEAT_E_CORRUPT,     // stored bytes fail their checksum or their format
    LEAT_E_UNSUPPORTED, // known but not built; the message names it
    LEAT_E_TIMEOUT,
    LEAT_E_CLOSED,   // peer or device is gone; try again later
    LEAT_E_CONFLICT, // state that does not fit what is asked
    LEAT_E_PERMISSION,
    LEAT_CODE_COUNT
} leat_code;

enum { LEAT_ERROR_PLACE_SIZE = 256, LEAT_ERROR_MESSAGE_SIZE = 768 };

typedef struct leat_error {
    leat_code code;
    char place[LEAT_ERROR_PLACE_SIZE];     // empty when unknown
    char message[LEAT_ERROR_MESSAGE_SIZE]; // cut, never overrun, always terminated
} leat_error;

// Name of a code for logs, e.g. "no-space".
const char *leat_code_name(leat_code code);

// Sets code and message and empties the place; returns code, so that a function can `return leat_error_set(...)`.
leat_code leat_error_set(leat_error *error, leat_code code, const char *format, ...) LEAT_PRINTF(3, 4);
// The same with a place.
leat_code leat_error_at(leat_error *error, leat_code code, const char *place, const char *format, ...)
    LEAT_PRINTF(4, 5);
// From errno: the code that fits (ENOSPC, EDQUOT -> NO_SPACE, EACCES -> PERMISSION...) and "text: strerror".
leat_code leat_error_errno(leat_error *error, int error_number, const char *format, ...) LEAT_PRINTF(3, 4);
// Puts "context: " before the message. Keeps code and place.
void leat_error_prefix(leat_error *error, const char *format, ...) LEAT_PRINTF(2, 3);

// Prints file, line and condition on stderr and aborts. Never compiled out.
#define LEAT_ASSERT(condition) ((condition) ? (void)0 : leat_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void leat_assert_failed(const char *condition, const char *file, int line);
