/* `give PATH PROTOCOL` hands a socket of its own over to whoever connects to the Unix socket PATH;
 * `take PATH WORDS` makes such calls of dial.h with the one it is given, anew for each. */

#include "dial.h"
#include <sys/un.h>

static struct sockaddr_un named(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	strncpy(name.sun_path, path, sizeof name.sun_path - 1);
	return name;
}

static void hand_over(int line, int fd)
{
	char room[CMSG_SPACE(sizeof fd)] = { 0 }, byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room,
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	sendmsg(line, &message, 0);
}

static int give(const char *path, int type)
{
	struct sockaddr_un name = named(path);
	int door = socket(AF_UNIX, SOCK_STREAM, 0);

	if (bind(door, (struct sockaddr *)&name, sizeof name) || chmod(path, 0777) || listen(door, 8))
		return 1;
	printf("giving\n");
	fflush(stdout);
	for (;;)
		hand_over(accept(door, NULL, NULL), socket(AF_INET, type, 0));
}

static int take(const char *path)
{
	struct sockaddr_un name = named(path);
	char room[CMSG_SPACE(sizeof(int))], byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room,
	};
	int fd, line = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(line, (struct sockaddr *)&name, sizeof name) || recvmsg(line, &message, 0) != 1 ||
	    !CMSG_FIRSTHDR(&message))
		_exit(255);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	return fd;
}

static long use(int fd, struct call *call)
{
	alarm(5);
	if (!strcmp(call->verb, "bind"))
		return bind(fd, &call->first.any, size_of(&call->first));
	if (call->type == SOCK_STREAM)
		return dial(fd, &call->first);
	return send_to(fd, 0, &call->first);
}

int main(int argc, char **argv)
{
	if (!strcmp(argv[1], "give"))
		return give(argv[2], argv[3][0] == 'u' ? SOCK_DGRAM : SOCK_STREAM);
	for (int i = 3; i < argc; i++) {
		struct call call = call_of(argv[i]);

		ATTEMPT(argv[i], use(take(argv[2]), &call));
	}
	return verdict();
}
