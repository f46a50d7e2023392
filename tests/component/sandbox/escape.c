/* Tries to get out of a sandbox, in every way that is known for one, and says of each whether it worked.
 *
 * escape SECRET AGENT ABSTRACT PORT PID TOKEN SHOWN
 *   SECRET    a file of the host that no sandbox shows
 *   AGENT     a socket of the host in the file system
 *   ABSTRACT  the name of an abstract socket of the host
 *   PORT      a port that listens on the host's loopback
 *   PID       a process of the host
 *   TOKEN     a value in the environment of whoever started the sandbox
 *   SHOWN     a file that the sandbox shows read only
 *
 * Every attempt runs in a process of its own. Its line is "NAME refused WHY" or "NAME ESCAPED".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static const char *secret, *agent, *abstract, *token, *shown;
static int port;
static pid_t host_process;

/* True where a call worked. */
static int worked(long result) { return result >= 0; }

/* True where the kernel did not refuse a call, but looked at what it was given. */
static int answered(long result) { return result >= 0 || (errno != ENOSYS && errno != EPERM && errno != EACCES); }

static int can_read(const char *path) {
	char byte;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, &byte, 1) >= 0;
}

static int can_write(const char *path) {
	return worked(open(path, O_WRONLY | O_CLOEXEC));
}

static int remount(void) {
	return worked(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL))
		|| worked(mount(NULL, "/usr", NULL, MS_REMOUNT | MS_BIND, NULL))
		|| worked(mount(NULL, shown, NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int new_mounts(void) {
	return worked(mount("none", "/tmp", "tmpfs", 0, NULL)) || worked(mount("none", "/tmp", "sysfs", 0, NULL))
		|| worked(mount("none", "/tmp", "cgroup2", 0, NULL)) || worked(mount("/", "/tmp", NULL, MS_BIND, NULL));
}

static int unmount(void) { return worked(umount2("/proc", MNT_DETACH)) || worked(umount2("/dev", MNT_DETACH)); }

static int new_mount_calls(void) {
	return worked(syscall(SYS_fsopen, "tmpfs", 0)) || worked(syscall(SYS_open_tree, AT_FDCWD, "/", 1));
}

static int mount_disk(void) {
	static const char *const disks[] = { "/dev/vda", "/dev/vda1", "/dev/sda", "/dev/sda1", "/dev/nvme0n1" };
	for (unsigned i = 0; i < sizeof disks / sizeof *disks; i++)
		if (worked(mount(disks[i], "/tmp", "ext4", MS_RDONLY, NULL)) || can_read(disks[i]))
			return 1;
	return 0;
}

static int make_disk(void) {
	static const int numbers[][2] = { { 8, 0 }, { 254, 0 }, { 253, 0 }, { 259, 0 }, { 7, 0 } };
	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		unlink("/tmp/disk");
		if (worked(mknod("/tmp/disk", S_IFBLK | 0600, makedev(numbers[i][0], numbers[i][1]))))
			return 1;
	}
	return 0;
}

static int make_memory(void) {
	return worked(mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1))) || can_read("/dev/mem") || can_read("/dev/kmsg")
		|| can_read("/proc/kcore") || can_read("/proc/kmsg") || worked(syscall(SYS_syslog, 3, secret, 0));
}

static int load_module(void) {
	return answered(syscall(SYS_init_module, "", 0, "")) || answered(syscall(SYS_finit_module, 0, "", 0))
		|| answered(syscall(SYS_delete_module, "no_such_module", 0));
}

static int new_kernel(void) {
	return answered(syscall(SYS_kexec_load, 0, 0, 0, 0)) || answered(reboot(RB_DISABLE_CAD));
}

static int kernel_settings(void) {
	static const char *const files[] = { "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug",
		"/proc/sys/vm/overcommit_memory", "/proc/sys/fs/binfmt_misc/register", "/proc/sysrq-trigger", "/proc/sys/kernel/printk" };
	for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
		if (can_write(files[i]))
			return 1;
	return 0;
}

static int devices(void) {
	return worked(access("/sys/kernel", F_OK)) || worked(access("/sys/fs/cgroup", F_OK)) || can_write("/sys/kernel/uevent_helper");
}

static int host_processes(void) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/environ", host_process);
	return worked(kill(host_process, SIGTERM)) || worked(ptrace(PTRACE_ATTACH, host_process, 0, 0)) || can_read(path)
		|| worked(syscall(SYS_pidfd_open, host_process, 0));
}

