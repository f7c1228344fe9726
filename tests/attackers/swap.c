/* Swaps two names in one step, again and again, until it is ended. Runs outside. */

#include "attempt.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (argc == 3 && renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) == 0)
		usleep(200);
	perror("renameat2");
	return 1;
}
