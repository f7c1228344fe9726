/* Writes numbered lines of 200 bytes to standard output, one write(2) a line, and then to a file: when
 * it began and ended (CLOCK_MONOTONIC, ns), the longest write and the sum of those over 1 ms (ns). */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LENGTH = 200 };

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[1]) : 0;
	long long began, before, worst = 0, stalled = 0;
	char line[LENGTH + 1];
	FILE *result;

	memset(line, 'x', LENGTH);
	line[LENGTH - 1] = '\n';
	began = before = now();
	for (long number = 1; number <= count; number++) {
		long long after;

		line[snprintf(line, LENGTH, "line %010ld of the benchmark", number)] = ' ';
		for (int done = 0; done < LENGTH;) {
			ssize_t written = write(1, line + done, LENGTH - done);

			if (written < 0)
				return 1;
			done += written;
		}
		after = now();
		if (after - before > worst)
			worst = after - before;
		if (after - before > 1000000)
			stalled += after - before;
		before = after;
	}
	result = fopen(argv[2], "w");
	if (!result)
		return 2;
	fprintf(result, "%lld %lld %lld %lld\n", began, before, worst, stalled);
	fclose(result);
	/* Whoever keeps it running measures one run. */
	close(1);
	pause();
	return 0;
}