static int loopback(void) {
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd >= 0 && worked(connect(fd, (struct sockaddr *)&to, sizeof to));
}

static int outside(void) {
	/* Sends nothing: a socket for datagrams only finds its route. */
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0xC0000201) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	return fd >= 0 && worked(connect(fd, (struct sockaddr *)&to, sizeof to));
}

static int odd_sockets(void) {
	return worked(socket(AF_VSOCK, SOCK_STREAM, 0)) || worked(socket(AF_ALG, SOCK_SEQPACKET, 0))
		|| worked(socket(AF_PACKET, SOCK_RAW, 0)) || worked(socket(AF_BLUETOOTH, SOCK_RAW, 0));
}

static int named_socket(const char *name, int is_abstract) {
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strncpy(to.sun_path + is_abstract, name, sizeof to.sun_path - 2);
	return fd >= 0 && worked(connect(fd, (struct sockaddr *)&to, offsetof(struct sockaddr_un, sun_path) + is_abstract + strlen(name)));
}

static int abstract_socket(void) { return named_socket(abstract, 1); }

static int agent_socket(void) {
	return named_socket(agent, 0) || named_socket("/run/systemd/private", 0) || named_socket("/run/dbus/system_bus_socket", 0)
		|| named_socket("/run/docker.sock", 0) || worked(access(agent, F_OK));
}

static int secrets(void) { return can_read(secret) || worked(access(secret, F_OK)); }

static int environment(void) {
	static char text[65536];
	const char *const files[] = { "/proc/1/environ", "/proc/self/environ" };
	for (unsigned i = 0; i < 2; i++) {
		int fd = open(files[i], O_RDONLY | O_CLOEXEC);
		ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text);
		if (length > 0 && memmem(text, length, token, strlen(token)))
			return 1;
	}
	return 0;
}

static int by_descriptor(void) {
	char path[4200];
	for (int fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d/%s", fd, secret);
		if (can_read(path))
			return 1;
		snprintf(path, sizeof path, "/proc/1/fd/%d/%s", fd, secret);
		if (can_read(path))
			return 1;
		if (fd > 2 && worked(fchdir(fd)))
			return 1;
	}
	snprintf(path, sizeof path, "/proc/1/root/%s", secret);
	if (can_read(path))
		return 1;
	snprintf(path, sizeof path, "/proc/1/cwd/../../../../..%s", secret);
	return can_read(path);
}

static int out_of_chroot(void) {
	int root = open("/", O_RDONLY | O_DIRECTORY);
	mkdir("/tmp/inner", 0755);
	if (chroot("/tmp/inner") == 0 && fchdir(root) == 0) {
		for (int i = 0; i < 64; i++)
			if (chdir("..") != 0)
				break;
		if (chroot(".") != 0)
			return 0;
	}
	return can_read(secret);
}

static int by_handle(void) {
	struct { struct file_handle handle; unsigned char bytes[128]; } of = { .handle.handle_bytes = 8, .handle.handle_type = 1 };
	of.handle.f_handle[0] = 2;
	return answered(syscall(SYS_open_by_handle_at, open("/", O_RDONLY), &of, O_RDONLY));
}

static int users(void) {
	int of = open("/proc/1/ns/user", O_RDONLY), net = open("/proc/1/ns/net", O_RDONLY);
	return worked(unshare(CLONE_NEWUSER)) || worked(unshare(CLONE_NEWNS)) || worked(unshare(CLONE_NEWNET))
		|| (of >= 0 && worked(setns(of, CLONE_NEWUSER))) || (net >= 0 && worked(setns(net, CLONE_NEWNET)));
}

static int users_by_clone(void) {
	long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		_exit(0);
	if (worked(child))
		return 1;
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	child = syscall(SYS_clone3, &args, sizeof args);
	if (child == 0)
		_exit(0);
	return worked(child);
}

static int keyrings(void) {
	/* The user's session, a key of one's own, and what the kernel says of keys. */
	return worked(syscall(SYS_keyctl, 0, -5, 1)) || worked(syscall(SYS_add_key, "user", "escape", "x", 1, -4))
		|| worked(syscall(SYS_request_key, "user", "escape", 0, -4));
}

