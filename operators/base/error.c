#include "operators/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const code_names[LEAT_CODE_COUNT] = {
    [LEAT_OK] = "ok",
    [LEAT_AGAIN] = "again",
    [LEAT_END] = "end",
    [LEAT_E_INVALID] = "invalid",
    [LEAT_E_NOT_FOUND] = "not-found",
    [LEAT_E_EXISTS] = "exists",
    [LEAT_E_LIMIT] = "limit",
    [LEAT_E_MEMORY] = "memory",
    [LEAT_E_IO] = "io",
    [LEAT_E_NO_SPACE] = "no-space",
    [LEAT_E_CORRUPT] = "corrupt",
    [LEAT_E_UNSUPPORTED] = "unsupported",
    [LEAT_E_TIMEOUT] = "timeout",
    [LEAT_E_CLOSED] = "closed",
    [LEAT_E_CONFLICT] = "conflict",
    [LEAT_E_PERMISSION] = "permission",
};

const char *leat_code_name(leat_code code) { return (unsigned)code < LEAT_CODE_COUNT ? code_names[code] : "unknown"; }

// Cuts at the size of the target, on a UTF-8 boundary, because messages quote the user's text.
static void copy_cut(char *target, size_t target_size, const char *text)
{
    size_t size = strnlen(text, target_size);
    if (size == target_size) {
        size = target_size - 1;
        while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80)
            size--;
    }
    memmove(target, text, size);
    target[size] = 0;
}

// One byte more than a message holds, so that copy_cut sees that it has to cut.
typedef char message_buffer[LEAT_ERROR_MESSAGE_SIZE + 1];

// The arguments may point into the error itself ("%s", error->message), so text is composed elsewhere first.
LEAT_PRINTF(4, 0)
static leat_code set(leat_error *error, leat_code code, const char *place, const char *format, va_list arguments)
{
    if (!error)
        return code;
    message_buffer message = "";
    vsnprintf(message, sizeof message, format, arguments);
    copy_cut(error->place, sizeof error->place, place);
    copy_cut(error->message, sizeof error->message, message);
    error->code = code;
    return code;
}

leat_code leat_error_set(leat_error *error, leat_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(error, code, "", format, arguments);
    va_end(arguments);
    return code;
}

leat_code leat_error_at(leat_error *error, leat_code code, const char *place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(error, code, place ? place : "", format, arguments);
    va_end(arguments);
    return code;
}

static leat_code code_from_errno(int error_number)
{
    switch (error_number) {
    case ENOSPC:
    case EDQUOT:
        return LEAT_E_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return LEAT_E_PERMISSION;
    case ENOENT:
    case ENOTDIR:
        return LEAT_E_NOT_FOUND;
    case EEXIST:
        return LEAT_E_EXISTS;
    case EBUSY:
    case ENOTEMPTY:
    case EADDRINUSE:
    case ETXTBSY:
        return LEAT_E_CONFLICT;
    case EMFILE:
    case ENFILE:
    case EFBIG:
    case ENAMETOOLONG:
    case EMSGSIZE:
    case EOVERFLOW:
        return LEAT_E_LIMIT;
    case ENOMEM:
    case ENOBUFS:
        return LEAT_E_MEMORY;
    case EINVAL:
    case EISDIR:
    case ELOOP:
    case EXDEV:
        return LEAT_E_INVALID;
    case ENOSYS:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        return LEAT_E_UNSUPPORTED;
    case ETIMEDOUT:
        return LEAT_E_TIMEOUT;
    case ENODEV:
    case ENXIO:
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ECONNABORTED:
    case ENOTCONN:
    case ESHUTDOWN:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENETRESET:
        return LEAT_E_CLOSED;
    case EAGAIN:
        return LEAT_AGAIN;
    default:
        return LEAT_E_IO;
    }
}

leat_code leat_error_errno(leat_error *error, int error_number, const char *format, ...)
{
    leat_code code = code_from_errno(error_number);
    va_list arguments;
    va_start(arguments, format);
    set(error, code, "", format, arguments);
    va_end(arguments);
    if (error) {
        size_t used = strlen(error->message);
        snprintf(error->message + used, sizeof error->message - used, ": %s", strerror(error_number));
    }
    return code;
}

void leat_error_prefix(leat_error *error, const char *format, ...)
{
    if (!error)
        return;
    char composed[2 * LEAT_ERROR_MESSAGE_SIZE + 2];
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(composed, LEAT_ERROR_MESSAGE_SIZE, format, arguments);
    va_end(arguments);
    size_t used = written < 0 ? 0 : strnlen(composed, LEAT_ERROR_MESSAGE_SIZE);
    snprintf(composed + used, sizeof composed - used, ": %s", error->message);
    copy_cut(error->message, sizeof error->message, composed);
}

_Noreturn void leat_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "leat: %s:%d: assertion failed: %s\n", file, line, condition);
    fflush(stderr);
    abort();
}
