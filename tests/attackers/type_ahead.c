/* Types into the terminal it has, to have the caller's shell read it (CVE-2017-5226), also with the
 * upper half of the request number set (CVE-2019-10063). */

#include "attempt.h"
#include <linux/tiocl.h>
#include <sys/ioctl.h>

static int type(unsigned long request)
{
	char key = 'x';

	return syscall(SYS_ioctl, 0, request, &key);
}

static int paste(unsigned long request)
{
	char subcode = TIOCL_PASTESEL;

	return syscall(SYS_ioctl, 0, request, &subcode);
}

static int discipline(unsigned long request)
{
	int number = 0;

	return syscall(SYS_ioctl, 0, request, &number);
}

int main(void)
{
	const unsigned long upper = 0x7f00000000UL;

	ATTEMPT("TIOCSTI", type(TIOCSTI));
	ATTEMPT("TIOCSTI, upper half set", type(upper | TIOCSTI));
	ATTEMPT("TIOCLINUX", paste(TIOCLINUX));
	ATTEMPT("TIOCLINUX, upper half set", paste(upper | TIOCLINUX));
	ATTEMPT("TIOCSETD", discipline(TIOCSETD));
	ATTEMPT("TIOCSETD, upper half set", discipline(upper | TIOCSETD));
	ATTEMPT("take over the terminal", ioctl(0, TIOCSCTTY, 1));
	ATTEMPT("open a second terminal", open("/dev/pts/1", O_RDWR | O_NOCTTY));
	ATTEMPT("open the console", open("/dev/console", O_RDWR | O_NOCTTY));
	ATTEMPT("open a virtual console", open("/dev/tty1", O_RDWR | O_NOCTTY));
	ATTEMPT("open a serial line", open("/dev/ttyS0", O_RDWR | O_NOCTTY));
	if (!isatty(0))
		ATTEMPT("open the controlling terminal", open("/dev/tty", O_RDWR));
	else
		printf("terminal: %s\n", ttyname(0) ? ttyname(0) : strerrorname_np(errno));
	return verdict();
}
