#include "kernel_host/elf_loader.h"

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

// The idea: copy the PT_LOAD segments into fresh anonymous memory, apply the RELATIVE relocations,
// drop the write permission everywhere and only then grant execution. Format: System V ABI, gABI
// chapters 4 and 5; all tables are found through the program headers, section headers are ignored.
// Addresses in the file are offsets into the image, since every such object is linked at 0.

namespace kiln {
namespace {

#if defined(__x86_64__)
constexpr std::uint16_t kMachine = EM_X86_64;
constexpr std::uint32_t kRelative = R_X86_64_RELATIVE;
#elif defined(__aarch64__)
constexpr std::uint16_t kMachine = EM_AARCH64;
constexpr std::uint32_t kRelative = R_AARCH64_RELATIVE;
#else
#error "kiln-host runs on x86-64 and aarch64"
#endif

constexpr std::uint64_t kMaxImage = 64 << 20;
constexpr std::uint16_t kMaxProgramHeaders = 64;

std::uint64_t PageDown(std::uint64_t offset) {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return offset / page * page;
}
std::uint64_t PageUp(std::uint64_t offset) {
  return PageDown(offset + static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) - 1);
}

std::string MachineName(std::uint16_t machine) {
  if (machine == EM_X86_64) return "x86-64";
  if (machine == EM_AARCH64) return "aarch64";
  return "machine " + std::to_string(machine);
}

}  // namespace

// Reads one file; each step returns false with `error` set.
class ElfReader {
 public:
  ElfReader(std::string_view elf, std::string& error) : elf_(elf), error_(error) {}

  std::optional<LoadedObject> Read() {
    if (!ReadHeader() || !ReadProgramHeaders()) return std::nullopt;
    std::optional<LoadedObject> object = CopySegments();
    // An undefined symbol comes with relocations and a table that are refused too: it is the better
    // explanation.
    if (!object || !ReadDynamic(*object) || !CheckSymbols(*object) || !CheckWritableData() ||
        !Relocate(*object) || !Protect(*object)) {
      return std::nullopt;
    }
    return object;
  }

 private:
  bool Fail(std::string message) {
    error_ = std::move(message);
    return false;
  }

