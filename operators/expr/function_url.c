// Addresses: their parts, and texts inside of them.
#include <stdio.h>
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/utf8.h"

enum { ADDRESS_TEXT = 16 }; // 255.255.255.255 and its end

// scheme://[userinfo@]host[:port][path][?query][#reference]; NULL data: there is none.
typedef struct url_parts {
    leat_slice protocol, authority, user, host, path, query, reference, file;
} url_parts;

static leat_slice cut(leat_slice *rest, size_t size, size_t skip)
{
    leat_slice head = leat_slice_of(rest->data, size);
    size_t behind = size + skip < rest->size ? size + skip : rest->size;
    *rest = leat_slice_of(rest->data + behind, rest->size - behind);
    return head;
}

static size_t until(leat_slice text, const char *ends)
{
    size_t size = 0;
    while (size < text.size && !strchr(ends, text.data[size]))
        size++;
    return size;
}

static bool is_protocol(leat_slice text)
{
    static const char *const known[] = {"http", "https", "ftp", "file", "jar"}; // what java.net.URL knows by itself
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (leat_slice_is_nocase(text, known[i]))
            return true;
    return false;
}

static void split_authority(url_parts *parts)
{
    leat_slice rest = parts->authority;
    const char *at = rest.size ? memrchr(rest.data, '@', rest.size) : NULL;
    if (at)
        parts->user = cut(&rest, (size_t)(at - rest.data), 1);
    size_t end = rest.size && rest.data[0] == '[' ? until(rest, "]") + 1 : until(rest, ":");
    parts->host = leat_slice_of(rest.data, end < rest.size ? end : rest.size);
}

static bool url_split(leat_slice text, url_parts *out)
{
    leat_slice rest = text;
    size_t colon = until(text, ":/?#");
    memset(out, 0, sizeof *out);
    if (colon == text.size || text.data[colon] != ':' || !is_protocol(leat_slice_of(text.data, colon)))
        return false;
    out->protocol = cut(&rest, colon, 1);
    const char *hash = rest.size ? memchr(rest.data, '#', rest.size) : NULL;
    if (hash) {
        size_t size = (size_t)(hash - rest.data);
        out->reference = leat_slice_of(hash + 1, rest.size - size - 1);
        rest = leat_slice_of(rest.data, size);
    }
    if (rest.size > 1 && rest.data[0] == '/' && rest.data[1] == '/') {
        cut(&rest, 0, 2);
        out->authority = cut(&rest, until(rest, "/?"), 0);
        split_authority(out);
    }
    out->file = rest;
    out->path = leat_slice_of(rest.data, until(rest, "?"));
    if (out->path.size < rest.size)
        out->query = leat_slice_of(rest.data + out->path.size + 1, rest.size - out->path.size - 1);
    return true;
}

