// Digests, and bytes and numbers as texts: hexadecimal, binary, base 64, character sets.
#include <string.h>

#include "operators/expr/digest.h"
#include "operators/expr/function.h"
#include "operators/expr/json.h"
#include "operators/expr/utf8.h"

// -- hexadecimal

static leat_slice hexadecimal(leat_call *call, const uint8_t *bytes, size_t size, const char digits[17])
{
    char *out = leat_call_text(call, 2 * size);
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    return leat_slice_of(out, 2 * size);
}

static void digest(leat_call *call, leat_digest kind)
{
    uint8_t bytes[LEAT_DIGEST_MAX];
    LEAT_EACH(call, row)
    {
        size_t size = leat_digest_make(kind, leat_argument_text(call, 0, row), bytes);
        call->out->text[row] = hexadecimal(call, bytes, size, "0123456789abcdef");
    }
}

static void md5(leat_call *call) { digest(call, LEAT_DIGEST_MD5); }

static void sha1(leat_call *call) { digest(call, LEAT_DIGEST_SHA1); }

static void sha224(leat_call *call) { digest(call, LEAT_DIGEST_SHA224); }

static void sha256(leat_call *call) { digest(call, LEAT_DIGEST_SHA256); }

static void sha384(leat_call *call) { digest(call, LEAT_DIGEST_SHA384); }

static void sha512(leat_call *call) { digest(call, LEAT_DIGEST_SHA512); }

static void sha2(leat_call *call)
{
    uint8_t bytes[LEAT_DIGEST_MAX];
    LEAT_EACH(call, row)
    {
        int64_t bits = leat_argument_i64(call, 1, row);
        call->out->text[row] = leat_slice_of(NULL, 0);
        if (bits != 224 && bits != 256 && bits != 384 && bits != 512) {
            leat_call_fail(call, row, "SHA2 takes 224, 256, 384 or 512 bits, not %lld", (long long)bits);
            continue;
        }
        leat_digest kind = bits == 224   ? LEAT_DIGEST_SHA224
                           : bits == 256 ? LEAT_DIGEST_SHA256
                           : bits == 384 ? LEAT_DIGEST_SHA384
                                         : LEAT_DIGEST_SHA512;
        size_t size = leat_digest_make(kind, leat_argument_text(call, 0, row), bytes);
        call->out->text[row] = hexadecimal(call, bytes, size, "0123456789abcdef");
    }
}

static void hex_text(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        call->out->text[row] = hexadecimal(call, (const uint8_t *)text.data, text.size, "0123456789ABCDEF");
        if (2 * text.size > LEAT_STRING_BYTES_MAX)
            leat_call_fail(call, row, "HEX: the text would be longer than %d bytes", LEAT_STRING_BYTES_MAX);
    }
}

// The bits of an integer in digits of 4 or 1 bits, without zeroes in front.
static void in_digits(leat_call *call, unsigned bits)
{
    LEAT_EACH(call, row)
    {
        uint64_t number = (uint64_t)leat_argument_i64(call, 0, row);
        size_t size = 1;
        while (size * bits < 64 && number >> size * bits)
            size++;
        char *out = leat_call_text(call, size);
        for (size_t i = 0; i < size; i++)
            out[size - 1 - i] = "0123456789ABCDEF"[number >> i * bits & ((1u << bits) - 1)];
        call->out->text[row] = leat_slice_of(out, size);
    }
}

static void hex_number(leat_call *call) { in_digits(call, 4); }

static void bin(leat_call *call) { in_digits(call, 1); }

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// An odd digit in front stands alone.
static void unhex(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        char *out = leat_call_text(call, text.size / 2 + 1);
        size_t odd = text.size % 2;
        bool good = true;
        for (size_t i = 0; i < text.size && good; i++) {
            size_t at = (i + odd) / 2;
            int digit = digit_of(text.data[i]);
            good = digit >= 0;
            bool low = (i + odd) % 2; // a digit by itself in front gives 0, as in Flink
            out[at] = (char)(odd && i == 0 ? 0 : low ? (unsigned char)out[at] << 4 | digit : digit);
        }
        call->out->text[row] = leat_slice_of(out, good ? (text.size + odd) / 2 : 0);
        if (!good)
            leat_call_null(call, row);
    }
}

// -- base 64

