#include "kernel_harness.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <sstream>
#include <string_view>
#include <thread>

#include "emulated_kernel.h"
#include "kernel_host/abi_op.h"
#include "kernel_host/kiln_driver.h"
#include "kernels_templates/isa/instruction_sets.h"

namespace kiln {
namespace {

constexpr std::size_t kPage = 4096, kAlignment = 64;
constexpr std::size_t kSourcesPerObject = 8;

enum class Flush { kBegin, kEnd };

// `size` bytes between two pages that cannot be touched, at the first or the last aligned address;
// filled with noise, shared with children.
class GuardedBuffer {
 public:
  GuardedBuffer(std::size_t size, std::size_t alignment, Flush flush)
      : pages_((size + kPage - 1) / kPage * kPage), size_(size) {
    void* mapped = mmap(nullptr, pages_ + 2 * kPage, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) std::abort();
    base_ = static_cast<std::uint8_t*>(mapped);
    mprotect(base_, kPage, PROT_NONE);
    mprotect(base_ + kPage + pages_, kPage, PROT_NONE);
    const std::size_t slack = (pages_ - size) / alignment * alignment;
    data_ = base_ + kPage + (flush == Flush::kEnd ? slack : 0);
    for (std::size_t i = 0; i < pages_; ++i)
      base_[kPage + i] = static_cast<std::uint8_t>(0xA5 + 31 * i);
  }
  ~GuardedBuffer() { munmap(base_, pages_ + 2 * kPage); }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  std::uint8_t* data() const { return data_; }
  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
  void Write(std::span<const std::uint8_t> from) { std::copy(from.begin(), from.end(), data_); }
  void Protect() { mprotect(base_ + kPage, pages_, PROT_READ); }
  // Whether the rest of the pages still holds the noise: alignment may leave some between data and
  // guard.
  bool SlackIsUntouched() const {
    for (std::size_t i = 0; i < pages_; ++i) {
      const std::uint8_t* at = base_ + kPage + i;
      if ((at < data_ || at >= data_ + size_) && *at != static_cast<std::uint8_t>(0xA5 + 31 * i))
        return false;
    }
    return true;
  }

