// full_disk_probe DIRECTORY: mounts a file system of 400 KiB on DIRECTORY, in a mount namespace of
// its own, appends trials to a database there until that fails, and prints
//   CODE ACKNOWLEDGED STORED INTEGRITY MESSAGE
// where STORED and INTEGRITY are what a new connection finds once there is room again. Exit status
// 77: namespaces are not allowed here.

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "tests/db/trials.h"

namespace {

bool MountSmall(const char* directory) {
  if (unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) != 0) return false;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return mount("none", directory, "tmpfs", 0, "size=400k") == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  if (!MountSmall(argv[1])) return 77;
  const std::string directory = argv[1], path = directory + "/tuning.db";
  const kiln::Task task = kiln::FakeTask(kiln::ManyConfigs());
  std::ofstream(directory + "/ballast") << std::string(100 << 10, 'x');

  std::size_t acknowledged = 0;
  kiln::Status status;
  {
    auto store = kiln::OpenSqliteStore(path, kiln::OpenMode::kReadWrite);
    if (!store.ok()) return 1;
    for (std::uint64_t i = 0; status.ok() && i + 4 < task.space().size(); i += 4) {
      std::vector<kiln::Trial> batch;
      for (std::uint64_t j = i; j < i + 4; ++j) {
        batch.push_back(kiln::OkTrial(task, j, 100, std::to_string(j)));
      }
      status = (*store)->Append(task, kiln::CacheState::kHot, batch);
      if (status.ok()) acknowledged += batch.size();
    }
  }
  unlink((directory + "/ballast").c_str());
  std::size_t stored = 0;
  {
    auto store = kiln::OpenSqliteStore(path, kiln::OpenMode::kReadWrite);
    if (!store.ok()) return 1;
    stored = (*store)->Records({})->size();
  }
  SQLite::Database database(path);
  std::printf("%d %zu %zu %s %s\n", static_cast<int>(status.code()), acknowledged, stored,
              database.execAndGet("PRAGMA integrity_check").getString().c_str(),
              kiln::Message(status).c_str());
}