static void to_base64(leat_call *call)
{
    leat_writer writer;
    leat_writer_init(&writer, call->eval->env, LEAT_STRING_BYTES_MAX);
    LEAT_EACH(call, row)
    {
        leat_writer_reset(&writer);
        leat_bytes_write_base64(leat_argument_text(call, 0, row), &writer);
        char *out = leat_call_text(call, writer.size);
        if (writer.size)
            memcpy(out, writer.bytes, writer.size);
        call->out->text[row] = leat_slice_of(out, writer.size);
        if (writer.failed)
            leat_call_fail(call, row, "TO_BASE64: the text would be longer than %d bytes", LEAT_STRING_BYTES_MAX);
    }
    leat_writer_fini(&writer);
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Padding may be missing; a digit alone at the end is none.
static bool base64_read(leat_slice text, char *out, size_t *out_size)
{
    uint32_t word = 0;
    size_t size = text.size, digits = 0;
    *out_size = 0;
    if (size % 4 == 0)
        for (int i = 0; i < 2 && size && text.data[size - 1] == '='; i++)
            size--;
    for (size_t i = 0; i < size; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return false;
        word = word << 6 | (uint32_t)digit;
        if (++digits % 4 == 1)
            continue;
        unsigned spare = (unsigned)(3 - (digits - 1) % 4) * 2; // bits of the word that belong to the next byte
        out[(*out_size)++] = (char)(word >> spare);
    }
    return digits % 4 != 1;
}

static void from_base64(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        char *out = leat_call_text(call, text.size);
        size_t size;
        bool good = base64_read(text, out, &size);
        call->out->text[row] = leat_slice_of(out, good ? size : 0);
        if (!good)
            leat_call_fail(call, row, "FROM_BASE64: the text is not in base 64");
    }
}

// -- character sets

typedef enum charset {
    CHARSET_ASCII,
    CHARSET_LATIN,
    CHARSET_UTF8,
    CHARSET_UTF16BE,
    CHARSET_UTF16LE,
    CHARSET_UTF16,
    CHARSETS
} charset;

static charset charset_of(leat_slice name)
{
    static const char *const names[] = {"US-ASCII", "ISO-8859-1", "UTF-8", "UTF-16BE", "UTF-16LE", "UTF-16"};
    for (int i = 0; i < CHARSETS; i++)
        if (leat_slice_is_nocase(name, names[i]))
            return (charset)i;
    return CHARSETS;
}

static void put_unit(char *out, size_t *size, uint32_t unit, bool little)
{
    out[(*size)++] = (char)(little ? unit : unit >> 8);
    out[(*size)++] = (char)(little ? unit >> 8 : unit);
}

static size_t encode_code(uint32_t code, charset set, char *out, size_t size)
{
    bool little = set == CHARSET_UTF16LE;
    if (set == CHARSET_ASCII || set == CHARSET_LATIN) {
        out[size++] = code < (set == CHARSET_ASCII ? 0x80u : 0x100u) ? (char)code : '?';
    } else if (code >= 0x10000) {
        put_unit(out, &size, 0xd800 + ((code - 0x10000) >> 10), little);
        put_unit(out, &size, 0xdc00 + ((code - 0x10000) & 0x3ff), little);
    } else {
        put_unit(out, &size, code, little);
    }
    return size;
}

static leat_slice encoded(leat_call *call, leat_slice text, charset set)
{
    char *out = leat_call_text(call, 2 * text.size + 2);
    size_t size = 0;
    if (set == CHARSET_UTF16)
        put_unit(out, &size, 0xfeff, false);
    for (size_t i = 0, step; i < text.size; i += step) {
        step = leat_utf8_size(text.data + i, text.size - i);
        size = encode_code(leat_utf8_decode(text.data + i, step), set, out, size);
    }
    return leat_slice_of(out, size);
}

static uint32_t unit_at(leat_slice bytes, size_t at, bool little)
{
    uint32_t a = (unsigned char)bytes.data[at], b = (unsigned char)bytes.data[at + 1];
    return little ? b << 8 | a : a << 8 | b;
}

static leat_slice decoded_wide(leat_call *call, leat_slice bytes, charset set)
{
    char *out = leat_call_text(call, bytes.size * 2 + 4);
    size_t size = 0, at = 0;
    bool little = set == CHARSET_UTF16LE, marked = set == CHARSET_UTF16 && bytes.size >= 2;
    if (marked && (unit_at(bytes, 0, false) == 0xfeff || unit_at(bytes, 0, true) == 0xfeff)) {
        little = unit_at(bytes, 0, true) == 0xfeff;
        at = 2;
    }
    for (; at + 2 <= bytes.size; at += 2) {
        uint32_t code = unit_at(bytes, at, little), low = at + 4 <= bytes.size ? unit_at(bytes, at + 2, little) : 0;
        if (code >= 0xd800 && code < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            at += 2;
        } else if (code >= 0xd800 && code < 0xe000) {
            code = 0xfffd;
        }
        size += leat_utf8_encode(code, out + size);
    }
    if (at < bytes.size)
        size += leat_utf8_encode(0xfffd, out + size);
    return leat_slice_of(out, size);
}

