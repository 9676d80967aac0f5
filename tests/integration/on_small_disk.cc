// on_small_disk DIRECTORY SIZE PROGRAM ARGUMENT...: PROGRAM with a file system of that size ("1m")
// mounted on DIRECTORY, which nobody else sees. Exit status 77: namespaces are not allowed here.

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <string>

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  if (unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) != 0) return 77;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
  if (mount("none", argv[1], "tmpfs", 0, ("size=" + std::string(argv[2])).c_str()) != 0) return 77;
  execvp(argv[3], argv + 3);
  return 1;
}
