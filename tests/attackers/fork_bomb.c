/* Forks in every process it has, and says how many there were at most. Ends by itself after 500, in
 * case nothing else stops it. */

#include "attempt.h"
#include <sys/mman.h>

#define ENOUGH 500

struct count {
	int alive;
	int refused;
	int refusal;
};

static void fork_on(struct count *count)
{
	while (__atomic_load_n(&count->alive, __ATOMIC_SEQ_CST) < ENOUGH) {
		pid_t child = fork();

		if (child > 0) {
			__atomic_add_fetch(&count->alive, 1, __ATOMIC_SEQ_CST);
		} else if (child == -1) {
			count->refusal = errno;
			__atomic_add_fetch(&count->refused, 1, __ATOMIC_SEQ_CST);
			usleep(1000);
			if (__atomic_load_n(&count->refused, __ATOMIC_SEQ_CST) > 1000)
				return;
		}
	}
}

int main(void)
{
	struct count *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t first = getpid();

	/* What follows ends every process it can: never outside a pid namespace of its own. */
	if (getppid() != 1)
		return 1;
	count->alive = 1;
	fork_on(count);
	if (getpid() != first)
		for (;;)
			pause();
	kill(-1, SIGKILL);
	printf("processes: %d\n", count->alive);
	printf("refused with: %s\n", count->refusal ? strerrorname_np(count->refusal) : "nothing");
	return count->alive >= ENOUGH;
}
