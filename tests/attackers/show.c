/* Prints the file it was told. */

#include "attempt.h"

int main(int argc, char **argv)
{
	char text[4096];
	int fd = open(argv[argc - 1], O_RDONLY);
	ssize_t count = fd == -1 ? -1 : read(fd, text, sizeof text);

	if (count < 0)
		return 1;
	return fwrite(text, 1, count, stdout) != (size_t)count;
}
