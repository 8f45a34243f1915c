// A gateway's text with another number of workers.
#pragma once

#include "operators/base/bytes.h"

// In memory of its own, which is never given back. The text has "workers": NUMBER, as JSON writes it; else it stays as it is.
leat_slice rescaled_text(leat_slice gateway, unsigned workers);
