/* A pread that is interrupted, returns less than it was asked for, or fails, as disks and network file systems do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/types.h>

static atomic_int every = 0, number = 0;
static int fault = 0;

/* From now on every n-th read fails with an errno; 0 for a short read, and n = 0 for no failures. */
void fail_reads(int error, int n) { fault = error; every = n; }

static ssize_t failing(const char *name, int descriptor, void *to, size_t size, off_t offset) {
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, name);
    int n = every;
    if (n > 0 && size > 1 && atomic_fetch_add(&number, 1) % n == n - 1) {
        if (fault == 0) return real(descriptor, to, size / 2, offset);
        errno = fault;
        return -1;
    }
    return real(descriptor, to, size, offset);
}

ssize_t pread(int descriptor, void *to, size_t size, off_t offset) { return failing("pread", descriptor, to, size, offset); }
ssize_t pread64(int descriptor, void *to, size_t size, off_t offset) { return failing("pread64", descriptor, to, size, offset); }
