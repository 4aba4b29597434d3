/* Processes that share a listener, each with poll(): an echo server whose every process keeps `K` connections, and what
 * is over that is closed (`close`), or waits until the process has room (`wait`). Usage: prefork PORT BACKLOG N K how */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static struct pollfd watched[1024];

static void serve(int listener, int most, int waits)
{
    int open_now = 1;
    watched[0] = (struct pollfd){listener, POLLIN, 0};
    while (poll(watched, (nfds_t)open_now, -1) > 0) {
        for (int at = open_now - 1; at > 0; at--) {
            char bytes[65536];
            if (!watched[at].revents) continue;
            ssize_t got = read(watched[at].fd, bytes, sizeof bytes);
            if (got > 0 && write(watched[at].fd, bytes, (size_t)got) == got) continue;
            close(watched[at].fd);
            watched[at] = watched[--open_now];
        }
        if (watched[0].revents) {
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd >= 0 && open_now > most) {
                puts("refused");
                close(fd);
            } else if (fd >= 0) {
                puts("accepted");
                watched[open_now++] = (struct pollfd){fd, POLLIN, 0};
            }
        }
        watched[0].events = waits && open_now > most ? 0 : POLLIN;
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) return 2;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1, processes = atoi(argv[3]), most = atoi(argv[4]);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, atoi(argv[2]))) return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int number = 0; number < processes; number++) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            serve(listener, most, strcmp(argv[5], "wait") == 0);
        }
    }
    puts("ready");
    while (wait(NULL) > 0) continue;
    return 0;
}
