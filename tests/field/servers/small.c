/* A server in C: poll() and accept4(), echo; after `K` connections it never accepts again. Usage: small PORT BACKLOG K */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct pollfd watched[4096];

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1, limit = atoi(argv[3]), accepted = 0, open_now = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, atoi(argv[2])))
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    watched[0] = (struct pollfd){listener, POLLIN, 0};
    while (poll(watched, (nfds_t)open_now, -1) > 0) {
        for (int at = open_now - 1; at > 0; at--) {
            char bytes[65536];
            if (!watched[at].revents)
                continue;
            ssize_t got = read(watched[at].fd, bytes, sizeof bytes);
            if (got > 0 && write(watched[at].fd, bytes, (size_t)got) == got)
                continue;
            close(watched[at].fd);
            watched[at] = watched[--open_now];
        }
        if (watched[0].revents && open_now < 4096) {
            watched[open_now++] = (struct pollfd){accept4(listener, NULL, NULL, SOCK_CLOEXEC), POLLIN, 0};
            puts("accepted");
            if (++accepted == limit)
                watched[0].events = 0;
        }
    }
    return 0;
}
