/* Leaves in the working directory, which is granted for writing, what another user of the host
 * would trip over: set-ID files, devices, file capabilities. */

#include "attempt.h"
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static int own_file(void)
{
	return open("own", O_RDWR | O_CREAT, 0755);
}

static long openat2_set_id(void)
{
	struct open_how how = { .flags = O_CREAT | O_WRONLY, .mode = 06777 };

	return syscall(SYS_openat2, AT_FDCWD, "by-openat2", &how, sizeof how);
}

static int set_capability(void)
{
	struct vfs_cap_data data = { .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE };

	data.data[0].permitted = 1u << CAP_SYS_CHROOT;
	return setxattr("own", "security.capability", &data, sizeof data, 0);
}

/* chmod does not fail here: group write is harmless. It shows that the directory is writable. */
static void writable(void)
{
	int fd = own_file();

	hold("the directory is writable", fd != -1 && write(fd, "#!", 2) == 2 && !fchmod(fd, 0775));
}

int main(void)
{
	writable();
	ATTEMPT("chmod 4755", chmod("own", 04755));
	ATTEMPT("chmod 2755", chmod("own", 02755));
	ATTEMPT("chmod 6755, upper half set", syscall(SYS_chmod, "own", 0x100000000L | 06755));
	ATTEMPT("fchmod 4755", fchmod(own_file(), 04755));
	ATTEMPT("fchmodat 4755", syscall(SYS_fchmodat, AT_FDCWD, "own", 04755));
	ATTEMPT("fchmodat2 4755", syscall(452, AT_FDCWD, "own", 04755, 0));
	ATTEMPT("open 06777", syscall(SYS_open, "by-open", O_CREAT | O_WRONLY, 06777));
	ATTEMPT("openat 06777", openat(AT_FDCWD, "by-openat", O_CREAT | O_WRONLY, 06777));
	ATTEMPT("openat2 06777", openat2_set_id());
	ATTEMPT("creat 06777", syscall(SYS_creat, "by-creat", 06777));
	ATTEMPT("O_TMPFILE 06777", open(".", O_TMPFILE | O_WRONLY, 06777));
	ATTEMPT("mknod a set-ID file", mknod("by-mknod", S_IFREG | 06777, 0));
	ATTEMPT("mknod a character device", mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	ATTEMPT("mknod a block device", mknod("disk", S_IFBLK | 0666, makedev(254, 0)));
	ATTEMPT("mknodat a device", mknodat(AT_FDCWD, "mem", S_IFCHR | 0666, makedev(1, 1)));
	ATTEMPT("file capability", set_capability());
	ATTEMPT("trusted attribute", setxattr("own", "trusted.x", "1", 1, 0));
	ATTEMPT("give away", chown("own", 0, 0));
	return verdict();
}
