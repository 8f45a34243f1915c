#include "operators/core/drop.h"

const char *leat_drop_cause_name(leat_drop_cause cause)
{
    static const char *const names[LEAT_DROP_CAUSES] = {
        [LEAT_DROP_LATE] = "late",
        [LEAT_DROP_NULL_KEY] = "null-key",
        [LEAT_DROP_NULL_TIME] = "null-time",
        [LEAT_DROP_UNDECODABLE] = "undecodable",
        [LEAT_DROP_MISFIT] = "misfit",
        [LEAT_DROP_TOO_LARGE] = "too-large",
        [LEAT_DROP_EXPRESSION] = "expression",
        [LEAT_DROP_BUDGET] = "budget",
        [LEAT_DROP_RETAINED] = "retained",
        [LEAT_DROP_DISK_FULL] = "disk-full",
        [LEAT_DROP_OUTBOX_FULL] = "outbox-full",
        [LEAT_DROP_GAP] = "gap",
    };
    return (unsigned)cause < LEAT_DROP_CAUSES ? names[cause] : "unknown";
}
