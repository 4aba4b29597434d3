/* The fast path of a single connection: it is waited for in recv() itself. A round trip then costs an end two system
 * calls, not three, and no packet has to wake epoll's queue as well. Whatever else may happen (the parent's word, a new
 * connection, the end of the run) comes as a signal. Its handler makes the socket non-blocking: a recv() that waits is
 * interrupted, and one that is just being entered no longer waits. */
#include "single.h"

#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Timers by the numbers of their calls: the functions came into libc itself in 2.34, and what is linked there would not
 * start on an older one. Where a time is wider than a long, the call that takes it has another number. */
#ifdef __USE_TIME_BITS64
#define TIMER_SETTIME SYS_timer_settime64
#else
#define TIMER_SETTIME SYS_timer_settime
#endif

static __thread volatile int awaited = -1;

static bool set_flag(int fd, int flag, bool on) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | flag : flags & ~flag) == 0;
}

static void on_signal(int number) {
    (void)number;
    int error = errno;
    if (awaited >= 0) set_flag(awaited, O_NONBLOCK, true);
    errno = error;
}

/* The handler stays for good: a signal that comes late finds nobody waiting, and ends no process. */
static bool catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    return sigaction(SIGIO, &action, NULL) == 0 && sigprocmask(SIG_UNBLOCK, &set, NULL) == 0; /* Linux: of this thread */
}

static bool tell_of(int fd) {
    struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = (pid_t)syscall(SYS_gettid)};
    return fcntl(fd, F_SETOWN_EX, &owner) == 0 && set_flag(fd, O_ASYNC, true);
}

static bool tell_at(struct single *a, uint64_t until_ns) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGIO};
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S)}};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &a->timer) < 0) return false;
    a->has_timer = true;
    return syscall(TIMER_SETTIME, a->timer, TIMER_ABSTIME, &at, NULL) == 0;
}

static bool all_tell(struct single *a, const int *others, uint64_t until_ns) {
    if (!catch_signals() || (until_ns && !tell_at(a, until_ns))) return false;
    for (int i = 0; i < SINGLE_OTHERS && others[i] >= 0; i++) {
        a->others[i] = others[i];
        if (!tell_of(others[i])) return false;
    }
    return true;
}

/* Takes `fd` out of epoll. From here on its recv() without MSG_DONTWAIT waits until there is something that epoll would
 * tell of `others`, or `until_ns` has come (0: no such time); it then fails with EINTR or EAGAIN. Where that can't be
 * had, it fails so at once. False: `fd` is in epoll as before. */
bool single_begin(struct single *a, int fd, int epoll, const int *others, uint64_t until_ns) {
    struct epoll_event e;
    *a = (struct single){.fd = fd, .others = {-1, -1}};
    if (epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL) < 0) return false;
    awaited = fd;
    bool told = all_tell(a, others, until_ns) && set_flag(fd, O_NONBLOCK, false);
    /* What came before they told of themselves. */
    bool came = epoll_wait(epoll, &e, 1, 0) != 0 || (until_ns && now_ns() >= until_ns);
    if (!told || came) set_flag(fd, O_NONBLOCK, true);
    return true;
}

/* recv() waits no longer; its descriptor is not in epoll yet, or is closed (then `open` is false). */
void single_end(struct single *a, bool open) {
    for (int i = 0; i < SINGLE_OTHERS && a->others[i] >= 0; i++) set_flag(a->others[i], O_ASYNC, false);
    if (a->has_timer) syscall(SYS_timer_delete, a->timer);
    awaited = -1;
    if (open) set_flag(a->fd, O_NONBLOCK, true);
}
