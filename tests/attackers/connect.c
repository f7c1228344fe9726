/* Connects to what it was told: `abstract:NAME`, `tcp:ADDRESS:PORT` or `bind:PORT`. */

#include "attempt.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static int to_abstract(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(name);

	memcpy(address.sun_path + 1, name, length);
	return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address,
		offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

static struct sockaddr_in internet(const char *address, const char *port)
{
	struct sockaddr_in result = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	inet_pton(AF_INET, address, &result.sin_addr);
	return result;
}

static int to_tcp(char *text)
{
	char *port = strrchr(text, ':');
	struct sockaddr_in address;

	*port++ = 0;
	address = internet(text, port);
	return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address);
}

static int bind_to(const char *port)
{
	struct sockaddr_in address = internet("127.0.0.1", port);

	return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address);
}

static int reach(char *target)
{
	char *rest = strchr(target, ':') + 1;

	switch (*target) {
	case 'a':
		return to_abstract(rest);
	case 't':
		return to_tcp(rest);
	default:
		return bind_to(rest);
	}
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		ATTEMPT(argv[i], reach(argv[i]));
	return verdict();
}
