/* The shared block's slow path: mapping it, and the table of failures. */
#include "block.h"

#include <string.h>
#include <sys/mman.h>

struct block *block_map(int fd) {
    void *p = mmap(NULL, sizeof(struct block), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

void block_unmap(struct block *b) { munmap(b, sizeof *b); }

static struct failure *failure_entry(struct block *b, enum phase phase, uint64_t code) {
    uint64_t used = block_get(b, S_failure_kinds);
    for (uint64_t i = 0; i < used; i++)
        if (b->failures[i].phase == phase && b->failures[i].code == code) return &b->failures[i];
    if (used == FAILURE_KINDS) return &b->failures[FAILURE_KINDS - 1];
    struct failure *f = &b->failures[used];
    f->phase = phase;
    f->code = used == FAILURE_KINDS - 1 ? CODE_OTHER : code;
    block_set(b, S_failure_kinds, used + 1);
    return f;
}

/* Counts one order of errors. */
void block_order(struct block *b, uint64_t first, uint64_t write, uint64_t read) {
    uint64_t used = block_get(b, S_order_kinds), i = 0;
    while (i < used && i < ORDER_KINDS - 1) {
        struct order *o = &b->orders[i];
        if (o->first == first && o->write == write && o->read == read) break;
        i++;
    }
    struct order *o = &b->orders[i];
    if (i == used) {
        *o = (struct order){.first = first, .write = write, .read = read};
        block_set(b, S_order_kinds, used + 1);
    }
    __atomic_store_n(&o->count, o->count + 1, __ATOMIC_RELAXED);
}

/* Keeps how a reply began, if it is the first of its kind. */
void failure_reply(struct failure *f, const uint8_t *data, size_t size) {
    if (f->reply_bytes) return;
    f->reply_bytes = size < REPLY_BYTES ? size : REPLY_BYTES;
    memcpy(f->reply, data, f->reply_bytes);
}

/* Counts one failure. The first of its kind, of which `count` is 1 then, is the one that an example is kept of. */
struct failure *block_failure(struct block *b, enum phase phase, uint64_t code, uint64_t since_start_ns) {
    struct failure *f = failure_entry(b, phase, code);
    if (f->count == 0) f->first_ns = since_start_ns;
    f->last_ns = since_start_ns;
    __atomic_store_n(&f->count, f->count + 1, __ATOMIC_RELAXED);
    return f;
}
