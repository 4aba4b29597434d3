/* Addresses, the clock, and the control pipe: what the client's and the server's loops share. */
#ifndef ESTAB_NET_H
#define ESTAB_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define CHUNK 65536    /* the most that one read or write moves */
#define PERIOD 8191    /* the payload repeats after so many bytes: a prime, so that no request size hides a shift */
#define NS_PER_S 1000000000ULL
#define NS_PER_MS 1000000ULL

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local; /* an abstract name stands after a NUL, as unix(7) has it, and holds none */
};

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static inline uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static inline uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static inline socklen_t address_length(const union address *a) {
    if (a->any.sa_family == AF_UNIX) /* with the NUL that ends a path, or that begins an abstract name */
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a->local.sun_path + !a->local.sun_path[0]));
    return a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
}

bool address_parse(union address *out, const char *host, unsigned port, unsigned scope);
void address_describe(int fd, const union address *peer, char *out, size_t size);
void payload_fill(uint8_t *out, size_t size);

/* What the parent said on the control pipe: nothing, 'g' go, 'c' close, or 'q' quit (its end of the pipe is gone). */
char control_read(int fd);

#endif