static leat_slice part_of(const url_parts *parts, leat_slice name)
{
    const struct {
        const char *name;
        leat_slice part;
    } known[] = {
        {"HOST", parts->host},           {"PATH", parts->path},         {"QUERY", parts->query},
        {"REF", parts->reference},       {"PROTOCOL", parts->protocol}, {"FILE", parts->file},
        {"AUTHORITY", parts->authority}, {"USERINFO", parts->user},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (leat_slice_is(name, known[i].name))
            return known[i].part;
    return leat_slice_of(NULL, 0);
}

static leat_slice value_of_key(leat_slice query, leat_slice key)
{
    while (query.size) {
        leat_slice pair = cut(&query, until(query, "&"), 1);
        if (pair.size > key.size && pair.data[key.size] == '=' && memcmp(pair.data, key.data, key.size) == 0)
            return leat_slice_of(pair.data + key.size + 1, pair.size - key.size - 1);
    }
    return leat_slice_of(NULL, 0);
}

static void parse_url(leat_call *call)
{
    bool has_key = call->step->argument_count > 2;
    LEAT_EACH(call, row)
    {
        url_parts parts;
        leat_slice found = {NULL, 0}, name = leat_argument_text(call, 1, row);
        if (url_split(leat_argument_text(call, 0, row), &parts))
            found = has_key && !leat_slice_is(name, "QUERY") ? found : part_of(&parts, name);
        if (has_key && found.data)
            found = value_of_key(found, leat_argument_text(call, 2, row));
        call->out->text[row] = found;
        if (!found.data)
            leat_call_null(call, row);
    }
}

// -- as application/x-www-form-urlencoded

static void url_encode(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        char *out = leat_call_text(call, 3 * text.size);
        size_t size = 0;
        for (size_t i = 0; i < text.size; i++) {
            unsigned char c = (unsigned char)text.data[i];
            bool plain =
                (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(".-*_", c));
            if (plain || c == ' ') {
                out[size++] = c == ' ' ? '+' : (char)c;
                continue;
            }
            out[size++] = '%';
            out[size++] = "0123456789ABCDEF"[c >> 4];
            out[size++] = "0123456789ABCDEF"[c & 15];
        }
        call->out->text[row] = leat_slice_of(out, size);
        if (size > LEAT_STRING_BYTES_MAX)
            leat_call_fail(call, row, "URL_ENCODE: the text would be longer than %d bytes", LEAT_STRING_BYTES_MAX);
    }
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decoded(leat_slice text, char *out, size_t *out_size)
{
    *out_size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            if (i + 2 >= text.size || digit_of(text.data[i + 1]) < 0 || digit_of(text.data[i + 2]) < 0)
                return false;
            c = (char)(digit_of(text.data[i + 1]) << 4 | digit_of(text.data[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[(*out_size)++] = c;
    }
    return true;
}

static void url_decode(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        char *out = leat_call_text(call, text.size);
        size_t size;
        bool good = decoded(text, out, &size);
        call->out->text[row] = leat_slice_of(out, good ? size : 0);
        if (!good)
            leat_call_null(call, row);
    }
}

// ---- addresses of hosts

// 1.2.3.4; parts that are left out are 0: 1.2 is 1.0.0.2.
static bool read_address(leat_slice text, int64_t *out_number)
{
    int64_t number = 0, part = 0;
    unsigned parts = 0, digits = 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i == text.size || text.data[i] == '.') {
            if (!digits || parts == 4)
                return false;
            unsigned place = i == text.size ? 3 : parts;
            number |= part << (8 * (3 - place));
            parts++;
            part = digits = 0;
            continue;
        }
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        part = part * 10 + (text.data[i] - '0');
        digits = 1;
        if (part > 255)
            return false;
    }
    *out_number = number;
    return true;
}

static void inet_aton(leat_call *call)
{
    LEAT_EACH(call, row)
    if (!read_address(leat_argument_text(call, 0, row), &call->out->i64[row]))
        leat_call_null(call, row);
}

static void inet_ntoa(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t number = leat_argument_i64(call, 0, row);
        char *out = leat_call_text(call, ADDRESS_TEXT);
        int size = 0;
        if (number < 0 || number > UINT32_MAX)
            leat_call_null(call, row);
        else
            size = snprintf(out, ADDRESS_TEXT, "%d.%d.%d.%d", (int)(number >> 24), (int)(number >> 16 & 255),
                            (int)(number >> 8 & 255), (int)(number & 255));
        call->out->text[row] = leat_slice_of(out, (size_t)size);
    }
}

enum { N = LEAT_FUNCTION_NULLABLE, F = LEAT_FUNCTION_FAILS };

// clang-format off: a row is a line
const leat_function leat_functions_url[] = {
    {"PARSE_URL", "text, text, text?", leat_result_string, parse_url, NULL, N,
     "HOST, PATH, QUERY, REF, PROTOCOL, FILE, AUTHORITY or USERINFO of an address; or the value of a key of QUERY."},
    {"URL_ENCODE", "text", leat_result_string, url_encode, NULL, F, "A text as it stands in an address."},
    {"URL_DECODE", "text", leat_result_string, url_decode, NULL, N,
     "The text again; NULL when it is none of an address."},
    {"INET_ATON", "text", leat_result_bigint, inet_aton, NULL, N, "An IPv4 address as a number; NULL when it is none."},
    {"INET_NTOA", "integer", leat_result_string, inet_ntoa, NULL, N,
     "The IPv4 address of a number; NULL when there is none."},
    {.name = NULL},
};
// clang-format on
