/* Turns the knobs of the host: /proc, devices and the kernel log. */

#include "attempt.h"
#include <sys/sysmacros.h>

/* Nothing is to be read from it, whether it opens or not. */
static int yields(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY | O_NONBLOCK);

	if (fd == -1)
		return -1;
	if (read(fd, &byte, 1) == 1)
		return 0;
	errno = ENODATA;
	return -1;
}

static int is_device(const char *path, unsigned wanted_major, unsigned wanted_minor)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISCHR(status.st_mode)
		&& major(status.st_rdev) == wanted_major
		&& minor(status.st_rdev) == wanted_minor;
}

int main(void)
{
	ATTEMPT("write /proc/sys/kernel/core_pattern", open("/proc/sys/kernel/core_pattern", O_WRONLY));
	ATTEMPT("write /proc/sys/kernel/modprobe", open("/proc/sys/kernel/modprobe", O_WRONLY));
	ATTEMPT("write /proc/sys/kernel/hostname", open("/proc/sys/kernel/hostname", O_WRONLY));
	ATTEMPT("write /proc/sys/vm/overcommit_memory", open("/proc/sys/vm/overcommit_memory", O_WRONLY));
	ATTEMPT("write /proc/sys/net/ipv4/ip_forward", open("/proc/sys/net/ipv4/ip_forward", O_WRONLY));
	ATTEMPT("write /proc/sysrq-trigger", open("/proc/sysrq-trigger", O_WRONLY));
	ATTEMPT("write /proc/1/oom_score_adj", open("/proc/1/oom_score_adj", O_WRONLY));
	ATTEMPT("write /proc/self/oom_score_adj", open("/proc/self/oom_score_adj", O_WRONLY));
	ATTEMPT("write /proc/self/uid_map", open("/proc/self/uid_map", O_WRONLY));
	ATTEMPT("read /proc/kcore", yields("/proc/kcore"));
	ATTEMPT("read /proc/kmsg", yields("/proc/kmsg"));
	ATTEMPT("read /proc/kallsyms", yields("/proc/kallsyms"));
	ATTEMPT("read /proc/keys", yields("/proc/keys"));
	ATTEMPT("read /proc/timer_list", yields("/proc/timer_list"));
	ATTEMPT("open /dev/kmsg", open("/dev/kmsg", O_RDONLY));
	ATTEMPT("open /dev/mem", open("/dev/mem", O_RDONLY));
	ATTEMPT("open /dev/vda", open("/dev/vda", O_RDONLY));
	ATTEMPT("open /dev/vsock", open("/dev/vsock", O_RDONLY));
	ATTEMPT("open /dev/console", open("/dev/console", O_RDONLY));
	ATTEMPT("list /sys", open("/sys", O_RDONLY));
	ATTEMPT("list cgroups", open("/sys/fs/cgroup", O_RDONLY));
	ATTEMPT("syslog", syscall(SYS_syslog, 10, NULL, 0));
	ATTEMPT("replace /dev/null", unlink("/dev/null"));
	ATTEMPT("create in /dev", open("/dev/new", O_WRONLY | O_CREAT, 0644));
	ATTEMPT("create in /", open("/new", O_WRONLY | O_CREAT, 0644));
	ATTEMPT("create in /etc", open("/etc/new", O_WRONLY | O_CREAT, 0644));
	hold("/dev/null is the null device", is_device("/dev/null", 1, 3));
	hold("/dev/zero is the zero device", is_device("/dev/zero", 1, 5));
	hold("/dev/urandom is the random device", is_device("/dev/urandom", 1, 9));
	hold("/dev/tty is the terminal device", is_device("/dev/tty", 5, 0));
	return verdict();
}
