// Results printed, a line each. What was printed cannot be taken back: after a crash some lines come twice.
#include "drivers/sink/file.h"

enum { BUFFER_SIZE = 65536 };

typedef struct stdout_sink {
    leat_sink sink;
    leat_file *file;
    uint64_t sequence, acknowledged;
    leat_writer buffer;
} stdout_sink;

static leat_code stdout_open(leat_sink *sink, const leat_sink_setup *setup, leat_error *out_error)
{
    stdout_sink *self = (stdout_sink *)sink;
    sink->setup = setup;
    self->sequence = self->acknowledged = setup->acknowledged;
    leat_writer_init(&self->buffer, setup->env, BUFFER_SIZE + LEAT_RECORD_BYTES_MAX);
    return setup->env->ops->open(setup->env, "/dev/stdout", LEAT_OPEN_APPEND, &self->file, out_error);
}

static void stdout_close(leat_sink *sink)
{
    stdout_sink *self = (stdout_sink *)sink;
    if (self->file)
        sink->setup->env->ops->close(sink->setup->env, self->file);
    self->file = NULL;
    leat_writer_fini(&self->buffer);
}

static leat_code write_buffer(stdout_sink *self, leat_error *out_error)
{
    const leat_env_ops *ops = self->sink.setup->env->ops;
    leat_slice bytes = leat_writer_slice(&self->buffer);
    leat_code code = bytes.size ? ops->pwrite(self->file, bytes.data, bytes.size, 0, out_error) : LEAT_OK;
    leat_writer_reset(&self->buffer);
    return code;
}

static leat_code stdout_flush(leat_sink *sink, leat_error *out_error)
{
    stdout_sink *self = (stdout_sink *)sink;
    leat_sink_control *control = sink->setup->control;
    if (self->sequence == self->acknowledged)
        return LEAT_OK;
    leat_code code = write_buffer(self, out_error);
    if (code != LEAT_OK) {
        self->sequence = self->acknowledged;
        return code;
    }
    self->acknowledged = self->sequence;
    control->acknowledged(control, self->sequence, leat_slice_of("", 0));
    return LEAT_OK;
}

static leat_code stdout_send(leat_sink *sink, const leat_delivery *delivery, leat_error *out_error)
{
    stdout_sink *self = (stdout_sink *)sink;
    leat_slice header = sink->setup->header;
    if (header.size && self->sequence == 0) {
        leat_write_bytes(&self->buffer, header.data, header.size);
        leat_write_u8(&self->buffer, '\n');
    }
    leat_write_bytes(&self->buffer, delivery->payload.data, delivery->payload.size);
    leat_write_u8(&self->buffer, '\n');
    if (self->buffer.failed) {
        leat_writer_reset(&self->buffer);
        self->sequence = self->acknowledged;
        return leat_error_at(out_error, LEAT_E_MEMORY, "stdout", "no memory for a line");
    }
    self->sequence = delivery->sequence;
    return self->buffer.size >= BUFFER_SIZE ? stdout_flush(sink, out_error) : LEAT_OK;
}

const leat_sink_description leat_sink_stdout_description = {
    .name = "stdout",
    .summary = "prints a line a result",
    .takes_upsert = true,
    .takes_retract = true,
    .guarantee = 'A',
    .guarantee_text = "at least once: lines printed just before a crash are printed again",
};

const leat_sink_ops leat_sink_stdout_ops = {
    .abi = LEAT_DRIVER_ABI,
    .size = sizeof(leat_sink_ops),
    .name = "stdout",
    .instance_size = sizeof(stdout_sink),
    .open = stdout_open,
    .send = stdout_send,
    .flush = stdout_flush,
    .close = stdout_close,
};
