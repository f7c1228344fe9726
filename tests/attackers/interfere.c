/* Sends a signal to whatever else there is, again and again: kill(2) with -1 spares only the sender
 * and pid 1. The first argument is the signal's number. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	int number = argc > 1 ? atoi(argv[1]) : 0;

	puts("interfering");
	fflush(stdout);
	for (;;)
		kill(-1, number);
}
