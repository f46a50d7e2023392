//! Under which circumstances a build runs: as always, or with all that it may notice of them another. What comes out must not depend on that.

use std::io::{self, BufRead, BufReader, Read};

use crate::sandbox::{Sandbox, User};

/// The circumstances of a build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Circumstances {
    /// As the sandbox fixes them.
    #[default]
    Usual,
    /// Other ones, for a second build that is compared with the first.
    Other,
}

/// The library, in the builder's home. It is made there, by the compiler of the chroot, so that it fits its C library.
pub(super) const SOURCE_FILE: &str = ".circumstances.c";

/// What `LD_PRELOAD` takes before the C library: time, kernel, number of processors, and order of folders are other ones. It includes nothing and
/// links with nothing, because a chroot with a compiler may have neither headers nor libraries for that.
pub(super) const SOURCE: &str = r#"
typedef unsigned long size;
struct seconds { long whole, part; };
struct entry { unsigned long inode; long offset; unsigned short length; unsigned char kind; char name[]; };
struct list { void *dir; struct entry **all; size count, next; int failed; struct list *more; };
extern long syscall(long, ...);
extern long __sysconf(int);
extern int dirfd(void *);
extern long lseek(int, long, int);
extern void *malloc(size);
extern void *realloc(void *, size);
extern void *memcpy(void *, const void *, size);
extern int strcmp(const char *, const char *);
extern char *strcpy(char *, const char *);
extern int *__errno_location(void);
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);
extern void qsort(void *, size, size, int (*)(const void *, const void *));

/* Three years and some hours. */
static const long ahead = 94620000;
static const int more = 5;

#ifdef __x86_64__
enum { GETTIME = 228, UNAME = 63, AFFINITY = 204, GETDENTS = 217 };
#else
enum { GETTIME = 113, UNAME = 160, AFFINITY = 123, GETDENTS = 61 };
#endif

int clock_gettime(int clock, struct seconds *now)
{
    long failed = syscall(GETTIME, (long)clock, now);
    /* The wall's clock, and the coarse one. */
    if (!failed && (clock == 0 || clock == 5)) now->whole += ahead;
    return failed ? -1 : 0;
}

int gettimeofday(struct seconds *now, void *zone)
{
    (void)zone;
    if (clock_gettime(0, now)) return -1;
    now->part /= 1000;
    return 0;
}

long time(long *to)
{
    struct seconds now;
    clock_gettime(0, &now);
    if (to) *to = now.whole;
    return now.whole;
}

int uname(char *names)
{
    if (syscall(UNAME, names)) return -1;
    strcpy(names + 2 * 65, "9.8.7-other");
    strcpy(names + 3 * 65, "another kernel");
    return 0;
}

int sched_getaffinity(int process, size length, unsigned char *mask)
{
    long filled = syscall(AFFINITY, (long)process, length, mask);
    if (filled < 0) return -1;
    size at;
    for (at = filled; at < length; at++) mask[at] = 0;
    int left = more;
    for (at = 0; at < length * 8 && left; at++)
        if (!(mask[at / 8] & 1 << at % 8)) { mask[at / 8] |= 1 << at % 8; left--; }
    return 0;
}

long sysconf(int name)
{
    long found = __sysconf(name);
    /* _SC_NPROCESSORS_CONF and _SC_NPROCESSORS_ONLN */
    return name == 83 || name == 84 ? found + more : found;
}

int get_nprocs(void) { return sysconf(84); }
int get_nprocs_conf(void) { return sysconf(83); }

static struct list *lists;
static int held;

static void hold(void) { while (__sync_lock_test_and_set(&held, 1)) {} }
static void release(void) { __sync_lock_release(&held); }

/* What another thread holds would stay held in a new process, where that thread is not. */
__attribute__((constructor)) static void at_start(void) { __register_atfork(hold, release, release, 0); }

static int last_first(const void *one, const void *other)
{
    return strcmp((*(struct entry **)other)->name, (*(struct entry **)one)->name);
}

/* A part of a folder is not taken for all of it. */
static struct list *failed(struct list *list)
{
    list->failed = *__errno_location();
    list->count = 0;
    return list;
}

static struct list *whole(void *dir)
{
    struct list *list = lists;
    while (list && list->dir != dir) list = list->more;
    /* A folder that nothing was read of since it was opened, or rewound. */
    if (list && lseek(dirfd(dir), 0, 1) != 0) return list;
    if (!list) {
        list = malloc(sizeof *list);
        if (!list) return 0;
        list->dir = dir;
        list->all = 0;
        list->more = lists;
        lists = list;
    }
    list->count = list->next = list->failed = 0;
    char buffer[32768] __attribute__((aligned(8)));
    long got;
    while ((got = syscall(GETDENTS, (long)dirfd(dir), buffer, sizeof buffer)) > 0) {
        long at = 0;
        while (at < got) {
            struct entry *entry = (void *)(buffer + at);
            struct entry *copy = malloc(entry->length);
            struct entry **all = realloc(list->all, (list->count + 1) * sizeof *all);
            if (all) list->all = all;
            if (!copy || !all) return failed(list);
            memcpy(copy, entry, entry->length);
            list->all[list->count++] = copy;
            at += entry->length;
        }
    }
    if (got < 0) return failed(list);
    qsort(list->all, list->count, sizeof *list->all, last_first);
    return list;
}

struct entry *readdir64(void *dir)
{
    hold();
    struct list *list = whole(dir);
    struct entry *next = list && list->next < list->count ? list->all[list->next++] : 0;
    if (list && list->failed) *__errno_location() = list->failed;
    release();
    return next;
}

