/* Preloaded into a process: lets one of its writes below a folder fail, or the process be killed, or the power be cut.

A write is whatever changes files or brings them to the disk: opening to write, writing, syncing, renaming, removing, making
folders. failing_disk_arm() says which one, counted from 1; failing_disk_count() how many there were. Where space runs out, all
later ones that need some fail too. Where a write of many bytes fails or is the last, half of it has happened. A power cut
loses the content of files, by whatever name, that were written but not synced. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum how { COUNT, NO_SPACE, IO_ERROR, KILL, POWER_CUT };

static char below[PATH_MAX];
static long at, count;
static enum how how;
static int paused;
static ino_t dirty[4096];
static int num_dirty;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void failing_disk_arm(const char *folder, long which, int what) {
  snprintf(below, sizeof below, "%s", folder);
  at = which, how = what, count = 0, num_dirty = 0;
}

long failing_disk_count(void) { return count; }

static int path_is_ours(int folder, const char *path) {
  char full[2 * PATH_MAX] = "";
  if (!*below || paused) return 0;
  if (path[0] != '/') {
    char link[64];
    ssize_t length;
    if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    length = readlink(link, full, PATH_MAX);
    if (length < 0) return 0;
    full[length] = '/', full[length + 1] = 0;
  }
  strncat(full, path, PATH_MAX - 1);
  return !strncmp(full, below, strlen(below));
}

static int is_ours(int file) {
  char link[64], path[PATH_MAX];
  ssize_t length;
  if (!*below || paused) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return path_is_ours(AT_FDCWD, path);
}

static void mark(int file, int is_dirty) {
  struct stat found;
  int i;
  if (fstat(file, &found) || !S_ISREG(found.st_mode)) return;
  for (i = 0; i < num_dirty; i++)
    if (dirty[i] == found.st_ino) dirty[i--] = dirty[--num_dirty];
  if (is_dirty && num_dirty < 4096) dirty[num_dirty++] = found.st_ino;
}

static int lose(const char *path, const struct stat *found, int flag, struct FTW *where) {
  int i;
  (void)where;
  for (i = 0; flag == FTW_F && i < num_dirty; i++)
    if (dirty[i] == found->st_ino && truncate(path, 0)) abort();
  return 0;
}

/* Counts a write; -1, with errno, if it is the one that fails. Does not return if it is the last. */
static int strike(int needs_space) {
  count++;
  if (how == NO_SPACE && (count == at || (count > at && needs_space))) return errno = ENOSPC, -1;
  if (count != at) return 0;
  if (how == IO_ERROR) return errno = EIO, -1;
  if (how == POWER_CUT) paused = 1, nftw(below, lose, 16, FTW_PHYS);
  if (how == KILL || how == POWER_CUT) kill(getpid(), SIGKILL), pause();
  return 0;
}

static int opens_to_write(int flags) { return (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC); }

static int opened(int file, int flags) {
  if (file >= 0 && flags & O_TRUNC) mark(file, 1);
  return file;
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & O_CREAT) { \
    va_list more; \
    va_start(more, flags); \
    mode = va_arg(more, mode_t); \
    va_end(more); \
  }

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    MODE(flags) \
    if (!opens_to_write(flags) || !path_is_ours(AT_FDCWD, path)) return REAL(name)(path, flags, mode); \
    return strike(flags & O_CREAT) ? -1 : opened(REAL(name)(path, flags, mode), flags); \
  }
#define OPENAT(name) \
  int name(int folder, const char *path, int flags, ...) { \
    MODE(flags) \
    if (!opens_to_write(flags) || !path_is_ours(folder, path)) return REAL(name)(folder, path, flags, mode); \
    return strike(flags & O_CREAT) ? -1 : opened(REAL(name)(folder, path, flags, mode), flags); \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
  FILE *name(const char *path, const char *mode) { \
    if (!strpbrk(mode, "wa+") || !path_is_ours(AT_FDCWD, path)) return REAL(name)(path, mode); \
    return strike(1) ? NULL : REAL(name)(path, mode); \
  }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int file, const void *bytes, size_t size) {
  if (!size || !is_ours(file)) return REAL(write)(file, bytes, size);
  mark(file, 1);
  if (count + 1 == at && how != COUNT && REAL(write)(file, bytes, size / 2) < 0) return -1;
  return strike(1) ? -1 : REAL(write)(file, bytes, size);
}

#define PWRITE(name, offset_type) \
  ssize_t name(int file, const void *bytes, size_t size, offset_type offset) { \
    if (!is_ours(file)) return REAL(name)(file, bytes, size, offset); \
    mark(file, 1); \
    return strike(1) ? -1 : REAL(name)(file, bytes, size, offset); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int file, const struct iovec *parts, int number) {
  if (!is_ours(file)) return REAL(writev)(file, parts, number);
  mark(file, 1);
  return strike(1) ? -1 : REAL(writev)(file, parts, number);
}

#define SIZE(name, offset_type) \
  int name(int file, offset_type size) { \
    if (!is_ours(file)) return REAL(name)(file, size); \
    mark(file, 1); \
    return strike(1) ? -1 : REAL(name)(file, size); \
  }
SIZE(ftruncate, off_t)
SIZE(ftruncate64, off64_t)

#define SYNC(name) \
  int name(int file) { \
    if (!is_ours(file)) return REAL(name)(file); \
    if (strike(0)) return -1; \
    mark(file, 0); \
    return REAL(name)(file); \
  }
SYNC(fsync)
SYNC(fdatasync)

#define ON_PATH(name, needs_space, ...) \
  if (path_is_ours(AT_FDCWD, path) && strike(needs_space)) return -1; \
  return REAL(name)(__VA_ARGS__);
#define ON_PATH_AT(name, needs_space, ...) \
  if (path_is_ours(folder, path) && strike(needs_space)) return -1; \
  return REAL(name)(__VA_ARGS__);

int rename(const char *from, const char *path) { ON_PATH(rename, 0, from, path) }
int renameat(int start, const char *from, int folder, const char *path) {
  ON_PATH_AT(renameat, 0, start, from, folder, path)
}
int unlink(const char *path) { ON_PATH(unlink, 0, path) }
int unlinkat(int folder, const char *path, int flags) { ON_PATH_AT(unlinkat, 0, folder, path, flags) }
int rmdir(const char *path) { ON_PATH(rmdir, 0, path) }
int mkdir(const char *path, mode_t mode) { ON_PATH(mkdir, 1, path, mode) }
int mkdirat(int folder, const char *path, mode_t mode) { ON_PATH_AT(mkdirat, 1, folder, path, mode) }
int chmod(const char *path, mode_t mode) { ON_PATH(chmod, 0, path, mode) }
