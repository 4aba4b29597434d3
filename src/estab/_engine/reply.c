/* Where a reply ends, for those kinds that need little to know it. HTTP stands in http.c, the echo in connection.c. */
#include "reply.h"

#include "http.h"

#include <string.h>

/* For each beginning of `until` its longest proper end that is a beginning too: where a match goes on after a mismatch
 * (Knuth, Morris, Pratt: Fast pattern matching in strings, 1977). */
void exchange_prepare(struct exchange *x) {
    uint8_t border = 0;
    for (uint32_t i = 1; i < x->until_size; i++) {
        while (border && x->until[i] != x->until[border]) border = x->borders[border - 1];
        if (x->until[i] == x->until[border]) border++;
        x->borders[i] = border;
    }
}

void reply_begin(const struct exchange *x, struct reply *r) {
    *r = (struct reply){.left = x->kind == REPLY_LENGTH ? x->reply_bytes : x->size};
}

static enum taken take_until(const struct exchange *x, struct reply *r, const uint8_t *data, size_t *size) {
    for (size_t i = 0; i < *size; i++) {
        if (r->matched == 0) { /* what is none of it goes by at memchr's pace */
            const uint8_t *next = memchr(data + i, x->until[0], *size - i);
            if (!next) return TAKEN_MORE;
            i = (size_t)(next - data);
        }
        while (r->matched && data[i] != x->until[r->matched]) r->matched = x->borders[r->matched - 1];
        if (data[i] == x->until[r->matched]) r->matched++;
        if (r->matched == x->until_size) {
            *size = i + 1;
            return TAKEN_ENDED;
        }
    }
    return TAKEN_MORE;
}

static enum taken take_length(struct reply *r, size_t *size) {
    if (*size > r->left) *size = (size_t)r->left;
    r->left -= *size;
    return r->left ? TAKEN_MORE : TAKEN_ENDED;
}

enum taken reply_take(const struct exchange *x, struct reply *r, struct partial *p, const uint8_t *data, size_t *size,
                      uint64_t *code) {
    switch (x->kind) {
    case REPLY_HTTP: return http_take(x, r, p, data, size, code);
    case REPLY_UNTIL: return take_until(x, r, data, size);
    case REPLY_LENGTH: return take_length(r, size);
    default: return TAKEN_MORE;
    }
}

bool reply_ends_with_connection(const struct exchange *x, const struct reply *r) {
    return x->kind == REPLY_CLOSE || (x->kind == REPLY_HTTP && http_ends_with_connection(r));
}

void partial_show(struct partial *p, const uint8_t *data, size_t size) {
    size_t room = BEGAN_BYTES - p->began_size;
    if (size > room) size = room;
    memcpy(p->began + p->began_size, data, size);
    p->began_size += (uint32_t)size;
}
