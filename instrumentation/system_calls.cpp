#include "taskscope/instrumentation/system_calls.h"

#include <sys/syscall.h>

namespace taskscope::instrumentation {

std::string system_call_name(long number) {
  switch (number) {
#define TASKSCOPE_NAME(name) \
  case SYS_##name:           \
    return #name
    TASKSCOPE_NAME(read);
    TASKSCOPE_NAME(write);
    TASKSCOPE_NAME(readv);
    TASKSCOPE_NAME(writev);
    TASKSCOPE_NAME(pread64);
    TASKSCOPE_NAME(pwrite64);
    TASKSCOPE_NAME(preadv);
    TASKSCOPE_NAME(pwritev);
    TASKSCOPE_NAME(openat);
    TASKSCOPE_NAME(close);
    TASKSCOPE_NAME(fsync);
    TASKSCOPE_NAME(fdatasync);
    TASKSCOPE_NAME(sync);
    TASKSCOPE_NAME(syncfs);
    TASKSCOPE_NAME(msync);
    TASKSCOPE_NAME(sync_file_range);
    TASKSCOPE_NAME(ftruncate);
    TASKSCOPE_NAME(fallocate);
    TASKSCOPE_NAME(sendfile);
    TASKSCOPE_NAME(splice);
    TASKSCOPE_NAME(tee);
    TASKSCOPE_NAME(copy_file_range);
    TASKSCOPE_NAME(flock);
    TASKSCOPE_NAME(fcntl);
    TASKSCOPE_NAME(ioctl);
    TASKSCOPE_NAME(fstat);
    TASKSCOPE_NAME(newfstatat);
    TASKSCOPE_NAME(getdents64);
    TASKSCOPE_NAME(unlinkat);
    TASKSCOPE_NAME(renameat);
    TASKSCOPE_NAME(mkdirat);
    TASKSCOPE_NAME(mmap);
    TASKSCOPE_NAME(munmap);
    TASKSCOPE_NAME(mprotect);
    TASKSCOPE_NAME(madvise);
    TASKSCOPE_NAME(brk);
    TASKSCOPE_NAME(futex);
    TASKSCOPE_NAME(nanosleep);
    TASKSCOPE_NAME(clock_nanosleep);
    TASKSCOPE_NAME(ppoll);
    TASKSCOPE_NAME(pselect6);
    TASKSCOPE_NAME(epoll_pwait);
    TASKSCOPE_NAME(accept);
    TASKSCOPE_NAME(accept4);
    TASKSCOPE_NAME(connect);
    TASKSCOPE_NAME(sendto);
    TASKSCOPE_NAME(recvfrom);
    TASKSCOPE_NAME(sendmsg);
    TASKSCOPE_NAME(recvmsg);
    TASKSCOPE_NAME(sendmmsg);
    TASKSCOPE_NAME(recvmmsg);
    TASKSCOPE_NAME(wait4);
    TASKSCOPE_NAME(waitid);
    TASKSCOPE_NAME(execve);
    TASKSCOPE_NAME(clone);
    TASKSCOPE_NAME(semop);
    TASKSCOPE_NAME(semtimedop);
    TASKSCOPE_NAME(msgsnd);
    TASKSCOPE_NAME(msgrcv);
    TASKSCOPE_NAME(mq_timedsend);
    TASKSCOPE_NAME(mq_timedreceive);
    TASKSCOPE_NAME(rt_sigsuspend);
    TASKSCOPE_NAME(rt_sigtimedwait);
    TASKSCOPE_NAME(sched_yield);
    TASKSCOPE_NAME(getrandom);
    TASKSCOPE_NAME(io_getevents);
    TASKSCOPE_NAME(restart_syscall);
#ifdef SYS_io_uring_enter
    TASKSCOPE_NAME(io_uring_enter);
#endif
#ifdef SYS_clone3
    TASKSCOPE_NAME(clone3);
#endif
#ifdef SYS_epoll_pwait2
    TASKSCOPE_NAME(epoll_pwait2);
#endif
#ifdef SYS_futex_waitv
    TASKSCOPE_NAME(futex_waitv);
#endif
// What newer machines leave out.
#ifdef SYS_poll
    TASKSCOPE_NAME(open);
    TASKSCOPE_NAME(poll);
    TASKSCOPE_NAME(select);
    TASKSCOPE_NAME(epoll_wait);
    TASKSCOPE_NAME(pause);
    TASKSCOPE_NAME(stat);
    TASKSCOPE_NAME(unlink);
    TASKSCOPE_NAME(rename);
    TASKSCOPE_NAME(fork);
    TASKSCOPE_NAME(vfork);
#endif
#undef TASKSCOPE_NAME
    default:
      return std::to_string(number);
  }
}

}  // namespace taskscope::instrumentation