static leat_slice decoded_narrow(leat_call *call, leat_slice bytes, charset set)
{
    char *out = leat_call_text(call, bytes.size * 3 + 4);
    size_t size = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        uint32_t code = (unsigned char)bytes.data[i];
        size += leat_utf8_encode(set == CHARSET_ASCII && code >= 0x80 ? 0xfffd : code, out + size);
    }
    return leat_slice_of(out, size);
}

static void charset_kernel(leat_call *call, bool encode)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row), name = leat_argument_text(call, 1, row);
        charset set = charset_of(name);
        call->out->text[row] = text;
        if (set == CHARSETS)
            leat_call_fail(call, row, "%s: the character set '%.*s' is not known", call->step->expr->function->name,
                           (int)(name.size < 40 ? name.size : 40), name.data);
        else if (encode && set != CHARSET_UTF8 && text.size)
            call->out->text[row] = encoded(call, text, set);
        else if (set >= CHARSET_UTF16BE)
            call->out->text[row] = decoded_wide(call, text, set);
        else if (set != CHARSET_UTF8)
            call->out->text[row] = decoded_narrow(call, text, set);
    }
}

static void encode(leat_call *call) { charset_kernel(call, true); }

static void decode(leat_call *call) { charset_kernel(call, false); }

static leat_code bytes_type(leat_rule *rule)
{
    rule->type = leat_type_of(LEAT_KIND_BYTES);
    return LEAT_OK;
}

static leat_code checked_charset(leat_rule *rule, leat_code code)
{
    const leat_expr *name = rule->arguments[1];
    if (name->kind == LEAT_EXPR_LITERAL && !name->literal.is_null && charset_of(name->literal.text) == CHARSETS)
        return leat_error_set(
            rule->error, LEAT_E_INVALID,
            "%s: the character set '%.*s' is none of US-ASCII, ISO-8859-1, UTF-8, UTF-16BE, UTF-16LE, UTF-16",
            rule->function->name, (int)name->literal.text.size, name->literal.text.data);
    return code;
}

static leat_code encode_type(leat_rule *rule) { return checked_charset(rule, bytes_type(rule)); }

static leat_code decode_type(leat_rule *rule) { return checked_charset(rule, leat_result_string(rule)); }

enum { N = LEAT_FUNCTION_NULLABLE, F = LEAT_FUNCTION_FAILS };

// clang-format off: a row is a line
const leat_function leat_functions_encode[] = {
    {"MD5", "text", leat_result_string, md5, NULL, 0, "MD5 as 32 hexadecimal digits."},
    {"SHA1", "text", leat_result_string, sha1, NULL, 0, "SHA-1 as 40 hexadecimal digits."},
    {"SHA224", "text", leat_result_string, sha224, NULL, 0, "SHA-224 as 56 hexadecimal digits."},
    {"SHA256", "text", leat_result_string, sha256, NULL, 0, "SHA-256 as 64 hexadecimal digits."},
    {"SHA384", "text", leat_result_string, sha384, NULL, 0, "SHA-384 as 96 hexadecimal digits."},
    {"SHA512", "text", leat_result_string, sha512, NULL, 0, "SHA-512 as 128 hexadecimal digits."},
    {"SHA2", "text, integer", leat_result_string, sha2, NULL, F, "SHA-2 of so many bits: 224, 256, 384 or 512."},
    {"HEX", "integer", leat_result_string, hex_number, NULL, 0, "An integer in hexadecimal."},
    {"HEX", "text", leat_result_string, hex_text, NULL, F, "The bytes of a text in hexadecimal."},
    {"UNHEX", "text", bytes_type, unhex, NULL, N, "Bytes out of hexadecimal digits; NULL when there are others."},
    {"BIN", "integer", leat_result_string, bin, NULL, 0, "An integer in binary."},
    {"TO_BASE64", "text", leat_result_string, to_base64, NULL, F, "The bytes of a text in base 64."},
    {"FROM_BASE64", "text", leat_result_string, from_base64, NULL, F, "A text out of base 64."},
    {"ENCODE", "text, text", encode_type, encode, NULL, F,
     "The bytes of a text in a character set: US-ASCII, ISO-8859-1, UTF-8, UTF-16BE, UTF-16LE, UTF-16."},
    {"DECODE", "bytes, text", decode_type, decode, NULL, F, "The text of bytes in a character set."},
    {.name = NULL},
};
// clang-format on
