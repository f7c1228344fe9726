/* Changes `granted/file`, which everybody may write but for the grant, in every way there is. The
 * directory `open` is a writable grant. */

#include "attempt.h"
#include <linux/fs.h>
#include <linux/mount.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <sys/time.h>

#define FILE_NAME "granted/file"

/* Open anew, for writing, what a descriptor refers to. */
static int reopen(int fd)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, O_RDWR);
}

static long map_shared(int protection)
{
	int fd = open(FILE_NAME, O_RDONLY);
	char *map = mmap(NULL, 4096, protection, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -1;
	return mprotect(map, 4096, PROT_READ | PROT_WRITE);
}

static int set_flags(void)
{
	int flags = FS_NODUMP_FL;

	return ioctl(open("granted", O_RDONLY), FS_IOC_SETFLAGS, &flags);
}

static long set_writable(void)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };

	return syscall(SYS_mount_setattr, AT_FDCWD, "granted", 0, &attr, sizeof attr);
}

static void attempts_by_content(void)
{
	ATTEMPT("open for writing", open(FILE_NAME, O_WRONLY));
	ATTEMPT("open for appending", open(FILE_NAME, O_WRONLY | O_APPEND));
	ATTEMPT("open with truncation", open(FILE_NAME, O_RDONLY | O_TRUNC));
	ATTEMPT("truncate", truncate(FILE_NAME, 0));
	ATTEMPT("reopen a read descriptor", reopen(open(FILE_NAME, O_RDONLY)));
	ATTEMPT("reopen a held path", reopen(open(FILE_NAME, O_PATH)));
	ATTEMPT("open through /proc/self/root", chdir("/proc/self/root") ? -1 :
		openat(open("/proc/self/cwd", O_PATH), getenv("GRANTED") + 1, O_WRONLY));
	ATTEMPT("map shared for writing", map_shared(PROT_READ | PROT_WRITE));
	ATTEMPT("map shared, then protect", map_shared(PROT_READ));
	ATTEMPT("create beside", open("granted/new", O_WRONLY | O_CREAT, 0644));
	ATTEMPT("create without a name", open("granted", O_WRONLY | O_TMPFILE, 0644));
}

static void attempts_by_name(void)
{
	ATTEMPT("unlink", unlink(FILE_NAME));
	ATTEMPT("rename", rename(FILE_NAME, "granted/other"));
	ATTEMPT("rename out", rename(FILE_NAME, "open/stolen"));
	ATTEMPT("rename over", rename("open/own", FILE_NAME));
	ATTEMPT("exchange", renameat2(AT_FDCWD, "open/own", AT_FDCWD, FILE_NAME, RENAME_EXCHANGE));
	ATTEMPT("link out", link(FILE_NAME, "open/stolen"));
	ATTEMPT("link beside", link(FILE_NAME, "granted/other"));
	ATTEMPT("symbolic link beside", symlink("/etc", "granted/link"));
	ATTEMPT("make a directory", mkdir("granted/dir", 0755));
	ATTEMPT("make a pipe", mknod("granted/pipe", S_IFIFO | 0644, 0));
}

static void attempts_by_attribute(void)
{
	ATTEMPT("chmod", chmod(FILE_NAME, 0600));
	ATTEMPT("chown", chown(FILE_NAME, getuid(), getgid()));
	ATTEMPT("set times", utimes(FILE_NAME, NULL));
	ATTEMPT("set an attribute", setxattr(FILE_NAME, "user.x", "1", 1, 0));
	ATTEMPT("set inode flags", set_flags());
}

static void attempts_by_mount(void)
{
	ATTEMPT("remount", mount(NULL, "granted", NULL, MS_REMOUNT | MS_BIND, NULL));
	ATTEMPT("bind over", mount("open", "granted", NULL, MS_BIND, NULL));
	ATTEMPT("unmount", umount2("granted", MNT_DETACH));
	ATTEMPT("mount_setattr", set_writable());
	ATTEMPT("open_tree", syscall(SYS_open_tree, AT_FDCWD, "granted", OPEN_TREE_CLONE));
	ATTEMPT("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	ATTEMPT("pivot_root", syscall(SYS_pivot_root, ".", "."));
	ATTEMPT("chroot", chroot("/"));
	ATTEMPT("open by handle", syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDWR));
}

int main(void)
{
	attempts_by_content();
	attempts_by_name();
	attempts_by_attribute();
	attempts_by_mount();
	return verdict();
}
