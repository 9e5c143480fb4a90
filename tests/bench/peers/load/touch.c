// touch GIB: writes to so much memory, in huge pages where there are any, and ends.
//
// A virtual machine's kernel gives large free blocks back to the host. Whoever touches them next waits
// for the host, 2-9 ms for a huge page on one machine, whatever program it is: a cold workload then
// measures who ran before. After this, memory is there for everybody alike.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char** argv) {
  const size_t bytes = (argc == 2 ? strtoul(argv[1], NULL, 10) : 0) << 30;
  if (bytes == 0) {
    fprintf(stderr, "usage: touch GIB\n");
    return 2;
  }
  char* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("touch: mmap");
    return 1;
  }
  madvise(memory, bytes, MADV_HUGEPAGE);
  for (size_t i = 0; i < bytes; i += 4096) memory[i] = 1;
  return 0;
}
