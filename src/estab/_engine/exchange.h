/* What a connection asks, and how the end of a reply is known. `estab/load/exchange.py` describes it to people. */
#ifndef ESTAB_EXCHANGE_H
#define ESTAB_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNTIL_BYTES 255 /* of what ends a reply */

/* The same as in Python, in this order. */
enum reply_kind {
    REPLY_NONE,   /* nothing is asked */
    REPLY_ECHO,   /* what was sent */
    REPLY_HTTP,   /* as HTTP/1.1 frames it (RFC 9112) */
    REPLY_UNTIL,  /* it ends with certain bytes */
    REPLY_LENGTH, /* it has so many bytes */
    REPLY_CLOSE,  /* it ends as the peer closes */
    REPLY_KINDS
};

struct exchange {
    enum reply_kind kind;
    uint32_t size;     /* bytes of a request; 0: nothing is asked */
    uint8_t *request;  /* what is sent, again and again, of `period` bytes */
    uint32_t period;
    uint8_t until[UNTIL_BYTES], borders[UNTIL_BYTES]; /* of each beginning of `until`, how much of it is its end too */
    uint8_t until_size;
    uint64_t reply_bytes;
    bool is_head; /* HTTP: a reply has no body whatever it says */
    bool renews;  /* a connection that has ended is made anew */
};

/* Where a connection is in the reply that comes. */
struct reply {
    uint64_t left; /* bytes to come: of the reply, or of HTTP's body or chunk */
    uint32_t at;   /* echo: where in the payload; HTTP: bytes of the header so far */
    uint16_t status : 10;
    bool is_encoded : 1, is_chunked : 1, has_length : 1, says_close : 1, says_keep : 1, is_old : 1; /* the last: HTTP/1.0 */
    uint8_t state, matched;
};

/* The beginning of a reply whose end is still to come: its first bytes for people to see, and a line that has no end. */
#define BEGAN_BYTES 32
struct partial {
    uint8_t began[BEGAN_BYTES];
    uint32_t began_size;
    uint32_t line_size, line_room;
    uint8_t *line;
};

/* What came of some bytes: more has to come, the reply has ended (and the peer closes), or it is none. */
enum taken { TAKEN_MORE, TAKEN_ENDED, TAKEN_LAST, TAKEN_WRONG };

#endif
