/* Where a reply of HTTP/1.1 ends (RFC 9112, sections 4, 6 and 7), from bytes in whatever pieces they come. A line is read
 * where it stands; only one whose end has not come is kept apart. */
#include "http.h"

#include "block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum place { AT_STATUS, AT_FIELDS, AT_BODY, AT_BODY_TO_CLOSE, AT_CHUNK_LINE, AT_CHUNK, AT_CHUNK_END, AT_TRAILERS };

#define STATUS_LINE_BYTES 12 /* "HTTP/1.1 200" */

bool http_ends_with_connection(const struct reply *r) { return r->state == AT_BODY_TO_CLOSE; }

/* --- values --- */

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t'; }

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* Without blanks at both ends. */
static const uint8_t *strip(const uint8_t *text, size_t *size) {
    while (*size && is_blank(text[0])) text++, (*size)--;
    while (*size && is_blank(text[*size - 1])) (*size)--;
    return text;
}

static bool is_word(const uint8_t *text, size_t size, const char *word) {
    return size == strlen(word) && strncasecmp((const char *)text, word, size) == 0;
}

static bool read_length(struct reply *r, const uint8_t *text, size_t size) {
    uint64_t length = 0;
    for (size_t i = 0; i < size; i++) {
        if (!is_digit(text[i]) || length > (UINT64_MAX - 9) / 10) return false;
        length = length * 10 + (uint64_t)(text[i] - '0');
    }
    if (size == 0 || (r->has_length && r->left != length)) return false; /* two that differ: section 6.3, rule 5 */
    r->has_length = true;
    r->left = length;
    return true;
}

/* A list of words: the last one of Transfer-Encoding decides (section 6.1), any of Connection's counts (9.1). */
static void read_words(struct reply *r, const uint8_t *text, size_t size, bool is_encoding) {
    for (size_t at = 0; at <= size;) {
        const uint8_t *comma = memchr(text + at, ',', size - at);
        size_t length = (comma ? (size_t)(comma - text) : size) - at, next = at + length + 1;
        const uint8_t *word = strip(text + at, &length);
        if (is_encoding) r->is_encoded = true, r->is_chunked = is_word(word, length, "chunked");
        else if (is_word(word, length, "close")) r->says_close = true;
        else if (is_word(word, length, "keep-alive")) r->says_keep = true;
        at = next;
    }
}

/* --- lines --- */

