/* Times the start and exit of programs, from outside, in rounds.
 *
 * usage: timer WARMUP ROUNDS COMMANDS
 *
 * COMMANDS is a file with one contender a line, its words separated by tabs. Round r runs every
 * contender once, so a slow spell of the machine falls on all of them. For each timed run a line
 *     CONTENDER WALL_NS CPU_US MAXRSS_KIB STATUS
 * is printed, with the contender's index from 0 and the status of wait4(2). CPU and MAXRSS count
 * the contender and all descendants it waited for.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONTENDERS = 64, MAX_WORDS = 256 };

/* Between two runs: the kernel takes namespaces apart after the exit, and that is not to be charged
 * to the next contender. */
static const struct timespec PAUSE = {.tv_nsec = 3 * 1000 * 1000};

extern char **environ;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static long long nanoseconds(struct timespec t)
{
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long microseconds(struct timeval t)
{
    return t.tv_sec * 1000000LL + t.tv_usec;
}

static int read_commands(const char *path, char **commands[])
{
    FILE *file = fopen(path, "re");
    if (!file)
        die(path);
    int count = 0;
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) > 0 && count < MAX_CONTENDERS) {
        line[strcspn(line, "\n")] = 0;
        char **words = calloc(MAX_WORDS, sizeof *words);
        int n = 0;
        for (char *word = strtok(line, "\t"); word && n < MAX_WORDS - 1; word = strtok(NULL, "\t"))
            words[n++] = strdup(word);
        commands[count++] = words;
    }
    free(line);
    fclose(file);
    return count;
}

static void run_once(int contender, char **words, const posix_spawn_file_actions_t *quiet, int report)
{
    struct timespec start, end;
    struct rusage used;
    pid_t pid;
    int status;

    clock_gettime(CLOCK_MONOTONIC, &start);
    if (posix_spawn(&pid, words[0], quiet, NULL, words, environ) != 0)
        die(words[0]);
    if (wait4(pid, &status, 0, &used) < 0)
        die("wait4");
    clock_gettime(CLOCK_MONOTONIC, &end);

    if (report)
        printf("%d %lld %lld %ld %d\n", contender, nanoseconds(end) - nanoseconds(start),
               microseconds(used.ru_utime) + microseconds(used.ru_stime), used.ru_maxrss, status);
    nanosleep(&PAUSE, NULL);
}

int main(int argc, char *argv[])
{
    if (argc != 4) {
        fprintf(stderr, "usage: timer WARMUP ROUNDS COMMANDS\n");
        return 2;
    }
    int warmup = atoi(argv[1]), rounds = atoi(argv[2]);
    char **commands[MAX_CONTENDERS];
    int count = read_commands(argv[3], commands);

    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);

    for (int round = -warmup; round < rounds; round++)
        for (int i = 0; i < count; i++)
            run_once(i, commands[i], &quiet, round >= 0);
    return 0;
}
