/* Where a reply ends, whatever its kind. */
#ifndef ESTAB_REPLY_H
#define ESTAB_REPLY_H

#include "exchange.h"

void exchange_prepare(struct exchange *x);
void reply_begin(const struct exchange *x, struct reply *r);
/* Takes bytes up to the end of one reply: `*size` is how many there are, and then how many were taken. `*code`: why it is
 * none (enum code, or ENOMEM). */
enum taken reply_take(const struct exchange *x, struct reply *r, struct partial *p, const uint8_t *data, size_t *size,
                      uint64_t *code);
bool reply_ends_with_connection(const struct exchange *x, const struct reply *r);
void partial_show(struct partial *p, const uint8_t *data, size_t size); /* its first bytes, as they come */

#endif
