/* Which local port a connection gets. The kernel's own search goes through the range from a place of its own choosing and
 * slows as the range fills: of 28,000 ports the last thousands take a millisecond each (net/ipv4/inet_hashtables.c
 * __inet_hash_connect). So one port after the other is offered to it, by a range of one port (IP_LOCAL_PORT_RANGE,
 * Linux 6.3); where some in a row are taken, it searches the whole range, and its answer stands. */
#include "ports.h"

#include <errno.h>

#define OFFERS 8

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

/* A port of 0: the whole range again. */
static bool offer(int fd, uint32_t port) {
    uint32_t range = port << 16 | port;
    return setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range) == 0;
}

/* The next port, once for each source address. Not the first port first: another run may have begun there. */
static uint32_t next_port(struct client *k) {
    uint32_t sources = k->config.source_count ? k->config.source_count : 1;
    if (k->next_port == 0) k->next_port = (now_ns() >> 10) % k->config.port_count * sources;
    return k->config.port_low + (uint32_t)(k->next_port++ / sources % k->config.port_count);
}

/* connect(2), with a port of our choosing where one is to be had. */
int connect_from_port(struct client *k, int fd) {
    const struct sockaddr *target = &k->config.target.any;
    socklen_t length = address_length(&k->config.target);
    for (int i = 0; k->config.port_count && i < OFFERS; i++) {
        if (!offer(fd, next_port(k))) {
            k->config.port_count = 0; /* this kernel is older */
            return connect(fd, target, length);
        }
        if (connect(fd, target, length) == 0) return 0;
        if (errno != EADDRNOTAVAIL) return -1;
    }
    if (k->config.port_count) {
        offer(fd, 0);
        k->next_port = 0; /* go on somewhere else */
    }
    return connect(fd, target, length);
}
