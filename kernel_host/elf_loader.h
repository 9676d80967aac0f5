#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kiln {

// This is a kernel object in memory, ready to be called: an ELF64 shared object for this machine,
// loaded without a dynamic linker. Nothing of it is ever writable once it is executable. The memory
// is released with the object.
class LoadedObject {
 public:
  LoadedObject(LoadedObject&& other) noexcept;
  LoadedObject& operator=(LoadedObject&& other) noexcept;
  ~LoadedObject();

  // Checks everything that it reads against the bounds of `elf`, which may be damaged or hostile.
  // Refuses what a kernel has no business to have: another machine, needed libraries, undefined
  // symbols, thread-local or writable data, constructors, relocations other than RELATIVE, segments
  // that are writable and executable. Then returns nothing, and `error` says what is wrong.
  static std::optional<LoadedObject> Load(std::string_view elf, std::string& error);

  enum class SymbolKind : std::uint8_t { kData, kFunction };
  // The address of a defined symbol whose `size` bytes (functions: its first byte) lie inside a
  // segment fit for its kind; nullptr if there is none.
  const void* Find(std::string_view name, SymbolKind kind, std::size_t size) const;

  std::uintptr_t begin() const { return reinterpret_cast<std::uintptr_t>(base_); }
  std::uintptr_t end() const { return begin() + bytes_; }

 private:
  friend class ElfReader;
  // From the string table; empty if outside of it.
  std::string_view NameAt(std::uint64_t offset) const;

  LoadedObject(std::uint8_t* base, std::size_t bytes) : base_(base), bytes_(bytes) {}

  std::uint8_t* base_ = nullptr;
  std::size_t bytes_ = 0;
  // Tables inside of the image, as offsets, and where its code lies; checked while loading.
  std::uint64_t symbols_ = 0, symbol_count_ = 0, strings_ = 0, strings_bytes_ = 0;
  std::uint64_t code_begin_ = 0, code_end_ = 0;
};

}  // namespace kiln
