/* Swaps two names in one step, again and again, until it is ended. Runs outside. */

#include "attempt.h"
#include <sys/prctl.h>

/* In bursts: often enough to fall between two look-ups, seldom enough to leave the processor to
 * whoever makes them. */
int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int count = 1; argc == 3; count++) {
		if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE))
			break;
		if (count % 64 == 0)
			usleep(100);
	}
	perror("renameat2");
	return 1;
}