 private:
  std::size_t pages_, size_;
  std::uint8_t* base_ = nullptr;
  std::uint8_t* data_ = nullptr;
};

struct Buffers {
  Buffers(const kiln_info& info, std::size_t threads, Flush flush)
      : x(info.x_bytes, 1, flush),
        y(info.y_bytes, 1, flush),
        packed(info.packed_bytes, kAlignment, flush),
        shared(info.shared_bytes, kAlignment, flush) {
    for (std::size_t t = 0; t < threads; ++t) {
      thread.push_back(std::make_unique<GuardedBuffer>(info.thread_bytes, kAlignment, flush));
    }
  }
  GuardedBuffer x, y, packed, shared;
  std::vector<std::unique_ptr<GuardedBuffer>> thread;
};

kiln_call CallOf(const LoadedKernel& kernel, const Buffers& buffers) {
  return {kernel.info,      kernel.run,       buffers.packed.data(),
          buffers.x.data(), buffers.y.data(), buffers.shared.data()};
}

// In a child: exits with 0, or 1 + what pack returned.
[[noreturn]] void PackAndRun(const LoadedKernel& kernel, const OpValues& values, Buffers& buffers) {
  buffers.x.Protect();
  const kiln_op op = AbiOp(values);
  if (const int status = kernel.pack(&op, buffers.packed.data()); status != KILN_OK)
    _exit(1 + status);
  buffers.packed.Protect();
  const auto pieces = static_cast<std::uint32_t>(buffers.thread.size());
  const kiln_call call = CallOf(kernel, buffers);
  for (std::uint32_t phase = 0; phase < kernel.info->n_phases; ++phase) {
    for (std::uint32_t i = pieces; i-- > 0;) {
      kiln_run_piece(&call, phase, i, pieces, buffers.thread[i]->data());
    }
  }
  _exit(0);
}

std::string RunOnce(const LoadedKernel& kernel, const OpCase& op_case,
                    std::span<const std::uint8_t> expected, std::size_t pieces, Flush flush) {
  const std::string where =
      flush == Flush::kBegin ? ", buffers begin at a guard page" : ", buffers end at a guard page";
  Buffers buffers(*kernel.info, pieces, flush);
  if (op_case.x.size() != kernel.info->x_bytes || expected.size() != kernel.info->y_bytes)
    return "wrong sizes of x or y";
  buffers.x.Write(op_case.x);
  const pid_t child = fork();
  if (child < 0) return "fork failed";
  if (child == 0) {
    alarm(60);
    PackAndRun(kernel, op_case.values, buffers);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status)) + where;
  if (WEXITSTATUS(status) != 0) return "pack returned " + std::to_string(WEXITSTATUS(status) - 1);
  const auto y = buffers.y.bytes();
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (y[i] != expected[i]) {
      return "y[" + std::to_string(i) + "] is " + std::to_string(y[i]) + ", not " +
             std::to_string(expected[i]) + where;
    }
  }
  bool untouched = buffers.y.SlackIsUntouched() && buffers.packed.SlackIsUntouched() &&
                   buffers.shared.SlackIsUntouched();
  for (const auto& thread : buffers.thread) untouched = untouched && thread->SlackIsUntouched();
  return untouched ? "" : "a buffer was written past its size" + where;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool IsArm(IsaMask isa) { return Has(isa, IsaFeature::kNeon); }

// The instructions that kernels are always compiled for, as the program clang takes them.
std::string InstructionFlags(IsaMask isa) {
  const Target target = TestTarget(isa);
  const ClangInstructions instructions = InstructionsOf(target.arch, isa);
  std::string flags = "--target=" + target.arch + "-linux-gnu -mtune=" + target.cpu +
                      (IsArm(isa) ? " -mcpu=" : " -march=") + instructions.cpu;
  for (const std::string& feature : instructions.features) {
    flags += " -Xclang -target-feature -Xclang " + feature;
  }
  const std::int32_t bits = instructions.vector_bits;
  return bits > 0 ? flags + " -mprefer-vector-width=" + std::to_string(bits) : flags;
}

// For instructions in C: AVX2, whatever frame takes the vectors that 32 registers would hold.
constexpr const char* kFlagsInC =
    "-march=x86-64-v3 -Wframe-larger-than=65536 -include " KILN_SOURCE_DIR
    "/tests/kernels_templates/vnni_in_c.h";

// Runs the compiler. Empty on success, else its messages.
std::string Clang(const std::string& arguments, const std::filesystem::path& output) {
  const std::string log = output.string() + ".log";
  const std::string command =
      "clang-19 -std=c11 -O2 -ffreestanding -nostdlib -fPIC -fvisibility=hidden "
      "-ffp-contract=off -Wall -Wextra -Werror -Wno-psabi -Wno-pointer-sign -Wno-unused-function "
      "-Wframe-larger-than=4096 -I " KILN_SOURCE_DIR "/kernel_host " +
      arguments + " -o " + output.string() + " >" + log + " 2>&1";
  return std::system(command.c_str()) == 0 ? "" : ReadFile(log) + "\n" + command;
}

// AVX-VNNI is the dots of AVX512-VNNI on 256 bits in the older encoding.
bool ReencodesVnni(IsaMask isa, IsaMask machine) {
  return Has(isa & ~machine, IsaFeature::kAvxVnni) && Has(machine, IsaFeature::kAvx512) &&
         Has(machine, IsaFeature::kAvx512Vnni);
}

// AVX-512 and VNNI in the C of vnni_in_c.h, for a machine that lacks them and has AVX2.
bool RunsInC(IsaMask isa, IsaMask machine) {
  constexpr IsaMask kInC =
      Bit(IsaFeature::kAvx512) | Bit(IsaFeature::kAvx512Vnni) | Bit(IsaFeature::kAvxVnni);
  const IsaMask missing = isa & ~machine;
  return missing != 0 && (missing & ~kInC) == 0 && Has(machine, IsaFeature::kAvx2) &&
         !ReencodesVnni(isa, machine);
}

void SayOnceThatItRunsInC(IsaMask isa) {
  static std::set<IsaMask> said;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (!said.insert(isa).second) return;
  std::string names;
  for (const std::string& name : Names(isa & ~DetectIsa()))
    names += (names.empty() ? "" : "+") + name;
  std::fprintf(stderr, "this machine lacks %s: its kernels run in C\n", names.c_str());
}

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// Compiles sources into one shared object. Empty on success, else the compiler's messages.
std::string CompileBatch(std::span<const KernelSource> sources, IsaMask isa,
                         const std::filesystem::path& directory,
                         const std::filesystem::path& object) {
  const bool reencodes = ReencodesVnni(isa, DetectIsa()), in_c = RunsInC(isa, DetectIsa());
  std::string files;
  for (const KernelSource& source : sources) {
    const auto path = directory / (source.symbol + ".c");
    // Two registers hold 512 bits in C, which no constraint but memory says.
    std::ofstream(path) << (in_c ? ReplaceAll(source.c, "\"+v\"", "\"+m\"") : source.c);
    if (!reencodes) {
      files += " " + path.string();
      continue;
    }
    const auto assembly = directory / (source.symbol + ".s");
    std::string error = Clang(InstructionFlags(isa) + " -S " + path.string(), assembly);
    if (!error.empty()) return error;
    const std::string text = ReadFile(assembly);
    std::ofstream(assembly) << ReplaceAll(text, "{vex}", "{evex}");
    files += " " + assembly.string();
  }
  const std::string flags = reencodes ? "-mavx512vl -mavx512vnni -Wno-unused-command-line-argument"
                            : in_c    ? kFlagsInC
                                      : InstructionFlags(isa);
  const char* linker = IsArm(isa) ? " -fuse-ld=lld-19 -Wl,--hash-style=sysv" : "";
  return Clang(flags + " -shared" + linker + files, object);
}

StatusOr<std::filesystem::path> MakeDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "kiln-kernels-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr)
    return Error(StatusCode::kInternal, "cannot make ", pattern);
  return std::filesystem::path(pattern);
}

