/* Attacks the process outside whose number it was told, and looks for others. */

#include "attempt.h"
#include <ctype.h>
#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>

static long read_memory(pid_t pid)
{
	char byte;
	struct iovec own = { &byte, 1 }, other = { &byte, 1 };

	return process_vm_readv(pid, &own, 1, &other, 1, 0);
}

static int open_in(const char *pid, const char *file)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%s/%s", pid, file);
	return open(path, O_RDONLY);
}

/* How many processes /proc shows. */
static int processes(void)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(directory)))
		count += isdigit((unsigned char)entry->d_name[0]) != 0;
	closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;
	struct rlimit limit = { 1, 1 };

	hold("pid 1 and the attacker are all there is", processes() == 2);
	ATTEMPT("look", open_in(argv[1], "cmdline"));
	ATTEMPT("enter its root", open_in(argv[1], "root"));
	ATTEMPT("signal", kill(pid, SIGKILL));
	ATTEMPT("signal its group", kill(-pid, SIGKILL));
	ATTEMPT("signal a thread", syscall(SYS_tgkill, pid, pid, SIGKILL));
	ATTEMPT("queue a signal", sigqueue(pid, SIGKILL, (union sigval){ 0 }));
	ATTEMPT("hold by pidfd", syscall(SYS_pidfd_open, pid, 0));
	ATTEMPT("trace", ptrace(PTRACE_ATTACH, pid, 0, 0));
	ATTEMPT("read memory", read_memory(pid));
	ATTEMPT("limit", prlimit(pid, RLIMIT_CPU, &limit, NULL));
	ATTEMPT("slow down", setpriority(PRIO_PROCESS, pid, 19));
	/* Only where it can't hit the host if the pid namespace is not there. */
	if (getppid() == 1 && !succeeded)
		kill(-1, SIGKILL);
	return verdict();
}
