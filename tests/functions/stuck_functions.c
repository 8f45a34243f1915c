// A process function that does not return for as long as a row says: for the test of the watch over a flow that does not move.
#include <time.h>

#include "operators/api/leat.h"

static const leat_parameter parameters[] = {
    {.size = sizeof(leat_parameter), .name = "r", .kind = LEAT_ARGUMENT_TABLE, .text = "k STRING, seconds BIGINT"}};

static int declare(leat_declare *declare, const leat_declare_api *api)
{
    api->output_column(declare, 0, "slept", LEAT_API_BIGINT);
    return 0;
}

static int process(leat_context *context, const leat_row *row)
{
    leat_cell seconds = leat_cell_i64(LEAT_API_BIGINT, leat_row_i64(row, 1));
    struct timespec wait = {.tv_sec = (time_t)seconds.i64};
    nanosleep(&wait, NULL);
    context->api->emit(context, 0, &seconds, 1);
    return 0;
}

static const leat_process_function stuck = {.size = sizeof(leat_process_function),
                                            .api = LEAT_API,
                                            .name = "stuck",
                                            .text = "Sleeps.",
                                            .parameters = parameters,
                                            .parameter_count = 1,
                                            .declare = declare,
                                            .process = process};
static const leat_process_function *const processes[] = {&stuck, NULL};

extern const leat_library leat_library_entry;
const leat_library leat_library_entry = {
    .size = sizeof(leat_library), .api = LEAT_API, .name = "stuck", .processes = processes};
