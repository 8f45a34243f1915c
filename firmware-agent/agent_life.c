// The life of a state directory: from its first start, or from the one that began anew in it, until nothing of it is gone on from.
//
// Positions of a journal begin at 0 in each life, so what a source delivered is named by life and position: nothing that one life makes is taken for a
// repeat of another's. The number is in every checkpoint and beside the journal, as either may be lost alone.
//
//   life   one line of text: leat life 1 incarnation=<16 hex> previous=<16 hex> from=<decimal> crc32c=<8 hex, of what stands before " crc32c">
//
// It is on disk before anything is taken in. Where it is damaged and there is no checkpoint either, another life begins.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firmware-agent/agent_struct.h"
#include "operators/base/checksum.h"

enum { LIFE_BYTES_MAX = 256 };

static const char life_form[] = "leat life 1 incarnation=%016llx previous=%016llx from=%llu";

static int print_life(char text[LIFE_BYTES_MAX], const leat_flow_lineage *life)
{
    int size = snprintf(text, LIFE_BYTES_MAX, life_form, (unsigned long long)life->incarnation,
                        (unsigned long long)life->previous, (unsigned long long)life->from);
    return size +
           snprintf(text + size, (size_t)(LIFE_BYTES_MAX - size), " crc32c=%08x\n", leat_crc32c(0, text, (size_t)size));
}

static bool take_number(const char **inout_text, const char *before, int base, unsigned long long *out)
{
    size_t size = strlen(before);
    char *end;
    if (strncmp(*inout_text, before, size) != 0)
        return false;
    *out = strtoull(*inout_text + size, &end, base);
    *inout_text = end;
    return true;
}

// Read back what prints the same: a damaged line does not.
static bool parse_life(const char *text, leat_flow_lineage *out_life)
{
    unsigned long long incarnation, previous, from;
    char again[LIFE_BYTES_MAX];
    const char *at = text;
    if (!take_number(&at, "leat life 1 incarnation=", 16, &incarnation) ||
        !take_number(&at, " previous=", 16, &previous) || !take_number(&at, " from=", 10, &from))
        return false;
    *out_life = (leat_flow_lineage){.incarnation = incarnation, .previous = previous, .from = from};
    print_life(again, out_life);
    return strcmp(again, text) == 0;
}

static bool read_life(leat_agent *agent, leat_flow_lineage *out_life)
{
    char *text;
    size_t size;
    leat_error ignored;
    return leat_env_read_file(agent->env, leat_agent_path(agent, "", "life"), &agent->arena, LIFE_BYTES_MAX, &text,
                              &size, &ignored) == LEAT_OK &&
           parse_life(text, out_life);
}

leat_code leat_agent_keep_life(leat_agent *agent, const leat_flow_lineage *life, leat_error *out_error)
{
    const leat_env_ops *ops = agent->env->ops;
    const char *path = leat_agent_path(agent, "", "life"), *new_path = leat_agent_path(agent, "", "life.new");
    char text[LIFE_BYTES_MAX];
    size_t size = (size_t)print_life(text, life);
    leat_file *file;
    leat_code code = ops->open(agent->env, new_path, LEAT_OPEN_WRITE, &file, out_error);
    if (code != LEAT_OK)
        return code;
    code = ops->truncate(file, 0, out_error);
    if (code == LEAT_OK)
        code = ops->pwrite(file, text, size, 0, out_error);
    if (code == LEAT_OK)
        code = ops->sync(file, out_error);
    ops->close(agent->env, file);
    if (code == LEAT_OK)
        code = ops->rename(agent->env, new_path, path, out_error);
    return code == LEAT_OK ? ops->sync_directory(agent->env, agent->plan->agent->state, out_error) : code;
}

leat_code leat_agent_begin_life(leat_agent *agent, leat_error *out_error)
{
    leat_flow_lineage *life = &agent->recovered.lineage;
    *life = (leat_flow_lineage){0};
    while (life->incarnation == 0)
        agent->env->ops->random(agent->env, &life->incarnation, sizeof life->incarnation);
    return leat_agent_keep_life(agent, life, out_error);
}

leat_code leat_agent_settle_life(leat_agent *agent, leat_error *out_error)
{
    leat_flow_lineage kept, *life = &agent->recovered.lineage;
    bool found = read_life(agent, &kept);
    if (!agent->recovered.any && !found)
        return leat_agent_begin_life(agent, out_error);
    if (!agent->recovered.any)
        *life = kept;
    bool same =
        found && kept.incarnation == life->incarnation && kept.previous == life->previous && kept.from == life->from;
    return same ? LEAT_OK : leat_agent_keep_life(agent, life, out_error);
}
