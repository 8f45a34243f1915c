#include "tests/support/rescale.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

leat_slice rescaled_text(leat_slice gateway, unsigned workers)
{
    static const char key[] = "\"workers\": ";
    char *text = malloc(gateway.size + 16), *old = malloc(gateway.size + 1);
    if (!text || !old)
        abort();
    memcpy(old, gateway.data, gateway.size);
    old[gateway.size] = 0;
    const char *at = strstr(old, key);
    if (!at)
        return leat_slice_of(old, gateway.size);
    at += strlen(key);
    const char *rest = at + strspn(at, "0123456789");
    int size = snprintf(text, gateway.size + 16, "%.*s%u%s", (int)(at - old), old, workers, rest);
    free(old);
    return leat_slice_of(text, (size_t)size);
}
