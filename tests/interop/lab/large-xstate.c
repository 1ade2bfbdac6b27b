/*
 * Lets User-Mode-Linux 6.1 run on a CPU whose extended state is larger than it knows (AMX: 11,008 octets).
 *
 * The guest's kernel sets the FPU registers of its processes by PTRACE_SETREGSET with a buffer of the size that it
 * was built for. A host kernel takes nothing but the whole state and answers EFAULT, on which the guest panics
 * ("ptrace set fp regs failed, errno = 14"). This library, preloaded, puts what the guest gives in front of the rest
 * of the process's present state.
 *
 * Why the call failed is not looked at: a signal handler of the guest's kernel may have overwritten errno since
 * (EAGAIN, seen on a busy machine: the guest then kills the process that was to run).
 *
 * One static buffer will do: the guest's kernel has one CPU, its stacks are too small for the state, and its
 * interrupt handlers set no registers.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef long (*ptrace_fn)(enum __ptrace_request, pid_t, void *, void *);

static char whole[1 << 16] __attribute__((aligned(64)));

long ptrace(enum __ptrace_request request, ...)
{
	static ptrace_fn next;
	va_list arguments;
	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);
	if (!next)
		next = (ptrace_fn)dlsym(RTLD_NEXT, "ptrace");
	long result = next(request, pid, address, data);
	if (result == 0 || request != PTRACE_SETREGSET || address != (void *)NT_X86_XSTATE)
		return result;
	struct iovec *given = data, all = {whole, sizeof whole};
	if (next(PTRACE_GETREGSET, pid, address, &all) || all.iov_len < given->iov_len)
		return -1;
	memcpy(whole, given->iov_base, given->iov_len);
	return next(PTRACE_SETREGSET, pid, address, &all);
}