long telldir(void *dir)
{
    hold();
    struct list *list = whole(dir);
    long at = list && !list->failed ? (long)list->next : -1;
    release();
    return at;
}

void seekdir(void *dir, long at)
{
    hold();
    struct list *list = whole(dir);
    if (list && at >= 0 && (size)at <= list->count) list->next = at;
    release();
}

struct entry *readdir(void *dir) { return readdir64(dir); }
"#;

/// What the log says of a chroot that the library cannot be made in.
const WITHOUT_LIBRARY: &str =
    "no compiler here: time, kernel, processors and the order of folders are as always";

/// Whether the log of a build says that it had no library: only the sandbox was another one.
pub fn had_no_library(log: impl Read) -> io::Result<bool> {
    for line in BufReader::new(log).split(b'\n') {
        if line? == WITHOUT_LIBRARY.as_bytes() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the library, where the chroot has a compiler, and has what follows use it. Where it has none, the log says so: of a chroot in which nothing is
/// compiled, only source packages come out.
const PRELOAD: &str = r#"
library=$HOME/.circumstances.so
if [ ! -e "$library" ]; then
    if command -v gcc >/dev/null; then
        gcc -shared -fPIC -O1 -w -nostdlib -fno-stack-protector \
            -fno-lto -fno-use-linker-plugin -o "$library" "$HOME/.circumstances.c"
    else
        echo "no compiler here: time, kernel, processors and the order of folders are as always" >&2
    fi
fi
if [ -e "$library" ]; then export LD_PRELOAD="$library"; fi
umask 077
"#;

impl Circumstances {
    /// Who builds.
    pub(super) fn user(self) -> User {
        match self {
            Self::Usual => User::Builder,
            Self::Other => User::OtherBuilder,
        }
    }

    /// What the host is called inside.
    pub(super) fn host(self, host: &str) -> &str {
        match self {
            Self::Usual => host,
            Self::Other => "elsewhere.example",
        }
    }

    /// What a script begins with.
    pub(super) fn prologue(self) -> &'static str {
        match self {
            Self::Usual => "umask 022; ",
            Self::Other => PRELOAD,
        }
    }

    /// The sandbox with other variables.
    pub(super) fn of<'s>(self, sandbox: Sandbox<'s>) -> Sandbox<'s> {
        match self {
            Self::Usual => sandbox,
            Self::Other => sandbox
                .env("LC_ALL", "C")
                .env("LANG", "tr_TR.UTF-8")
                // As POSIX has it: a zone of a name would need its file.
                .env("TZ", "ELSE-14")
                .env("USER", "somebody")
                .env("LOGNAME", "somebody"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::process;

    /// Folders are read while processes are made; one is read from in the middle; and one cannot be read.
    const READS: &str = r#"
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static int count(void)
{
    DIR *dir = opendir(".");
    int found = 0;
    while (readdir(dir)) found++;
    closedir(dir);
    return found;
}
static void *reads(void *none) { for (;;) count(); }
int main(void)
{
    alarm(60);
    DIR *dir = opendir(".");
    readdir(dir);
    long at = telldir(dir);
    char name[256];
    strcpy(name, readdir(dir)->d_name);
    while (readdir(dir)) {}
    seekdir(dir, at);
    if (strcmp(name, readdir(dir)->d_name)) return 1;
    rewinddir(dir);
    if (telldir(dir) != 0) return 2;
    DIR *closed = opendir(".");
    close(dirfd(closed));
    errno = 0;
    if (readdir(closed) || errno != EBADF) return 3;
    pthread_t thread;
    for (int i = 0; i < 2; i++) pthread_create(&thread, 0, reads, 0);
    for (int i = 0; i < 60; i++) {
        int child = fork(), status;
        if (!child) { alarm(20); _exit(count() == 5 ? 0 : 4); }
        waitpid(child, &status, 0);
        if (status) return 5;
    }
    return 0;
}
"#;

    #[test]
    fn folders_are_read_whole_or_with_an_error_in_every_process() {
        let dir = tempfile::tempdir().unwrap();
        let compiled = |text: &str, options: &[&str], name: &str| {
            let [source, to] = [format!("{name}.c"), name.to_owned()].map(|it| dir.path().join(it));
            fs::write(&source, text).unwrap();
            let mut command = process::command("gcc");
            command.args(options).arg("-o").arg(&to).arg(&source);
            process::output(command.arg("-pthread")).unwrap();
            to
        };
        let library = compiled(
            SOURCE,
            &[
                "-shared",
                "-fPIC",
                "-O1",
                "-w",
                "-nostdlib",
                "-fno-stack-protector",
            ],
            "library",
        );
        let program = compiled(READS, &["-w"], "program");
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        for name in ["a", "b", "c"] {
            fs::write(folder.join(name), name).unwrap();
        }
        let mut command = process::command(&program);
        command.current_dir(&folder).env("LD_PRELOAD", &library);
        process::output(&mut command).unwrap();
    }

    #[test]
    fn a_build_without_the_library_is_known_by_its_log() {
        assert!(PRELOAD.contains(&format!("echo \"{WITHOUT_LIBRARY}\"")));
        let log = format!("+ cd\n{WITHOUT_LIBRARY}\nWrote: x\n");
        assert!(had_no_library(log.as_bytes()).unwrap());
        let other = b"+ cd\ngcc -shared: no compiler here\n";
        assert!(!had_no_library(&other[..]).unwrap());
    }
}
