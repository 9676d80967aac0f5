#pragma once

#include <cstddef>
#include <cstdint>

namespace kiln {

// Where a buffer's content lies in its pages: from their first byte, so that an access before it
// faults, or up to their last byte, so that an access past it faults.
enum class Placement : std::uint8_t { kLow, kHigh };
const char* Name(Placement placement);

// This is memory with inaccessible pages at both ends. Its content can be placed low or high; a
// content that must be aligned is placed high up to the alignment, and the bytes left over (the
// slack) can be checked for writes instead. A buffer of size 0 has no accessible byte at all.
class GuardedBuffer {
 public:
  enum class Sharing : std::uint8_t { kPrivate, kShared };  // across fork()

  GuardedBuffer() = default;  // maps nothing
  GuardedBuffer(GuardedBuffer&& other) noexcept { *this = static_cast<GuardedBuffer&&>(other); }
  GuardedBuffer& operator=(GuardedBuffer&& other) noexcept;
  ~GuardedBuffer();

  // `alignment` is a power of two up to the page size. Maps nothing if the system has no memory.
  static GuardedBuffer Map(std::size_t size, std::size_t alignment, Sharing sharing);

  // Over a file that other processes have as well, from `offset`, which is a multiple of the page
  // size. kPopulated: a page fault for each page would cost more, or must not come later.
  enum class Access : std::uint8_t { kReadOnly, kReadWrite };
  enum class Pages : std::uint8_t { kWhenTouched, kPopulated };
  // `reserved`: MappingBytes(size) of inaccessible memory, which becomes this buffer's; null: any.
  static GuardedBuffer MapFile(int fd, std::size_t offset, std::size_t size, Access access,
                               Pages pages, void* reserved = nullptr);
  // What a content of this size takes of a file, and of the address space.
  static std::size_t FileBytes(std::size_t size);
  static std::size_t MappingBytes(std::size_t size);

  // Two views of the same memory, so that what one function fills another can only read, without a
  // system call in between. False if the system has no memory.
  static bool MapTwice(std::size_t size, std::size_t alignment, GuardedBuffer& writable,
                       GuardedBuffer& read_only);

  bool mapped() const { return mapping_ != nullptr; }
  std::size_t size() const { return size_; }
  std::uint8_t* At(Placement placement) const;

  // Fills content and slack.
  void Fill(std::uint8_t pattern) const;
  // Whether all bytes around the content still hold the pattern.
  bool SlackHolds(Placement placement, std::uint8_t pattern) const;

  bool ProtectReadOnly() const;

  // Everything mapped, the inaccessible pages included.
  std::uintptr_t mapping_begin() const;
  std::uintptr_t mapping_end() const { return mapping_begin() + mapping_bytes_; }

 private:
  static GuardedBuffer MapPages(std::size_t size, std::size_t alignment, int flags, int fd,
                                std::size_t offset, int protection, void* reserved = nullptr);
  std::uint8_t* pages() const;

  std::uint8_t* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
  std::size_t page_bytes_ = 0;  // accessible
  std::size_t size_ = 0, alignment_ = 1;
};

}  // namespace kiln
