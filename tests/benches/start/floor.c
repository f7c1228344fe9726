/* The floor: the least a sandbox like hostctl's can cost, as one straight line of system calls.
 *
 * usage: floor BASE ROOT APP PROGRAM [ARGUMENT]...
 *
 * BASE is "system" (read-only /usr and some of /etc) or "none" (only APP). ROOT is an empty
 * folder that the new root is mounted on, APP a folder bound read-only at /app. Run as root, the
 * program ends up as uid 65534; run by anyone else, everything happens in a user namespace.
 *
 * It checks nothing, explains nothing and has no init: it exists to be measured against.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(call)                                                                                  \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            fprintf(stderr, "floor: %s: %s\n", #call, strerror(errno));                            \
            _exit(125);                                                                            \
        }                                                                                          \
    } while (0)

enum { UNPRIVILEGED = 65534 };

#if defined(__x86_64__)
static const unsigned NATIVE_ARCH = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
static const unsigned NATIVE_ARCH = AUDIT_ARCH_AARCH64;
#endif

/* The lists are hostctl's own: what base "system" shows, and what every sandbox has. */
static const char *const COPIED[] = {"ld.so.cache", "nsswitch.conf",   "services",
                                     "protocols",   "ssl/openssl.cnf", NULL};
static const char *const BOUND[] = {"alternatives", "ssl/certs", NULL};
static const char *const WRITTEN[] = {"passwd", "group", "hosts", "manifest", NULL};
static const char *const USR_LINKS[] = {"bin", "sbin", "lib", "lib64", NULL};
static const char *const DEVICES[] = {"null", "zero", "full", "random", "urandom", "tty", NULL};
static const char *const MASKED[] = {"acpi",  "asound",        "interrupts",    "kallsyms",
                                     "kcore", "key-users",     "keys",          "kmsg",
                                     "sched_debug", "sysrq-trigger", "timer_list", NULL};

static void write_file(const char *path, int flags, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
    MUST(fd);
    MUST(write(fd, text, length));
    close(fd);
}

static void copy_file(const char *source, const char *target)
{
    static char content[1 << 20];
    int fd = open(source, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, content, sizeof content);
    MUST(length);
    close(fd);
    write_file(target, O_CREAT, content, length);
}

static void enter_user_namespace(void)
{
    char map[64];
    uid_t uid = getuid();
    gid_t gid = getgid();
    MUST(unshare(CLONE_NEWUSER));
    write_file("/proc/self/setgroups", 0, "deny", 4);
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    write_file("/proc/self/uid_map", 0, map, strlen(map));
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    write_file("/proc/self/gid_map", 0, map, strlen(map));
}

static void bind_mount(const char *source, const char *target, unsigned long flags)
{
    MUST(mount(source, target, NULL, MS_BIND | MS_REC, NULL));
    MUST(mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | flags, NULL));
}

static void system_base(void)
{
    char source[64];
    MUST(mkdir("usr", 0755));
    bind_mount("/usr", "usr", MS_RDONLY | MS_NODEV);
    for (int i = 0; USR_LINKS[i]; i++) {
        snprintf(source, sizeof source, "usr/%s", USR_LINKS[i]);
        MUST(symlink(source, USR_LINKS[i]));
    }
    MUST(mkdir("etc/ssl", 0755));
    for (int i = 0; COPIED[i]; i++) {
        snprintf(source, sizeof source, "/etc/%s", COPIED[i]);
        copy_file(source, source + 1);
    }
    MUST(symlink("../usr/lib/os-release", "etc/os-release"));
    MUST(symlink("/usr/share/zoneinfo/UTC", "etc/localtime"));
    for (int i = 0; BOUND[i]; i++) {
        snprintf(source, sizeof source, "/etc/%s", BOUND[i]);
        if (access(source, F_OK) < 0)
            continue;
        MUST(mkdir(source + 1, 0755));
        bind_mount(source, source + 1, MS_RDONLY | MS_NODEV | MS_NOEXEC);
    }
}

