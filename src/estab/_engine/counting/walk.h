/* The walk over the whole `inet_diag_msg`s of a datagram of sock_diag (include/uapi/linux/inet_diag.h, netlink.h).
 * Whatever else stands in it (its end, an error, damage) stops the walk. */
#ifndef ESTAB_WALK_H
#define ESTAB_WALK_H

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum { ADDRESS = 16 };
_Static_assert(sizeof(struct inet_diag_msg) == 72, "struct inet_diag_msg");

struct walk {
    const uint8_t *data;
    size_t size, offset;
    uint16_t flags;
    struct inet_diag_msg socket;
};

/* The next whole socket into w->socket; false where none follows at w->offset. */
static inline bool next_socket(struct walk *w) {
    struct nlmsghdr header;
    if (w->offset >= w->size || w->size - w->offset < sizeof header + sizeof w->socket) return false;
    memcpy(&header, w->data + w->offset, sizeof header);
    if ((header.nlmsg_type != SOCK_DIAG_BY_FAMILY && header.nlmsg_type != TCPDIAG_GETSOCK) ||
        header.nlmsg_len < sizeof header + sizeof w->socket || header.nlmsg_len > w->size - w->offset)
        return false;
    memcpy(&w->socket, w->data + w->offset + sizeof header, sizeof w->socket);
    w->flags |= header.nlmsg_flags;
    w->offset += ((size_t)header.nlmsg_len + 3) & ~(size_t)3;
    return true;
}

/* 16 bytes; an IPv4 address as IPv4-mapped, so that both families' sockets compare. */
static inline void put_address(uint8_t out[ADDRESS], const struct inet_diag_msg *m, const void *address) {
    if (m->idiag_family == AF_INET) {
        memset(out, 0, 10);
        memset(out + 10, 0xff, 2);
        memcpy(out + 12, address, 4);
    } else {
        memcpy(out, address, ADDRESS);
    }
}

#endif
