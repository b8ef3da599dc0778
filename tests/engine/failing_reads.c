/* Reads that are interrupted, return less than they were asked for, or fail, as disks and network file systems do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int number = 0;
static int fault = 0, first = 0, every = 0, counting = 0;
static char below[4096] = "/";

/* From now on every n-th read fails with an errno; 0 for a short read, and n = 0 for no failures. */
void fail_reads(int error, int n) { fault = error; number = 0; first = n; every = n; counting = n > 0; }

/* From now on read number ``from`` fails, and every n-th after it, or none if n = 0; with from = 0 all are counted. */
void fail_reads_from(int error, int from, int n) { fault = error; number = 0; first = from; every = n; counting = 1; }

/* Count and fail reads of files alone whose paths begin so. */
void fail_below(const char *path) { strncpy(below, path, sizeof below - 1); }

int reads_seen(void) { return number; }

static int concerns(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    return length > 0 && path[0] == '/' && strncmp(path, below, strlen(below)) == 0;
}

/* Whether this read fails: -1 with errno, 1 for a short one, 0 for neither. */
static int fails(int descriptor, size_t size) {
    if (!counting || size < 2 || !concerns(descriptor)) return 0;
    int n = atomic_fetch_add(&number, 1) + 1;
    if (first == 0 || n < first || (n > first && (every == 0 || (n - first) % every != 0))) return 0;
    if (fault == 0) return 1;
    errno = fault;
    return -1;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

ssize_t pread(int descriptor, void *to, size_t size, off_t offset) {
    REAL(pread);
    int failed = fails(descriptor, size);
    return failed < 0 ? -1 : real(descriptor, to, failed ? size / 2 : size, offset);
}

ssize_t pread64(int descriptor, void *to, size_t size, off64_t offset) {
    REAL(pread64);
    int failed = fails(descriptor, size);
    return failed < 0 ? -1 : real(descriptor, to, failed ? size / 2 : size, offset);
}

ssize_t read(int descriptor, void *to, size_t size) {
    REAL(read);
    int failed = fails(descriptor, size);
    return failed < 0 ? -1 : real(descriptor, to, failed ? size / 2 : size);
}

ssize_t preadv(int descriptor, const struct iovec *to, int n, off_t offset) {
    REAL(preadv);
    return fails(descriptor, n > 1 ? 2 : to[0].iov_len) < 0 ? -1 : real(descriptor, to, n, offset);
}
