#include "apps/kiln/library_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "apps/kiln/command.h"
#include "base/digest.h"
#include "base/read_file.h"
#include "base/standard_streams.h"
#include "base/write_file.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

constexpr const char* kManifest = "manifest.json";
constexpr const char* kObjectList = "objects.txt";

Status Failed(const fs::path& path, const std::error_code& error) {
  return Error(StatusCode::kPermissionDenied, path.string(), ": ", error.message());
}

StatusOr<std::string> ReadText(const fs::path& path) {
  ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes, ReadFile(path.string()));
  return std::string(bytes.begin(), bytes.end());
}

// Whether there is anything but directories: builds make those before the files.
StatusOr<bool> HasFiles(const fs::path& directory) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->is_directory()) return true;
  }
  if (error) return Failed(directory, error);
  return false;
}

// One object to have: compiled before, or to be compiled.
struct ObjectTask {
  const LibraryCode* code = nullptr;
  std::string path;  // in the library's directory
  CompileJob job;
  ObjectRecord record;
  std::string bytes;
};

// Compiles tasks on several threads; the first error ends it.
class ObjectCompiler {
 public:
  ObjectCompiler(Compiler& compiler, std::vector<ObjectTask>& tasks)
      : compiler_(compiler), tasks_(tasks) {}

  Status Run(std::int32_t jobs) {
    std::vector<std::thread> threads;
    for (std::int32_t i = 0; i < jobs; ++i) {
      threads.emplace_back([this] { Work(); });
    }
    for (std::thread& thread : threads) thread.join();
    return first_error_;
  }

 private:
  void Work() {
    for (std::size_t i; (i = next_++) < tasks_.size() && !failed_;) {
      const Status status = CompileOne(tasks_[i]);
      const std::lock_guard lock(mutex_);
      ++done_;
      const std::string name = Describe(tasks_[i].code->kernel.task.workload());
      if (status.ok()) {
        WriteError(fmt::format("[{}/{}] compiled {} for {}: {}\n", done_, tasks_.size(), name,
                               tasks_[i].code->kernel.task.target().name, tasks_[i].path));
      } else if (!failed_.exchange(true)) {
        first_error_ = status;
      }
    }
  }

  Status CompileOne(ObjectTask& task) {
    ASSIGN_OR_RETURN(auto result, compiler_.Compile(task.job));
    if (const auto* failure = std::get_if<CompileFailure>(&result)) {
      return Error(StatusCode::kInternal, task.code->kernel.task.Key(),
                   " does not compile: ", failure->message);
    }
    task.bytes = std::move(std::get<CompiledCode>(result).output);
    task.record.object_digest = Digest(task.bytes);
    return absl::OkStatus();
  }

  Compiler& compiler_;
  std::vector<ObjectTask>& tasks_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;  // guards what follows
  std::size_t done_ = 0;
  Status first_error_;
};

// Whether the object of a record is there as it was written.
bool IsThere(const fs::path& path, const ObjectRecord& record) {
  const auto bytes = ReadFile(path.string());
  return bytes.ok() && Digest(bytes->data(), bytes->size()) == record.object_digest;
}

// The objects of a library: those that lie there as they would be made again, and the others.
struct ObjectPlan {
  ObjectRecords there;
  std::vector<ObjectTask> missing;
};

ObjectPlan PlanObjects(const Library& library, const LibraryStyle& style, const fs::path& root,
                       const ObjectRecords& present) {
  ObjectPlan plan;
  for (const LibraryCode& code : library.codes) {
    ObjectTask task{
        .code = &code, .path = KernelPathOf(code, style), .job = ObjectJobOf(code, style)};
    task.record.job_digest = Digest(Serialize(task.job));
    const auto known = present.find(task.path);
    if (known != present.end() && known->second.job_digest == task.record.job_digest &&
        IsThere(root / task.path, known->second)) {
      plan.there[task.path] = known->second;
    } else {
      plan.missing.push_back(std::move(task));
    }
  }
  return plan;
}

