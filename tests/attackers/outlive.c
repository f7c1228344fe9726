/* Leaves two processes behind that want to outlive everything: one in a session of its own and
 * adopted, deaf to every signal that can be ignored; one that forks on and on. Told to, it stays. */

#include "attempt.h"
#include <sys/prctl.h>

static void deafen(void)
{
	for (int number = 1; number < 65; number++)
		signal(number, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, 0);
}

static void daemonize(void)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			deafen();
			for (;;)
				pause();
		}
		_exit(0);
	}
}

/* A new process every few milliseconds, the old one gone: no list of numbers is ever right. */
static void hop(void)
{
	if (fork())
		return;
	deafen();
	setsid();
	for (;;) {
		usleep(5000);
		if (fork() > 0)
			_exit(0);
	}
}

int main(int argc, char **argv)
{
	daemonize();
	hop();
	if (argc > 1 && !strcmp(argv[1], "stay")) {
		deafen();
		puts("staying");
		fflush(stdout);
		for (;;)
			pause();
	}
	return 0;
}
