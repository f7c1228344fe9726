/* Executes a copy of itself from each directory it was told. */

#include "attempt.h"
#include <sys/mman.h>

static int copy_to(const char *directory, char *path, size_t size)
{
	char buffer[65536];
	ssize_t count;
	int from = open("/proc/self/exe", O_RDONLY), to;

	snprintf(path, size, "%s/copy", directory);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	while (to != -1 && (count = read(from, buffer, sizeof buffer)) > 0)
		if (write(to, buffer, count) != count)
			return -1;
	close(from);
	return to == -1 ? -1 : close(to);
}

static long map(const char *path, int first, int then)
{
	void *map = mmap(NULL, 4096, first, MAP_PRIVATE, open(path, O_RDONLY), 0);

	return map == MAP_FAILED ? -1 : mprotect(map, 4096, then);
}

int main(int argc, char **argv)
{
	char path[4096], name[5000];

	if (argc == 1)
		return 0;
	for (int i = 1; i < argc; i++) {
		if (copy_to(argv[i], path, sizeof path)) {
			perror(path);
			return 1;
		}
		snprintf(name, sizeof name, "%s: execute", argv[i]);
		ATTEMPT(name, execl(path, path, NULL));
		snprintf(name, sizeof name, "%s: execute by descriptor", argv[i]);
		ATTEMPT(name, fexecve(open(path, O_RDONLY), argv + argc, argv + argc));
		snprintf(name, sizeof name, "%s: map for execution", argv[i]);
		ATTEMPT(name, map(path, PROT_READ | PROT_EXEC, PROT_READ | PROT_EXEC));
		snprintf(name, sizeof name, "%s: map, then protect", argv[i]);
		ATTEMPT(name, map(path, PROT_READ, PROT_READ | PROT_EXEC));
	}
	return verdict();
}