  bool ReadHeader() {
    if (elf_.size() < sizeof header_) return Fail("not an ELF file: shorter than its header");
    std::memcpy(&header_, elf_.data(), sizeof header_);
    if (std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0) return Fail("not an ELF file");
    if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB) {
      return Fail("not a 64-bit little-endian ELF file");
    }
    if (header_.e_type != ET_DYN) return Fail("not a shared object");
    if (header_.e_machine != kMachine) {
      return Fail("built for " + MachineName(header_.e_machine) + ", this machine is " +
                  MachineName(kMachine));
    }
    return true;
  }

  bool ReadProgramHeaders() {
    const std::uint64_t bytes = std::uint64_t{header_.e_phnum} * sizeof(Elf64_Phdr);
    if (header_.e_phentsize != sizeof(Elf64_Phdr) || header_.e_phnum == 0 ||
        header_.e_phnum > kMaxProgramHeaders || header_.e_phoff > elf_.size() ||
        bytes > elf_.size() - header_.e_phoff) {
      return Fail("program headers lie outside of the file");
    }
    segments_.resize(header_.e_phnum);
    std::memcpy(segments_.data(), elf_.data() + header_.e_phoff, bytes);
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type == PT_TLS) return Fail("has thread-local data");
      if (segment.p_type == PT_INTERP) return Fail("asks for a dynamic linker");
      if (segment.p_type == PT_LOAD && !CheckLoad(segment)) return false;
    }
    return image_bytes_ > 0 || Fail("has no loadable segment");
  }

  bool CheckLoad(const Elf64_Phdr& segment) {
    if (segment.p_filesz > segment.p_memsz || segment.p_offset > elf_.size() ||
        segment.p_filesz > elf_.size() - segment.p_offset) {
      return Fail("a segment lies outside of the file");
    }
    if (segment.p_vaddr > kMaxImage || segment.p_memsz > kMaxImage - segment.p_vaddr) {
      return Fail("a segment ends beyond " + std::to_string(kMaxImage >> 20) + " MiB");
    }
    if ((segment.p_flags & PF_W) && (segment.p_flags & PF_X)) {
      return Fail("a segment is writable and executable");
    }
    image_bytes_ = std::max(image_bytes_, PageUp(segment.p_vaddr + segment.p_memsz));
    return true;
  }

  // A linker marks what only relocations write (and .dynamic) as PT_GNU_RELRO; anything else that
  // is writable is data of the kernel.
  bool CheckWritableData() {
    for (const Elf64_Phdr& load : segments_) {
      if (load.p_type != PT_LOAD || !(load.p_flags & PF_W) || load.p_memsz == 0) continue;
      const bool relro =
          std::any_of(segments_.begin(), segments_.end(), [&load](const Elf64_Phdr& segment) {
            return segment.p_type == PT_GNU_RELRO && segment.p_vaddr <= load.p_vaddr &&
                   segment.p_vaddr <= kMaxImage && segment.p_memsz <= kMaxImage &&
                   load.p_vaddr + load.p_memsz <= PageUp(segment.p_vaddr + segment.p_memsz);
          });
      if (!relro) return Fail("has writable data");
    }
    return true;
  }

  std::optional<LoadedObject> CopySegments() {
    void* base =
        mmap(nullptr, image_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
      Fail("no memory for the object");
      return std::nullopt;
    }
    LoadedObject object(static_cast<std::uint8_t*>(base), image_bytes_);
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type != PT_LOAD || segment.p_filesz == 0) continue;
      std::memcpy(object.base_ + segment.p_vaddr, elf_.data() + segment.p_offset, segment.p_filesz);
    }
    return object;
  }

  bool ReadDynamic(LoadedObject& object) {
    const auto dynamic =
        std::find_if(segments_.begin(), segments_.end(),
                     [](const Elf64_Phdr& segment) { return segment.p_type == PT_DYNAMIC; });
    if (dynamic == segments_.end()) return Fail("has no dynamic section");
    if (!InImage(dynamic->p_vaddr, dynamic->p_memsz)) {
      return Fail("the dynamic section lies outside of the segments");
    }
    for (std::uint64_t at = 0; dynamic->p_memsz - at >= sizeof(Elf64_Dyn);
         at += sizeof(Elf64_Dyn)) {
      Elf64_Dyn entry;
      std::memcpy(&entry, object.base_ + dynamic->p_vaddr + at, sizeof entry);
      if (entry.d_tag == DT_NULL) break;
      if (!ReadDynamicEntry(entry)) return false;
    }
    return true;
  }

  bool ReadDynamicEntry(const Elf64_Dyn& entry) {
    const std::uint64_t value = entry.d_un.d_val;
    switch (entry.d_tag) {
      case DT_NEEDED:
        return Fail("needs another library");
      case DT_TEXTREL:
        return Fail("relocates its code");
      case DT_INIT:
      case DT_FINI:
        return Fail("has constructors");
      case DT_INIT_ARRAYSZ:
      case DT_FINI_ARRAYSZ:
      case DT_PREINIT_ARRAYSZ:
        return value == 0 || Fail("has constructors");
      case DT_RELSZ:
      case DT_PLTRELSZ:
      case DT_RELRSZ:
        other_relocations_ = other_relocations_ || value != 0;
        break;
      case DT_SYMTAB:
        symbols_ = value;
        break;
      case DT_STRTAB:
        strings_ = value;
        break;
      case DT_STRSZ:
        strings_bytes_ = value;
        break;
      case DT_HASH:
        hash_ = value;
        break;
      case DT_RELA:
        rela_ = value;
        break;
      case DT_RELASZ:
        rela_bytes_ = value;
        break;
      default:
        break;
    }
    return true;
  }

  bool CheckSymbols(LoadedObject& object) {
    if (hash_ == 0 || symbols_ == 0 || strings_ == 0) {
      return Fail("has no symbol table with DT_HASH (link with --hash-style=sysv)");
    }
    std::uint32_t hash[2];  // buckets, chains; there is a chain entry for each symbol
    if (!InImage(hash_, sizeof hash)) return Fail("the hash table lies outside of the segments");
    std::memcpy(hash, object.base_ + hash_, sizeof hash);
    const std::uint64_t count = hash[1];
    if (!InImage(symbols_, count * sizeof(Elf64_Sym)) || !InImage(strings_, strings_bytes_)) {
      return Fail("the symbol table lies outside of the segments");
    }
    object.symbols_ = symbols_;
    object.symbol_count_ = count;
    object.strings_ = strings_;
    object.strings_bytes_ = strings_bytes_;
    for (std::uint64_t i = 1; i < count; ++i) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, object.base_ + symbols_ + i * sizeof symbol, sizeof symbol);
      if (symbol.st_shndx == SHN_UNDEF) {
        return Fail("undefined symbol " + std::string(object.NameAt(symbol.st_name)));
      }
    }
    return true;
  }

  bool Relocate(LoadedObject& object) {
    if (other_relocations_) return Fail("has relocations other than RELA");
    if (rela_bytes_ == 0) return true;
    if (!InImage(rela_, rela_bytes_)) return Fail("the relocations lie outside of the segments");
    for (std::uint64_t at = 0; rela_bytes_ - at >= sizeof(Elf64_Rela); at += sizeof(Elf64_Rela)) {
      Elf64_Rela rela;
      std::memcpy(&rela, object.base_ + rela_ + at, sizeof rela);
      if (ELF64_R_TYPE(rela.r_info) != kRelative) {
        return Fail("relocation type " + std::to_string(ELF64_R_TYPE(rela.r_info)) +
                    ", only RELATIVE is allowed");
      }
      const auto addend = static_cast<std::uint64_t>(rela.r_addend);
      if (!InImage(rela.r_offset, sizeof addend) || addend > image_bytes_) {
        return Fail("a relocation lies outside of the segments");
      }
      const std::uint64_t address = object.begin() + addend;
      std::memcpy(object.base_ + rela.r_offset, &address, sizeof address);
    }
    return true;
  }

  bool Protect(LoadedObject& object) {
    if (mprotect(object.base_, object.bytes_, PROT_READ) != 0) return Fail("mprotect failed");
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X)) continue;
      if (object.code_end_ != 0) return Fail("has more than one executable segment");
      object.code_begin_ = segment.p_vaddr;
      object.code_end_ = segment.p_vaddr + segment.p_memsz;
      std::uint8_t* begin = object.base_ + PageDown(object.code_begin_);
      std::uint8_t* end = object.base_ + PageUp(object.code_end_);
      __builtin___clear_cache(reinterpret_cast<char*>(begin), reinterpret_cast<char*>(end));
      if (mprotect(begin, static_cast<std::size_t>(end - begin), PROT_READ | PROT_EXEC) != 0) {
        return Fail("this system does not allow to execute the object (mprotect)");
      }
    }
    return object.code_end_ != 0 || Fail("has no executable segment");
  }

  bool InImage(std::uint64_t offset, std::uint64_t bytes) const {
    return offset <= image_bytes_ && bytes <= image_bytes_ - offset;
  }

  std::string_view elf_;
  std::string& error_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> segments_;
  std::uint64_t image_bytes_ = 0;
  bool other_relocations_ = false;
  std::uint64_t symbols_ = 0, strings_ = 0, strings_bytes_ = 0, hash_ = 0, rela_ = 0,
                rela_bytes_ = 0;
};

