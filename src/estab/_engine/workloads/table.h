/* The table of workloads. */
#ifndef ESTAB_TABLE_H
#define ESTAB_TABLE_H

#include "../client.h"

const struct workload *workload_named(const char *name); /* NULL: there is none */

#endif
