/* Writes to its own program file and to pid 1's, also through a descriptor that was opened while
 * the file was in use and is reopened when it is not (CVE-2019-5736). */

#include "attempt.h"

/* Started a second time as another file, so that the first is not in use any more. */
static int reopen_after_exec(int fd)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ATTEMPT("own program, held and reopened", open(path, O_WRONLY));
	return verdict();
}

int main(int argc, char **argv)
{
	char number[16];
	int fd;

	if (argc == 3)
		return reopen_after_exec(atoi(argv[2]));
	ATTEMPT("own program", open("/proc/self/exe", O_WRONLY));
	ATTEMPT("own program, truncated", truncate("/proc/self/exe", 0));
	ATTEMPT("pid 1's program, held", open("/proc/1/exe", O_PATH));
	ATTEMPT("pid 1's program, read", open("/proc/1/exe", O_RDONLY));
	ATTEMPT("pid 1's program, written", open("/proc/1/exe", O_WRONLY));
	ATTEMPT("pid 1's program, run", execl("/proc/1/exe", "exe", "--version", NULL));
	ATTEMPT("pid 1's map files", open("/proc/1/map_files", O_RDONLY));
	fd = open("/proc/self/exe", O_PATH);
	snprintf(number, sizeof number, "%d", fd);
	fflush(stdout);
	if (succeeded)
		return verdict();
	execl(argv[1], argv[1], "reopen", number, NULL);
	perror(argv[1]);
	return 1;
}
