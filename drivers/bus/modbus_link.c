#include "drivers/bus/modbus_link.h"

#include <errno.h>
#include <string.h>

#include "drivers/bus/modbus_plan.h"
#include "drivers/bus/modbus_socket.h"

enum { CONNECT_MS_MIN = 3000, CHARACTERS_X2 = 7, FAST_GAP_NS = 1750000, FAST_BAUD = 19200 };

// 3.5 characters of start, data, parity and stop bits; above 19200 baud the standard fixes it at 1.75 ms.
static int64_t serial_gap_ns(const leat_modbus_url *url)
{
    int64_t bits = 1 + url->bits + (url->parity != 'N') + url->stop;
    return url->baud > FAST_BAUD ? FAST_GAP_NS : CHARACTERS_X2 * bits * 1000000000 / 2 / url->baud;
}

void leat_modbus_link_init(leat_modbus_link *link, leat_env *env, leat_intake *intake, const leat_modbus_url *url,
                           const leat_modbus_settings *settings)
{
    *link = (leat_modbus_link){.env = env, .intake = intake, .url = url, .timeout_ms = settings->timeout_ms};
    link->gap_ns = settings->gap_ms ? settings->gap_ms * 1000000 : url->serial ? serial_gap_ns(url) : 0;
}

// ---- life

static leat_code open_serial(leat_modbus_link *link, leat_error *out_error)
{
    const leat_modbus_url *url = link->url;
    link->context = modbus_new_rtu(url->host, url->baud, url->parity, url->bits, url->stop);
    if (!link->context)
        return leat_error_set(out_error, LEAT_E_MEMORY, "%s: %s", url->host, modbus_strerror(errno));
    if (modbus_connect(link->context) < 0)
        return leat_error_set(out_error, LEAT_E_CLOSED, "%s: %s", url->host, modbus_strerror(errno));
    return leat_modbus_descriptor_check(modbus_get_socket(link->context), out_error);
}

static leat_code open_tcp(leat_modbus_link *link, leat_error *out_error)
{
    int descriptor = -1;
    int64_t timeout_ms = link->timeout_ms > CONNECT_MS_MIN ? link->timeout_ms : CONNECT_MS_MIN;
    leat_code code = leat_modbus_socket_connect(link->url, link->env, link->intake, timeout_ms, &descriptor, out_error);
    if (code != LEAT_OK)
        return code;
    link->context = modbus_new_tcp("127.0.0.1", 502); // neither is used: the socket is ours
    LEAT_ASSERT(link->context);
    modbus_set_socket(link->context, descriptor);
    return LEAT_OK;
}

static void set_rules(leat_modbus_link *link)
{
    modbus_set_error_recovery(link->context, MODBUS_ERROR_RECOVERY_NONE);
    modbus_set_response_timeout(link->context, (uint32_t)(link->timeout_ms / 1000),
                                (uint32_t)(link->timeout_ms % 1000) * 1000);
    modbus_set_byte_timeout(link->context, 0, 0); // the whole answer within the response timeout
}

leat_code leat_modbus_link_open(leat_modbus_link *link, leat_error *out_error)
{
    leat_code code = link->url->serial ? open_serial(link, out_error) : open_tcp(link, out_error);
    if (code != LEAT_OK) {
        leat_modbus_link_close(link);
        return code;
    }
    set_rules(link);
    link->is_answered = false;
    return LEAT_OK;
}

void leat_modbus_link_close(leat_modbus_link *link)
{
    if (!link->context)
        return;
    modbus_close(link->context);
    modbus_free(link->context);
    link->context = NULL;
}

// ---- requests

static leat_modbus_result result_of(int error_number)
{
    int exception = error_number - MODBUS_ENOBASE;
    if (error_number == EMBXGPATH || error_number == EMBXGTAR)
        return (leat_modbus_result){LEAT_MODBUS_ABSENT, (uint8_t)exception, error_number};
    if (exception > 0 && exception < MODBUS_EXCEPTION_MAX)
        return (leat_modbus_result){LEAT_MODBUS_EXCEPTION, (uint8_t)exception, error_number};
    if (exception >= MODBUS_EXCEPTION_MAX && error_number <= EMBBADSLAVE)
        return (leat_modbus_result){LEAT_MODBUS_NOISE, 0, error_number};
    return (leat_modbus_result){error_number == ETIMEDOUT ? LEAT_MODBUS_TIMEOUT : LEAT_MODBUS_BROKEN, 0, error_number};
}

const char *leat_modbus_result_text(leat_modbus_result result)
{
    switch (result.outcome) {
    case LEAT_MODBUS_TIMEOUT:
        return "no answer";
    case LEAT_MODBUS_ABSENT:
        return "the gateway gets no answer";
    default:
        return modbus_strerror(result.error_number);
    }
}

static int read_bits(leat_modbus_link *link, uint8_t kind, uint16_t address, uint16_t count, uint8_t *out_bytes)
{
    uint8_t bits[LEAT_MODBUS_BITS_MAX + 8];
    int got = kind == LEAT_MODBUS_COIL ? modbus_read_bits(link->context, address, count, bits)
                                       : modbus_read_input_bits(link->context, address, count, bits);
    memset(out_bytes, 0, leat_modbus_bytes(kind, count));
    for (int i = 0; i < got && i < count; i++)
        out_bytes[i / 8] |= (uint8_t)((bits[i] & 1) << (i % 8));
    return got;
}

static int read_registers(leat_modbus_link *link, uint8_t kind, uint16_t address, uint16_t count, uint8_t *out_bytes)
{
    uint16_t registers[LEAT_MODBUS_REGISTERS_MAX];
    int got = kind == LEAT_MODBUS_HOLDING ? modbus_read_registers(link->context, address, count, registers)
                                          : modbus_read_input_registers(link->context, address, count, registers);
    for (int i = 0; i < got && i < count; i++) {
        out_bytes[2 * i] = (uint8_t)(registers[i] >> 8);
        out_bytes[2 * i + 1] = (uint8_t)registers[i];
    }
    return got;
}

// True when stopping.
static bool wait_quiet(leat_modbus_link *link)
{
    for (int64_t now_ns; (now_ns = leat_boot_ns(link->env)) < link->quiet_ns;)
        if (link->intake->sleep(link->intake, (link->quiet_ns - now_ns + 999999) / 1000000))
            return true;
    return false;
}

leat_modbus_result leat_modbus_link_read(leat_modbus_link *link, uint8_t unit, uint8_t kind, uint16_t address,
                                         uint16_t count, uint8_t *out_bytes)
{
    if (wait_quiet(link))
        return (leat_modbus_result){LEAT_MODBUS_TIMEOUT, 0, ETIMEDOUT};
    if (link->url->serial)
        modbus_flush(link->context);
    if (modbus_set_slave(link->context, unit) < 0)
        return result_of(errno);
    errno = 0;
    int got = leat_modbus_is_bits(kind) ? read_bits(link, kind, address, count, out_bytes)
                                        : read_registers(link, kind, address, count, out_bytes);
    leat_modbus_result result = got == count ? (leat_modbus_result){0} : result_of(got < 0 ? errno : EMBBADDATA);
    bool heard = result.outcome <= LEAT_MODBUS_ABSENT;
    link->is_answered |= heard;
    link->quiet_ns =
        leat_boot_ns(link->env) + (heard || !link->url->serial ? link->gap_ns : link->timeout_ms * 1000000);
    return result;
}
