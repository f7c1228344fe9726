/* Makes the calls that reach far into the kernel and that no program in a sandbox needs. */

#include "attempt.h"
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/io.h>
#include <sys/personality.h>

static long open_perf(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof attr };

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static long create_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
		.max_entries = 1 };

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
}

#ifdef __x86_64__
/* getpid(2) by the number and the gate of i386. */
static long call_32_bit(void)
{
	long result = 20;

	__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
	return result;
}

static long call_x32(void)
{
	return syscall(0x40000000 | SYS_getpid);
}
#endif

int main(void)
{
	char parameters[128] = { 0 };

	ATTEMPT("add_key", syscall(SYS_add_key, "user", "k", "v", 1, -3));
	ATTEMPT("keyctl", syscall(SYS_keyctl, 0, -3, 1));
	ATTEMPT("request_key", syscall(SYS_request_key, "user", "k", NULL, -3));
	ATTEMPT("bpf", create_map());
	ATTEMPT("perf_event_open", open_perf());
	ATTEMPT("userfaultfd", syscall(SYS_userfaultfd, 1));
	ATTEMPT("io_uring_setup", syscall(SYS_io_uring_setup, 1, parameters));
	ATTEMPT("io_uring_enter", syscall(SYS_io_uring_enter, 0, 0, 0, 0, 0));
	ATTEMPT("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
	ATTEMPT("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	ATTEMPT("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0, "", 0));
	ATTEMPT("init_module", syscall(SYS_init_module, "", 0, ""));
	ATTEMPT("finit_module", syscall(SYS_finit_module, -1, "", 0));
	ATTEMPT("delete_module", syscall(SYS_delete_module, "x", 0));
	ATTEMPT("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
	ATTEMPT("swapon", syscall(SYS_swapon, "/dev/null", 0));
	ATTEMPT("acct", syscall(SYS_acct, NULL));
	ATTEMPT("sethostname", sethostname("x", 1));
	ATTEMPT("clock_settime", syscall(SYS_clock_settime, 0, parameters));
	ATTEMPT("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
	ATTEMPT("personality without randomization", personality(ADDR_NO_RANDOMIZE));
	ATTEMPT("personality of another system", personality(PER_LINUX32));
	ATTEMPT("a call that does not exist", syscall(100000));
#ifdef __x86_64__
	ATTEMPT("iopl", syscall(SYS_iopl, 3));
	ATTEMPT("modify_ldt", syscall(SYS_modify_ldt, 0, parameters, 16));
	ATTEMPT("a 32-bit call", call_32_bit());
	ATTEMPT("an x32 call", call_x32());
#endif
	return verdict();
}
