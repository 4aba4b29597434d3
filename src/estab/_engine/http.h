/* Replies of HTTP/1.1. */
#ifndef ESTAB_HTTP_H
#define ESTAB_HTTP_H

#include "exchange.h"

#define HEADER_BYTES 65536 /* of a reply at most, with what goes before it (1xx); so too of a chunk's line, of trailers */

enum taken http_take(const struct exchange *x, struct reply *r, struct partial *p, const uint8_t *data, size_t *size,
                     uint64_t *code);
bool http_ends_with_connection(const struct reply *r); /* its body has no other end */

#endif