LoadedObject::LoadedObject(LoadedObject&& other) noexcept { *this = std::move(other); }

LoadedObject& LoadedObject::operator=(LoadedObject&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(bytes_, other.bytes_);
  std::swap(symbols_, other.symbols_);
  std::swap(symbol_count_, other.symbol_count_);
  std::swap(strings_, other.strings_);
  std::swap(strings_bytes_, other.strings_bytes_);
  std::swap(code_begin_, other.code_begin_);
  std::swap(code_end_, other.code_end_);
  return *this;
}

LoadedObject::~LoadedObject() {
  if (base_) munmap(base_, bytes_);
}

std::optional<LoadedObject> LoadedObject::Load(std::string_view elf, std::string& error) {
  return ElfReader(elf, error).Read();
}

std::string_view LoadedObject::NameAt(std::uint64_t offset) const {
  if (offset >= strings_bytes_) return {};
  const auto* name = reinterpret_cast<const char*>(base_ + strings_ + offset);
  return {name, strnlen(name, strings_bytes_ - offset)};
}

const void* LoadedObject::Find(std::string_view name, SymbolKind kind, std::size_t size) const {
  // A kernel has three or four symbols: walking all of them is as quick as hashing.
  for (std::uint64_t i = 1; i < symbol_count_; ++i) {
    Elf64_Sym symbol;
    std::memcpy(&symbol, base_ + symbols_ + i * sizeof symbol, sizeof symbol);
    if (name != NameAt(symbol.st_name)) continue;
    const bool function = kind == SymbolKind::kFunction;
    const std::uint64_t begin = function ? code_begin_ : 0, end = function ? code_end_ : bytes_;
    const bool kind_fits = ELF64_ST_TYPE(symbol.st_info) == (function ? STT_FUNC : STT_OBJECT);
    if (!kind_fits || symbol.st_value < begin || symbol.st_value > end ||
        size > end - symbol.st_value || (!function && symbol.st_size < size)) {
      return nullptr;
    }
    return base_ + symbol.st_value;
  }
  return nullptr;
}

}  // namespace kiln