Status PutFiles(const fs::path& root, const Files& files) {
  std::error_code error;
  for (const auto& [path, bytes] : files) {
    fs::create_directories((root / path).parent_path(), error);
    if (error) return Failed(root / path, error);
    RETURN_IF_ERROR(UpdateFile((root / path).string(), bytes).status());
  }
  return absl::OkStatus();
}

// Removes kernels, and what only the other form has, that are not among `files`.
Status RemoveOld(const fs::path& directory, const Files& files, const ObjectRecords& objects) {
  std::error_code error;
  const fs::path kernels = directory / "kernels";
  std::vector<fs::path> old;
  for (fs::recursive_directory_iterator it(kernels, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->is_regular_file()) continue;
    std::string path = it->path().lexically_relative(directory).generic_string();
    if (files.contains(path) || objects.contains(path)) continue;
    if (path.ends_with(".o")) path.back() = 'c';  // what `make` built of a C file that stays
    if (!files.contains(path)) old.push_back(it->path());
  }
  if (!files.contains(kObjectList)) old.push_back(directory / kObjectList);
  for (const fs::path& path : old) {
    fs::remove(path, error);
    if (error) return Failed(path, error);
  }
  return absl::OkStatus();
}

}  // namespace

LibraryDirectory::Lock::~Lock() {
  if (directory_ >= 0) close(directory_);  // which unlocks it
}

StatusOr<LibraryDirectory> LibraryDirectory::Open(const std::string& path,
                                                  const std::string& name) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_directory(path, error)) {
    return Error(StatusCode::kFailedPrecondition, "--out ", path, " is not a directory");
  }
  fs::create_directories(path, error);
  if (error) return Failed(path, error);
  const int file = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return Failed(path, std::error_code(errno, std::generic_category()));
  LibraryDirectory directory(path, Lock(file));
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    WriteError("waiting: another program exports into " + path + "\n");
    while (flock(file, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  const fs::path manifest = fs::path(path) / kManifest;
  if (!fs::exists(manifest, error)) {
    ASSIGN_OR_RETURN(const bool has_files, HasFiles(path));
    if (!has_files) return directory;
    return Error(StatusCode::kFailedPrecondition, "--out ", path,
                 " has files and is no exported library: name a new directory");
  }
  ASSIGN_OR_RETURN(const std::string text, ReadText(manifest));
  StatusOr<PresentManifest> present = ParseManifest(text);
  if (!present.ok()) return InFile(manifest.string(), present.status());
  if (present->style.name != name) {
    return Error(StatusCode::kFailedPrecondition, "--out ", path, " is the library ",
                 present->style.name, ", not ", name, ": name another directory or that --prefix");
  }
  directory.present_ = std::move(present->objects);
  directory.present_compiler_ = std::move(present->style.compiler);
  return directory;
}

StatusOr<WrittenLibrary> LibraryDirectory::Write(const Library& library, LibraryStyle style,
                                                 const std::string& cases, Compiler& compiler,
                                                 std::int32_t jobs) {
  const fs::path root(path_);
  ObjectPlan objects;
  if (style.form == LibraryForm::kObject) {
    ASSIGN_OR_RETURN(style.compiler, compiler.Describe());
    const bool same_compiler = present_compiler_ == style.compiler;
    objects = PlanObjects(library, style, root, same_compiler ? present_ : ObjectRecords{});
    RETURN_IF_ERROR(ObjectCompiler(compiler, objects.missing).Run(jobs));
  }
  Files files = TextFilesOf(library, style);
  files[CasesPathOf(style)] = cases;
  for (ObjectTask& task : objects.missing) files[task.path] = std::move(task.bytes);
  // A manifest comes first, of the objects that are there: whatever happens from here on, this is an
  // export that can be gone on with.
  RETURN_IF_ERROR(PutFiles(root, {{kManifest, PrintManifest(library, style, objects.there)}}));
  RETURN_IF_ERROR(PutFiles(root, files));
  for (const ObjectTask& task : objects.missing) objects.there[task.path] = task.record;
  RETURN_IF_ERROR(RemoveOld(root, files, objects.there));
  RETURN_IF_ERROR(PutFiles(root, {{kManifest, PrintManifest(library, style, objects.there)}}));
  return WrittenLibrary{objects.missing.size()};
}

}  // namespace kiln