static int into_terminal(void) {
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	setsid();
	if (master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0) {
		int terminal = open(ptsname(master), O_RDWR);
		if (terminal >= 0 && ioctl(terminal, TIOCSCTTY, 1) == 0 && worked(ioctl(terminal, TIOCSTI, "x")))
			return 1;
	}
	for (int fd = 0; fd < 3; fd++)
		if (worked(ioctl(fd, TIOCSTI, "x")))
			return 1;
	return 0;
}

static int kernel_parts(void) {
	return answered(syscall(SYS_bpf, 0, 0, 0)) || answered(syscall(SYS_perf_event_open, 0, 0, -1, -1, 0))
		|| answered(syscall(SYS_userfaultfd, 0)) || answered(syscall(SYS_io_uring_setup, 1, NULL));
}

static int clock_and_name(void) {
	struct timeval now;
	gettimeofday(&now, NULL);
	return worked(settimeofday(&now, NULL)) || worked(sethostname("escaped", 7));
}

#ifdef __x86_64__
static int other_numbers(void) {
	return worked(syscall(0x40000000 | SYS_keyctl, 0, -5, 1)) || worked(syscall(0x40000000 | SYS_unshare, CLONE_NEWUSER));
}

static int old_calls(void) {
	long result;
	/* unshare, as a program of 32 bits would call it. */
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(310), "b"(CLONE_NEWUSER) : "memory", "r8", "r9", "r10", "r11");
	return worked(result);
}
#endif

static int shown_file(void) {
	struct timespec times[2] = { { 0 }, { 0 } };
	return can_write(shown) || worked(chmod(shown, 0777)) || worked(chown(shown, geteuid(), -1)) || worked(unlink(shown))
		|| worked(utimensat(AT_FDCWD, shown, times, 0)) || worked(truncate(shown, 0)) || worked(link(shown, "/tmp/link"));
}

static int becomes_root(void) {
	/* Where a program with the set-user-ID bit is there: it must leave whoever runs it what they are. */
	if (geteuid() == 0 || access("/usr/bin/set-user-id", X_OK) != 0)
		return 0;
	pid_t child = fork();
	if (child == 0) {
		execl("/usr/bin/set-user-id", "set-user-id", "--who", NULL);
		_exit(1);
	}
	int status;
	waitpid(child, &status, 0);
	return (WIFEXITED(status) && WEXITSTATUS(status) == 42) || worked(setuid(0)) || worked(setgid(0));
}

static const struct { const char *name; int (*attempt)(void); } attempts[] = {
	{ "remount", remount }, { "new-mounts", new_mounts }, { "unmount", unmount }, { "new-mount-calls", new_mount_calls },
	{ "mount-disk", mount_disk }, { "make-disk", make_disk }, { "memory", make_memory }, { "load-module", load_module },
	{ "new-kernel", new_kernel }, { "kernel-settings", kernel_settings }, { "devices", devices },
	{ "host-processes", host_processes }, { "loopback", loopback }, { "outside", outside }, { "odd-sockets", odd_sockets },
	{ "abstract-socket", abstract_socket }, { "agent-socket", agent_socket }, { "secrets", secrets },
	{ "environment", environment }, { "by-descriptor", by_descriptor }, { "out-of-chroot", out_of_chroot },
	{ "by-handle", by_handle }, { "users", users }, { "users-by-clone", users_by_clone }, { "keyrings", keyrings },
	{ "into-terminal", into_terminal }, { "kernel-parts", kernel_parts }, { "clock-and-name", clock_and_name },
	{ "shown-file", shown_file }, { "becomes-root", becomes_root },
#ifdef __x86_64__
	{ "other-numbers", other_numbers }, { "old-calls", old_calls },
#endif
};

int main(int count, char **words) {
	if (count == 2 && strcmp(words[1], "--who") == 0)
		return geteuid() == 0 ? 42 : 0;
	if (count != 8)
		return 2;
	secret = words[1], agent = words[2], abstract = words[3], port = atoi(words[4]), host_process = atoi(words[5]);
	token = words[6], shown = words[7];
	for (unsigned i = 0; i < sizeof attempts / sizeof *attempts; i++) {
		fflush(stdout);
		pid_t child = fork();
		if (child == 0)
			_exit(attempts[i].attempt() ? 1 : 0);
		int status;
		waitpid(child, &status, 0);
		const char *how = WIFSIGNALED(status) ? "refused killed" : WEXITSTATUS(status) ? "ESCAPED" : "refused";
		printf("%s %s\n", attempts[i].name, how);
	}
	return 0;
}
