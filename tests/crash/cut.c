/* Loaded into a server: ends it, as kill -9 would, before its write number CUT_AT to the files below CUT_DIR or to the port CUT_PORT. It counts
   in the file CUT_COUNT, so that others can see how far it has come. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static _Atomic unsigned long *count;
static unsigned long at;
static const char *directory;
static int port;

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("CUT_COUNT");
    const char *limit = getenv("CUT_AT"), *to = getenv("CUT_PORT");
    directory = getenv("CUT_DIR");
    at = limit ? strtoul(limit, NULL, 10) : 0;
    port = to ? atoi(to) : 0;
    int fd = file ? open(file, O_RDWR) : -1;
    if (fd < 0) return;
    void *shared = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared != MAP_FAILED) count = shared;
    close(fd);
}

static int counts(int fd) {
    struct stat what;
    if (!count || fstat(fd, &what)) return 0;
    if (S_ISSOCK(what.st_mode)) {
        struct sockaddr_in6 peer;
        socklen_t length = sizeof peer;
        if (!port || getpeername(fd, (struct sockaddr *)&peer, &length)) return 0;
        // The port stands at the same place for both families.
        return (peer.sin6_family == AF_INET || peer.sin6_family == AF_INET6) && ntohs(peer.sin6_port) == port;
    }
    if (!S_ISREG(what.st_mode) || !directory || port) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > 0 && !strncmp(path, directory, strlen(directory));
}

static void step(int fd) {
    if (counts(fd) && atomic_fetch_add(count, 1) + 1 == at) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
}

#define BEFORE(type, name, parameters, arguments)                                  \
    type name parameters {                                                         \
        static type (*next) parameters;                                            \
        if (!next) next = (type (*) parameters)dlsym(RTLD_NEXT, #name);            \
        step(fd);                                                                  \
        return next arguments;                                                     \
    }

BEFORE(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
BEFORE(ssize_t, writev, (int fd, const struct iovec *data, int size), (fd, data, size))
BEFORE(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t place), (fd, data, size, place))
BEFORE(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t place), (fd, data, size, place))
BEFORE(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
BEFORE(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
BEFORE(int, fsync, (int fd), (fd))
BEFORE(int, fdatasync, (int fd), (fd))
BEFORE(int, ftruncate, (int fd, off_t size), (fd, size))
BEFORE(int, ftruncate64, (int fd, off64_t size), (fd, size))
