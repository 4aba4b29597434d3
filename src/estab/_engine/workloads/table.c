/* The table of workloads: all that the engine knows of them by name. */
#include "table.h"

#include "rows.h"

#include <stddef.h>
#include <string.h>

#define ROW(name) &workload_##name,

static const struct workload *const table[] = {WORKLOADS(ROW)};

const struct workload *workload_named(const char *name) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i]->name, name) == 0) return table[i];
    return NULL;
}
