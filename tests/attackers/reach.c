/* Reads what it was told to: each argument is a path. */

#include "attempt.h"

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		ATTEMPT(argv[i], open(argv[i], O_RDONLY | O_NONBLOCK));
	return verdict();
}
