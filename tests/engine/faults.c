/* Stands between the engine and libc (the linker's --wrap: tests/engine/build.py) and makes chosen calls fail.
 *
 * A call is chosen by name with an errno, the first of its calls to fail, and every how many after that (0: no other).
 * errno 0 makes send and recv move a single byte. What the kernel does although it returns an error is done: close()
 * closes, and connect() goes on after EINTR (close(2), connect(2)).
 *
 * The engine's own memory is counted here too: what malloc gave and free did not get back. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct fault {
    char call[32];
    int error;
    unsigned long first, every, calls, failed;
};
static struct fault faults[2]; /* the one that is tried, and one that makes its call happen */
static int error_code;
static long blocks_alive, maps_alive;

void estab_fault_choose(int which, const char *call, int error, unsigned long first, unsigned long every) {
    struct fault fresh = {.error = error, .first = first, .every = every};
    strncpy(fresh.call, call, sizeof fresh.call - 1);
    faults[which] = fresh;
}

unsigned long estab_fault_failed(void) { return faults[0].failed; }
long estab_fault_blocks_alive(void) { return blocks_alive; }
long estab_fault_maps_alive(void) { return maps_alive; }

/* What the sanitizers must find: a read of memory that was given back, and a sum beyond its type. */
int estab_fault_use_after_free(void) {
    volatile char *block = malloc(16);
    free((void *)block);
    return block[4];
}

int estab_fault_overflow(volatile int a) { return a + a; }

static bool is_due(struct fault *f, const char *name) {
    if (strcmp(name, f->call) != 0) return false;
    unsigned long n = ++f->calls;
    if (n < f->first || (n > f->first && (f->every == 0 || (n - f->first) % f->every))) return false;
    f->failed++;
    errno = error_code = f->error;
    return true;
}

/* Whether this call of `name` is one that fails; errno is then set. */
static bool fails(const char *name) { return is_due(&faults[0], name) || is_due(&faults[1], name); }

#define PASS(result, name, parameters, arguments)                                                                     \
    result __real_##name parameters;                                                                                  \
    result __wrap_##name parameters { return fails(#name) ? (result)-1 : __real_##name arguments; }

PASS(int, socket, (int a, int b, int c), (a, b, c))
PASS(int, setsockopt, (int a, int b, int c, const void *d, socklen_t e), (a, b, c, d, e))
PASS(int, getsockopt, (int a, int b, int c, void *d, socklen_t *e), (a, b, c, d, e))
PASS(int, getsockname, (int a, struct sockaddr *b, socklen_t *c), (a, b, c))
PASS(int, getpeername, (int a, struct sockaddr *b, socklen_t *c), (a, b, c))
PASS(int, bind, (int a, const struct sockaddr *b, socklen_t c), (a, b, c))
PASS(int, accept4, (int a, struct sockaddr *b, socklen_t *c, int d), (a, b, c, d))
PASS(int, epoll_create1, (int a), (a))
PASS(int, epoll_ctl, (int a, int b, int c, struct epoll_event *d), (a, b, c, d))
PASS(int, epoll_wait, (int a, struct epoll_event *b, int c, int d), (a, b, c, d))
PASS(int, poll, (struct pollfd *a, nfds_t b, int c), (a, b, c))
PASS(int, sigaction, (int a, const struct sigaction *b, struct sigaction *c), (a, b, c))
PASS(ssize_t, read, (int a, void *b, size_t c), (a, b, c))

int __real_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length) {
    bool fail = fails("connect");
    if (fail && error_code != EINTR) return -1;
    int result = __real_connect(fd, address, length);
    if (!fail) return result;
    errno = EINTR;
    return -1;
}

int __real_close(int fd);
int __wrap_close(int fd) {
    bool fail = fails("close");
    int result = __real_close(fd);
    if (!fail) return result;
    errno = error_code;
    return -1;
}

ssize_t __real_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags) {
    if (!fails("send")) return __real_send(fd, data, size, flags);
    return error_code ? -1 : __real_send(fd, data, size ? 1 : 0, flags);
}

/* What send() is for more than one piece. */
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags) {
    if (!fails("send")) return __real_sendmsg(fd, message, flags);
    return error_code ? -1 : __real_send(fd, message->msg_iov[0].iov_base, 1, flags);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return fails("fcntl") ? -1 : __real_fcntl(fd, command, argument);
}

ssize_t __real_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags) {
    if (!fails("recv")) return __real_recv(fd, data, size, flags);
    return error_code ? -1 : __real_recv(fd, data, size ? 1 : 0, flags);
}

/* The engine makes some calls by their numbers: older libcs lack them. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_epoll_pwait2 && fails("epoll_pwait2")) return -1;
    if (number == SYS_timer_create && fails("timer_create")) return -1;
    if (number == SYS_timer_settime && fails("timer_settime")) return -1;
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Gives the error back instead of setting errno. */
int __real_clock_nanosleep(clockid_t clock, int flags, const struct timespec *at, struct timespec *left);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *at, struct timespec *left) {
    return fails("clock_nanosleep") ? error_code : __real_clock_nanosleep(clock, flags, at, left);
}

int __real_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return fails("prctl") ? -1 : __real_prctl(option, a, b, c, d);
}

/* --- memory --- */

static void *given(void *block) {
    if (block) blocks_alive++;
    return block;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size) { return fails("malloc") ? NULL : given(__real_malloc(size)); }

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size) { return fails("calloc") ? NULL : given(__real_calloc(n, size)); }

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size) {
    if (fails("realloc")) return NULL;
    void *moved = __real_realloc(block, size);
    return block ? moved : given(moved);
}

void __real_free(void *block);
void __wrap_free(void *block) {
    if (block) blocks_alive--;
    __real_free(block);
}

void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    if (fails("mmap")) return MAP_FAILED;
    void *mapped = __real_mmap(at, size, protection, flags, fd, offset);
    if (mapped != MAP_FAILED) maps_alive++;
    return mapped;
}

int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size) {
    maps_alive--;
    return __real_munmap(at, size);
}