// Leftovers in the temporary folder do no harm.
void Remove(const std::filesystem::path& directory) {
  if (std::getenv("KILN_KEEP_KERNELS") != nullptr) return;
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
}

StatusOr<LoadedKernel> Load(void* object, const KernelSource& source) {
  const auto find = [&](const char* what) { return dlsym(object, (source.symbol + what).c_str()); };
  LoadedKernel kernel;
  kernel.info = static_cast<const kiln_info*>(find("_info"));
  kernel.pack = reinterpret_cast<kiln_pack_fn*>(find("_pack"));
  kernel.run = reinterpret_cast<kiln_run_fn*>(find("_run"));
  if (!kernel.info || !kernel.pack || !kernel.run) {
    return Error(StatusCode::kInternal, source.symbol, " lacks a symbol of the ABI");
  }
  return kernel;
}

}  // namespace

bool MachineRuns(IsaMask isa) {
  const IsaMask machine = DetectIsa();
  const IsaMask missing = isa & ~machine;
  if (IsArm(missing)) return EmulatorRuns(isa);
  return missing == 0 || (missing == Bit(IsaFeature::kAvxVnni) && ReencodesVnni(isa, machine)) ||
         RunsInC(isa, machine);
}

bool RunsInC(IsaMask isa) { return RunsInC(isa, DetectIsa()); }

bool HasCompiler() { return std::system("clang-19 --version >/dev/null 2>&1") == 0; }

