/* Tries the calls it was told over and over, from a child that nothing but SIGKILL ends; without
 * any it ends at once. */

#include "dial.h"

int main(int argc, char **argv)
{
	if (argc < 2)
		return 0;
	if (fork())
		pause();
	setsid();
	for (int signal = 1; signal < NSIG; signal++)
		if (signal != SIGCHLD)
			sigaction(signal, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	for (;;) {
		for (int i = 1; i < argc; i++) {
			struct call call = call_of(argv[i]);

			ATTEMPT(argv[i], send_to(open_for(&call), 0, &call.first));
		}
		fflush(stdout);
	}
}
