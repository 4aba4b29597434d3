/* Addresses and the control pipe. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNIX "unix:"

/* `unix:/path`, or `unix:@name` of an abstract one. */
static bool parse_unix(union address *out, const char *host) {
    const char *name = host + strlen(UNIX);
    if (!*name || strlen(name) >= sizeof out->local.sun_path) return false;
    out->local.sun_family = AF_UNIX;
    memcpy(out->local.sun_path, name, strlen(name));
    if (*name == '@') out->local.sun_path[0] = 0;
    return true;
}

/* Numeric IPv4 or IPv6, or a UNIX socket: names are looked up by the parent. */
bool address_parse(union address *out, const char *host, unsigned port, unsigned scope) {
    memset(out, 0, sizeof *out);
    if (strncmp(host, UNIX, strlen(UNIX)) == 0) return parse_unix(out, host);
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        return true;
    }
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        out->v6.sin6_scope_id = scope;
        return true;
    }
    return false;
}

static size_t print_unix(const union address *a, char *out, size_t size) {
    bool is_abstract = !a->local.sun_path[0];
    int n = snprintf(out, size, is_abstract ? UNIX "@%s" : UNIX "%s", a->local.sun_path + is_abstract);
    return n < 0 ? 0 : (size_t)n;
}

static size_t print_address(const union address *a, char *out, size_t size) {
    if (a->any.sa_family == AF_UNIX) return print_unix(a, out, size);
    char host[INET6_ADDRSTRLEN] = "?";
    bool v6 = a->any.sa_family == AF_INET6;
    inet_ntop(a->any.sa_family, v6 ? (const void *)&a->v6.sin6_addr : (const void *)&a->v4.sin_addr, host, sizeof host);
    int n = snprintf(out, size, v6 ? "[%s]:%u" : "%s:%u", host, ntohs(v6 ? a->v6.sin6_port : a->v4.sin_port));
    return n < 0 ? 0 : (size_t)n;
}

static bool is_any(const union address *a) {
    if (a->any.sa_family == AF_INET6) return IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
    return a->v4.sin_addr.s_addr == INADDR_ANY;
}

/* "local -> peer", the local half left out where the socket has none (or no longer: a refused one gives it back), as a
 * client's UNIX socket never has. */
void address_describe(int fd, const union address *peer, char *out, size_t size) {
    union address local;
    socklen_t length = sizeof local;
    size_t used = 0;
    out[0] = 0;
    if (fd >= 0 && peer->any.sa_family != AF_UNIX && getsockname(fd, &local.any, &length) == 0 && local.v4.sin_port != 0 && !is_any(&local)) {
        used = print_address(&local, out, size);
        if (used < size) used += (size_t)snprintf(out + used, size - used, " -> ");
    }
    if (used < size) print_address(peer, out + used, size - used);
}

/* The payload: a fixed pseudo-random sequence that repeats after PERIOD bytes. */
void payload_fill(uint8_t *out, size_t size) {
    uint32_t x = 20170905;
    for (size_t i = 0; i < size; i++) {
        if (i >= PERIOD) {
            out[i] = out[i - PERIOD];
            continue;
        }
        x = (x * 1103515245U + 12345U) & 0x7fffffffU;
        out[i] = (uint8_t)(x >> 16);
    }
}

char control_read(int fd) {
    char c;
    ssize_t n = read(fd, &c, 1);
    if (n == 1) return c;
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
    return 'q';
}
