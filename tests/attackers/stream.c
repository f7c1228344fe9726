/* Uses its standard input, if that is a socket, for the calls it was told: words of dial.h. */

#include "dial.h"

static long use(struct call *call)
{
	struct sockaddr nothing = { .sa_family = AF_UNSPEC };

	alarm(5);
	if (!strcmp(call->verb, "send"))
		return send_to(0, 0, &call->first);
	if (!strcmp(call->verb, "bind"))
		return bind(0, &call->first.any, size_of(&call->first));
	connect(0, &nothing, sizeof nothing);
	return dial(0, &call->first);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct call call = call_of(argv[i]);

		ATTEMPT(argv[i], use(&call));
	}
	return verdict();
}
