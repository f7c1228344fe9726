/* Opens files until it may not, and asks for more. */

#include "attempt.h"
#include <sys/resource.h>

static int raise_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_max = limit.rlim_max + 1;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
	int last = 2, fd;

	while (last < 100000 && (fd = open("/dev/null", O_RDONLY)) != -1)
		last = fd;
	printf("last descriptor: %d\n", last);
	close(last);
	ATTEMPT("raise the limit", raise_limit());
	return verdict();
}
