/* Wants privileges back: users, groups, capabilities, namespaces. */

#include "attempt.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>

static long clone_with(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long clone3_with(unsigned long flags)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof args);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long take_capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { ~0u, ~0u, ~0u }, { ~0u, ~0u, ~0u } };

	return syscall(SYS_capset, &header, data);
}

static long enter(const char *path, int kind)
{
	int fd = open(path, O_RDONLY);

	return fd == -1 ? -1 : setns(fd, kind);
}

static void namespaces(void)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} kinds[] = { { "user", CLONE_NEWUSER }, { "mount", CLONE_NEWNS }, { "pid", CLONE_NEWPID },
		{ "network", CLONE_NEWNET }, { "ipc", CLONE_NEWIPC }, { "uts", CLONE_NEWUTS },
		{ "cgroup", CLONE_NEWCGROUP }, { "user and mount", CLONE_NEWUSER | CLONE_NEWNS } };
	char name[64];

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		snprintf(name, sizeof name, "unshare %s", kinds[i].name);
		ATTEMPT(name, unshare(kinds[i].flag));
		snprintf(name, sizeof name, "clone %s", kinds[i].name);
		ATTEMPT(name, clone_with(kinds[i].flag));
		snprintf(name, sizeof name, "clone3 %s", kinds[i].name);
		ATTEMPT(name, clone3_with(kinds[i].flag));
	}
	ATTEMPT("unshare time", unshare(CLONE_NEWTIME));
	ATTEMPT("setns own user", enter("/proc/self/ns/user", CLONE_NEWUSER));
	ATTEMPT("setns own mount", enter("/proc/self/ns/mnt", 0));
	ATTEMPT("setns pid 1's mount", enter("/proc/1/ns/mnt", CLONE_NEWNS));
}

int main(void)
{
	gid_t group = 0;

	ATTEMPT("setuid 0", setuid(0) || getuid() ? -1 : 0);
	ATTEMPT("setresuid 0", setresuid(-1, 0, -1));
	ATTEMPT("setgid 0", setgid(0));
	ATTEMPT("setgroups 0", setgroups(1, &group));
	ATTEMPT("capset", take_capabilities());
	ATTEMPT("raise an ambient capability",
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0));
	ATTEMPT("allow new privileges", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	ATTEMPT("leave seccomp", prctl(PR_SET_SECCOMP, 0, 0, 0, 0));
	namespaces();
	return verdict();
}
