// Says something, begins to say more, and crashes: by its first argument, somewhere in `innermost`.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile char *place = (char *)0x10;

__attribute__((noinline)) static int innermost(const char *how)
{
	if (strcmp(how, "segv") == 0)
		*place = 1;
	if (strcmp(how, "kill") == 0)
		kill(getpid(), 9);
	return how[0];
}

__attribute__((noinline)) int middle(const char *how)
{
	return innermost(how) + 1;
}

int main(int count, char **arguments)
{
	puts("about to do it");
	fputs("no end", stdout);
	fflush(stdout);
	return middle(arguments[1]) + count;
}