static bool read_status(struct reply *r, const uint8_t *line, size_t size) {
    if (size < STATUS_LINE_BYTES || memcmp(line, "HTTP/1.", 7) != 0 || !is_digit(line[7]) || line[8] != ' ') return false;
    if (line[9] < '1' || line[9] > '5' || !is_digit(line[10]) || !is_digit(line[11])) return false;
    if (size > STATUS_LINE_BYTES && !is_blank(line[STATUS_LINE_BYTES])) return false;
    *r = (struct reply){.at = r->at, .is_old = line[7] == '0', .state = AT_FIELDS};
    r->status = (uint16_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0')) & 1023;
    return true;
}

/* Three fields say where it ends; of all others the first letter is enough. */
static bool read_field(struct reply *r, const uint8_t *line, size_t size) {
    uint8_t first = line[0] | 32;
    if (first != 'c' && first != 't') return true;
    const uint8_t *colon = memchr(line, ':', size);
    if (!colon) return true;
    size_t name = (size_t)(colon - line), length = size - name - 1;
    const uint8_t *value = strip(colon + 1, &length);
    if (is_word(line, name, "content-length")) return read_length(r, value, length);
    if (is_word(line, name, "transfer-encoding")) read_words(r, value, length, true);
    else if (is_word(line, name, "connection")) read_words(r, value, length, false);
    return true;
}

static enum taken end(const struct reply *r) {
    return r->says_close || (r->is_old && !r->says_keep) ? TAKEN_LAST : TAKEN_ENDED;
}

/* Which body follows: section 6.3. */
static enum taken end_of_fields(const struct exchange *x, struct reply *r) {
    if (r->status == 101) return TAKEN_LAST; /* from here on it is another protocol */
    if (r->status < 200) {
        r->state = AT_STATUS;
        return TAKEN_MORE;
    }
    if (x->is_head || r->status == 204 || r->status == 304) return end(r);
    if (r->is_chunked) r->state = AT_CHUNK_LINE, r->left = 0, r->matched = 0, r->at = 0;
    else if (r->is_encoded || !r->has_length) r->state = AT_BODY_TO_CLOSE;
    else if (r->left == 0) return end(r);
    else r->state = AT_BODY;
    return TAKEN_MORE;
}

/* One line without its end. */
static enum taken take_line(const struct exchange *x, struct reply *r, const uint8_t *line, size_t size) {
    if (size && line[size - 1] == '\r') size--;
    if (r->state == AT_STATUS) return read_status(r, line, size) ? TAKEN_MORE : TAKEN_WRONG;
    if (r->state == AT_TRAILERS) return size ? TAKEN_MORE : end(r);
    if (size == 0) return end_of_fields(x, r);
    return read_field(r, line, size) ? TAKEN_MORE : TAKEN_WRONG;
}

static bool keep_line(struct partial *p, const uint8_t *data, size_t size) {
    if (p->line_size + size > p->line_room) {
        uint32_t room = p->line_size + (uint32_t)size + 256;
        uint8_t *line = realloc(p->line, room);
        if (!line) return false;
        p->line = line;
        p->line_room = room;
    }
    memcpy(p->line + p->line_size, data, size);
    p->line_size += (uint32_t)size;
    return true;
}

/* Whether bytes that do not begin as a status line are still possible as one. */
static bool may_be_status(const uint8_t *line, size_t size) {
    return memcmp(line, "HTTP/1.", size < 7 ? size : 7) == 0;
}

static enum taken take_lines(const struct exchange *x, struct reply *r, struct partial *p, const uint8_t *data,
                             size_t size, size_t *taken, uint64_t *code) {
    const uint8_t *newline = memchr(data, '\n', size);
    size_t piece = newline ? (size_t)(newline - data) + 1 : size;
    *taken = piece;
    *code = CODE_MALFORMED;
    r->at += (uint32_t)piece;
    if (r->at > HEADER_BYTES) {
        *code = CODE_HEADER_TOO_LONG;
        return TAKEN_WRONG;
    }
    if (newline && p->line_size == 0) return take_line(x, r, data, piece - 1);
    if (!keep_line(p, data, piece)) {
        *code = ENOMEM;
        return TAKEN_WRONG;
    }
    if (!newline) return r->state != AT_STATUS || may_be_status(p->line, p->line_size) ? TAKEN_MORE : TAKEN_WRONG;
    size_t length = p->line_size - 1;
    p->line_size = 0;
    return take_line(x, r, p->line, length);
}

/* --- bodies --- */

static int hex(uint8_t c) {
    if (is_digit(c)) return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The size of a chunk, byte by byte; `matched` counts its digits, and is past them where something follows. */
#define PAST_DIGITS 255

static enum taken take_chunk_line(struct reply *r, uint8_t c, uint64_t *code) {
    int digit = hex(c);
    *code = CODE_MALFORMED;
    if (++r->at > HEADER_BYTES) {
        *code = CODE_HEADER_TOO_LONG;
        return TAKEN_WRONG;
    }
    if (c == '\n') {
        if (r->matched == 0) return TAKEN_WRONG;
        r->state = r->left ? AT_CHUNK : AT_TRAILERS;
        r->matched = 0;
        r->at = 0;
        return TAKEN_MORE;
    }
    if (r->matched == PAST_DIGITS) return TAKEN_MORE;
    if (digit >= 0) {
        if (r->left >> 60) return TAKEN_WRONG;
        r->left = r->left << 4 | (uint64_t)digit;
        r->matched = r->matched < PAST_DIGITS - 1 ? r->matched + 1 : r->matched;
        return TAKEN_MORE;
    }
    if (r->matched == 0 || (c != ';' && c != '\r' && !is_blank(c))) return TAKEN_WRONG;
    r->matched = PAST_DIGITS;
    return TAKEN_MORE;
}

/* What ends the data of a chunk: CRLF, or LF alone. */
static enum taken take_chunk_end(struct reply *r, uint8_t c, uint64_t *code) {
    *code = CODE_MALFORMED;
    if (c == '\r' && r->matched == 0) {
        r->matched = 1;
        return TAKEN_MORE;
    }
    if (c != '\n') return TAKEN_WRONG;
    r->state = AT_CHUNK_LINE;
    r->matched = 0;
    return TAKEN_MORE;
}

static size_t take_body(struct reply *r, size_t size) {
    if (size > r->left) size = (size_t)r->left;
    r->left -= size;
    return size;
}

static enum taken take_some(const struct exchange *x, struct reply *r, struct partial *p, const uint8_t *data,
                            size_t size, size_t *taken, uint64_t *code) {
    *taken = 1;
    switch ((enum place)r->state) {
    case AT_BODY:
        *taken = take_body(r, size);
        return r->left ? TAKEN_MORE : end(r);
    case AT_CHUNK:
        *taken = take_body(r, size);
        if (r->left == 0) r->state = AT_CHUNK_END;
        return TAKEN_MORE;
    case AT_CHUNK_LINE: return take_chunk_line(r, data[0], code);
    case AT_CHUNK_END: return take_chunk_end(r, data[0], code);
    case AT_BODY_TO_CLOSE: *taken = size; return TAKEN_MORE;
    default: return take_lines(x, r, p, data, size, taken, code);
    }
}

enum taken http_take(const struct exchange *x, struct reply *r, struct partial *p, const uint8_t *data, size_t *size,
                     uint64_t *code) {
    size_t at = 0, taken;
    enum taken outcome = TAKEN_MORE;
    while (at < *size && outcome == TAKEN_MORE) {
        outcome = take_some(x, r, p, data + at, *size - at, &taken, code);
        at += taken;
    }
    *size = at;
    return outcome;
}