static void scratch(const char *path)
{
    MUST(mkdir(path, 0755));
    MUST(mount("scratch", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m"));
}

static void devices(void)
{
    char source[64];
    MUST(mkdir("dev", 0755));
    for (int i = 0; DEVICES[i]; i++) {
        snprintf(source, sizeof source, "/dev/%s", DEVICES[i]);
        write_file(source + 1, O_CREAT, "", 0);
        bind_mount(source, source + 1, MS_NOEXEC);
    }
    MUST(symlink("/proc/self/fd", "dev/fd"));
    MUST(symlink("/proc/self/fd/0", "dev/stdin"));
    MUST(symlink("/proc/self/fd/1", "dev/stdout"));
    MUST(symlink("/proc/self/fd/2", "dev/stderr"));
    MUST(symlink("pts/ptmx", "dev/ptmx"));
    MUST(mkdir("dev/pts", 0755));
    MUST(mount("pts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666"));
    scratch("dev/shm");
}

static void processes(void)
{
    char path[64];
    struct stat found;
    MUST(mkdir("proc", 0555));
    MUST(mount("proc", "proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
    for (int i = 0; MASKED[i]; i++) {
        snprintf(path, sizeof path, "proc/%s", MASKED[i]);
        if (stat(path, &found) < 0)
            continue;
        if (S_ISDIR(found.st_mode))
            MUST(mount("mask", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
        else
            MUST(mount("dev/null", path, NULL, MS_BIND, NULL));
    }
}

static void build_root(const char *root, const char *app, int with_system)
{
    char path[64];
    MUST(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
    MUST(mount("root", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m"));
    MUST(chdir(root));
    MUST(mkdir("etc", 0755));
    if (with_system)
        system_base();
    for (int i = 0; WRITTEN[i]; i++) {
        snprintf(path, sizeof path, "etc/%s", WRITTEN[i]);
        write_file(path, O_CREAT, "placeholder\n", 12);
    }
    devices();
    scratch("tmp");
    processes();
    MUST(mkdir("app", 0755));
    bind_mount(app, "app", MS_RDONLY | MS_NODEV);

    MUST(syscall(SYS_pivot_root, ".", "."));
    MUST(umount2(".", MNT_DETACH));
    MUST(chdir("/app"));
    MUST(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL));
}

static void loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MUST(fd);
    MUST(ioctl(fd, SIOCSIFFLAGS, &request));
    close(fd);
}

static void refuse_mounts(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ, NATIVE_ARCH, 1, 0),
        BPF_STMT(BPF_RET, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ, SYS_mount, 0, 1),
        BPF_STMT(BPF_RET, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter));
}

static void drop_privileges(int privileged)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
        ;
    if (privileged) {
        MUST(setgroups(0, NULL));
        MUST(setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED));
        MUST(setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED));
    }
    MUST(syscall(SYS_capset, &header, none));
}

int main(int argc, char *argv[])
{
    if (argc < 5) {
        fprintf(stderr, "usage: floor BASE ROOT APP PROGRAM [ARGUMENT]...\n");
        return 2;
    }
    int privileged = geteuid() == 0;
    if (!privileged)
        enter_user_namespace();

    struct clone_args namespaces = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
                 CLONE_NEWNET,
        .exit_signal = SIGCHLD,
    };
    pid_t pid = syscall(SYS_clone3, &namespaces, sizeof namespaces);
    MUST(pid);
    if (pid == 0) {
        build_root(argv[2], argv[3], strcmp(argv[1], "system") == 0);
        MUST(sethostname("bench", 5));
        loopback_up();
        MUST(setsid());
        MUST(close_range(3, ~0U, 0));
        drop_privileges(privileged);
        refuse_mounts();
        execv(argv[4], argv + 4);
        perror(argv[4]);
        _exit(127);
    }
    int status;
    MUST(waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
