/* Attacks pid 1 of the sandbox, which runs as the attacker's own user. */

#include "attempt.h"
#include <sys/ptrace.h>
#include <sys/uio.h>

static long read_memory(pid_t pid)
{
	char byte;
	/* Any address will do: permission is checked before it. */
	struct iovec own = { &byte, 1 }, other = { &byte, 1 };

	return process_vm_readv(pid, &own, 1, &other, 1, 0);
}

static void attempts_by_file(void)
{
	char name[64];

	ATTEMPT("memory file", open("/proc/1/mem", O_RDONLY));
	ATTEMPT("environment", open("/proc/1/environ", O_RDONLY));
	ATTEMPT("maps", open("/proc/1/maps", O_RDONLY));
	ATTEMPT("auxiliary vector", open("/proc/1/auxv", O_RDONLY));
	ATTEMPT("descriptor 0's name", readlink("/proc/1/fd/0", name, sizeof name));
	ATTEMPT("descriptor 0", open("/proc/1/fd/0", O_RDONLY));
	ATTEMPT("descriptor information", open("/proc/1/fdinfo", O_RDONLY));
	ATTEMPT("root", open("/proc/1/root", O_RDONLY));
	ATTEMPT("root's /etc/shadow", open("/proc/1/root/etc/shadow", O_RDONLY));
	ATTEMPT("working directory", open("/proc/1/cwd", O_RDONLY));
	ATTEMPT("program", open("/proc/1/exe", O_RDONLY));
	ATTEMPT("mount namespace", open("/proc/1/ns/mnt", O_RDONLY));
}

static void attempts_by_call(void)
{
	/* Not PTRACE_ATTACH: where it works it stops pid 1, and the sandbox would never end. */
	ATTEMPT("trace", ptrace(PTRACE_SEIZE, 1, 0, 0));
	ATTEMPT("read memory", read_memory(1));
	ATTEMPT("take a descriptor", syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 0, 0));
	ATTEMPT("compare", syscall(SYS_kcmp, 1, getpid(), 0, 0, 0));
}

/* A signal to pid 1 is accepted and dropped: what counts is that it lives. */
static void signals(void)
{
	static const int numbers[] = { SIGKILL, SIGSTOP, SIGTERM, SIGINT, SIGSEGV, SIGQUIT, SIGUSR1 };

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		char name[64];

		kill(1, numbers[i]);
		syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, 1, 0), numbers[i], NULL, 0);
		usleep(20000);
		snprintf(name, sizeof name, "it survives SIG%s", sigabbrev_np(numbers[i]));
		hold(name, kill(1, 0) == 0 && getppid() == 1);
	}
}

int main(void)
{
	attempts_by_file();
	attempts_by_call();
	signals();
	return verdict();
}
