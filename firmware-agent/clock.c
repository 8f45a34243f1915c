#include "firmware-agent/clock.h"

void leat_clock_init(leat_clock *clock, leat_env *env, int64_t floor_ms)
{
    int64_t wall_ms = leat_wall_ms(env);
    *clock =
        (leat_clock){.env = env, .base_ms = wall_ms > floor_ms ? wall_ms : floor_ms, .boot_base_ms = leat_boot_ms(env)};
}

int64_t leat_clock_now_ms(const leat_clock *clock)
{
    return clock->base_ms + leat_boot_ms(clock->env) - clock->boot_base_ms;
}
