/* Attempts of an attacker: each is made in a process of its own, because the sandbox ends a process
 * for some of them, and each prints one line, `name: outcome`. */

#ifndef ATTEMPT_H
#define ATTEMPT_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* How many attempts got through. */
static int succeeded;

/* Print how a process that made an attempt ended: its exit code is an errno, 0 a success. */
static inline void outcome(const char *name, pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		;
	if (WIFSIGNALED(status)) {
		printf("%s: SIG%s\n", name, sigabbrev_np(WTERMSIG(status)));
	} else if (WEXITSTATUS(status) == 0) {
		succeeded++;
		printf("%s: SUCCEEDED\n", name);
	} else {
		printf("%s: %s\n", name, strerrorname_np(WEXITSTATUS(status)));
	}
}

/* Try an expression that is -1 and sets errno when it fails. */
#define ATTEMPT(name, expression) do {                          \
	fflush(stdout);                                         \
	pid_t child_ = fork();                                  \
	if (child_ == 0) {                                      \
		errno = 0;                                      \
		_exit((long)(expression) == -1 ? errno : 0);    \
	}                                                       \
	outcome(name, child_);                                  \
} while (0)

/* Say whether something that must hold does. */
static inline void hold(const char *name, int holds)
{
	printf("%s: %s\n", name, holds ? "holds" : "BROKEN");
	succeeded += !holds;
}

/* The attacker's exit code: 0 when nothing got through. */
static inline int verdict(void)
{
	return succeeded != 0;
}

#endif