StatusOr<std::vector<LoadedKernel>> CompileAndLoad(std::span<const KernelSource> sources,
                                                   IsaMask isa) {
  if (RunsInC(isa)) SayOnceThatItRunsInC(isa);
  ASSIGN_OR_RETURN(const std::filesystem::path directory, MakeDirectory());
  const std::size_t batches = (sources.size() + kSourcesPerObject - 1) / kSourcesPerObject;
  const auto object = [&](std::size_t b) {
    return directory / ("batch" + std::to_string(b) + ".so");
  };

  std::vector<std::string> errors(batches);
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < std::min(4u, std::max(1u, std::thread::hardware_concurrency())); ++i) {
    workers.emplace_back([&] {
      for (std::size_t b; (b = next++) < batches;) {
        const std::size_t first = b * kSourcesPerObject;
        errors[b] = CompileBatch(
            sources.subspan(first, std::min(kSourcesPerObject, sources.size() - first)), isa,
            directory, object(b));
      }
    });
  }
  for (std::thread& worker : workers) worker.join();

  std::vector<LoadedKernel> kernels;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::size_t b = i / kSourcesPerObject;
    if (!errors[b].empty()) return Error(StatusCode::kInternal, errors[b]);
    if (IsArm(isa & ~DetectIsa())) {
      kernels.push_back({.object = ReadFile(object(b)), .symbol = sources[i].symbol, .isa = isa});
      continue;
    }
    void* handle = dlopen(object(b).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return Error(StatusCode::kInternal, dlerror());
    ASSIGN_OR_RETURN(const LoadedKernel kernel, Load(handle, sources[i]));
    kernels.push_back(kernel);
  }
  Remove(directory);  // the objects stay mapped
  return kernels;
}

StatusOr<void*> CompileAndOpen(const std::string& c, IsaMask isa, Instructions instructions) {
  ASSIGN_OR_RETURN(const std::filesystem::path directory, MakeDirectory());
  const auto path = directory / "source.c", object = directory / "source.so";
  std::ofstream(path) << c;
  const std::string flags = instructions == Instructions::kInC ? kFlagsInC : InstructionFlags(isa);
  const std::string error = Clang(flags + " -shared " + path.string(), object);
  if (!error.empty()) return Error(StatusCode::kInternal, error);
  void* handle = dlopen(object.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return Error(StatusCode::kInternal, dlerror());
  Remove(directory);
  return handle;
}

Status RunOpened(void* handle, const std::string& symbol, const OpCase& op_case) {
  ASSIGN_OR_RETURN(const LoadedKernel kernel, Load(handle, {.c = "", .symbol = symbol}));
  Buffers buffers(*kernel.info, 1, Flush::kBegin);
  buffers.x.Write(op_case.x);
  const kiln_op op = AbiOp(op_case.values);
  if (const int status = kernel.pack(&op, buffers.packed.data()); status != KILN_OK) {
    return Error(StatusCode::kInternal, "pack returned ", status);
  }
  const kiln_call call = CallOf(kernel, buffers);
  kiln_run_call(&call, buffers.thread[0]->data(), 0, nullptr);
  return absl::OkStatus();
}

StatusOr<std::string> CompileToAssembly(const KernelSource& source, IsaMask isa) {
  ASSIGN_OR_RETURN(const std::filesystem::path directory, MakeDirectory());
  const auto path = directory / "kernel.c", assembly = directory / "kernel.s";
  std::ofstream(path) << source.c;
  const std::string error = Clang(InstructionFlags(isa) + " -S " + path.string(), assembly);
  std::string text = ReadFile(assembly);
  Remove(directory);
  if (!error.empty()) return Error(StatusCode::kInternal, error);
  return text;
}

std::string CheckKernel(const LoadedKernel& kernel, const Workload& workload, const OpCase& op_case,
                        std::span<const std::uint8_t> expected) {
  if (!kernel.object.empty()) {
    return CheckEmulated(kernel.object, kernel.symbol, kernel.isa, workload, op_case, expected);
  }
  const std::string low = RunOnce(kernel, op_case, expected, 1, Flush::kBegin);
  return low.empty() ? RunOnce(kernel, op_case, expected, 3, Flush::kEnd) : low;
}

Target TestTarget(IsaMask isa) {
  Target target;
  target.name = "test";
  target.arch = IsArm(isa) ? "aarch64" : "x86_64";
  target.cpu = RichestSet(isa).processor;
  target.isa = isa;
  target.cores = 4;
  return target;
}

}  // namespace kiln
