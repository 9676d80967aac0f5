#include "kernel_host/guarded_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace kiln {
namespace {

// Wide, because a kernel that is off by a row misses a single page; it costs address space only.
constexpr std::size_t kGuardBytes = 1 << 20;

std::size_t RoundUp(std::size_t size, std::size_t multiple) {
  return (size + multiple - 1) / multiple * multiple;
}

}  // namespace

const char* Name(Placement placement) {
  return placement == Placement::kLow ? "low-aligned" : "high-aligned";
}

GuardedBuffer& GuardedBuffer::operator=(GuardedBuffer&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_bytes_, other.mapping_bytes_);
  std::swap(page_bytes_, other.page_bytes_);
  std::swap(size_, other.size_);
  std::swap(alignment_, other.alignment_);
  return *this;
}

GuardedBuffer::~GuardedBuffer() {
  if (mapping_) munmap(mapping_, mapping_bytes_);
}

GuardedBuffer GuardedBuffer::MapPages(std::size_t size, std::size_t alignment, int flags, int fd,
                                      std::size_t offset, int protection, void* reserved) {
  GuardedBuffer buffer;
  const std::size_t page_bytes = FileBytes(size);
  const std::size_t mapping_bytes = MappingBytes(size);
  void* mapping = reserved
                      ? reserved
                      : mmap(nullptr, mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return buffer;
  buffer.mapping_ = static_cast<std::uint8_t*>(mapping);
  buffer.mapping_bytes_ = mapping_bytes;
  buffer.page_bytes_ = page_bytes;
  buffer.size_ = size;
  buffer.alignment_ = alignment;
  if (page_bytes > 0 && mmap(buffer.pages(), page_bytes, protection, flags | MAP_FIXED, fd,
                             static_cast<off_t>(offset)) == MAP_FAILED) {
    return GuardedBuffer();
  }
  return buffer;
}

GuardedBuffer GuardedBuffer::Map(std::size_t size, std::size_t alignment, Sharing sharing) {
  const int flags = sharing == Sharing::kShared ? MAP_SHARED : MAP_PRIVATE;
  return MapPages(size, alignment, flags | MAP_ANONYMOUS, -1, 0, PROT_READ | PROT_WRITE);
}

std::size_t GuardedBuffer::FileBytes(std::size_t size) {
  return RoundUp(size, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
}

std::size_t GuardedBuffer::MappingBytes(std::size_t size) {
  return FileBytes(size) + 2 * kGuardBytes;
}

GuardedBuffer GuardedBuffer::MapFile(int fd, std::size_t offset, std::size_t size, Access access,
                                     Pages pages, void* reserved) {
  const int protection = access == Access::kReadOnly ? PROT_READ : PROT_READ | PROT_WRITE;
  const int flags = MAP_SHARED | (pages == Pages::kPopulated ? MAP_POPULATE : 0);
  return MapPages(size, 1, flags, fd, offset, protection, reserved);
}

bool GuardedBuffer::MapTwice(std::size_t size, std::size_t alignment, GuardedBuffer& writable,
                             GuardedBuffer& read_only) {
  const int fd = memfd_create("kiln-packed", MFD_CLOEXEC);
  if (fd < 0) return false;
  if (ftruncate(fd, static_cast<off_t>(FileBytes(size))) == 0) {
    // Populated: both views are used from end to end, and a page fault each would cost more.
    const int flags = MAP_SHARED | MAP_POPULATE;
    writable = MapPages(size, alignment, flags, fd, 0, PROT_READ | PROT_WRITE);
    read_only = MapPages(size, alignment, flags, fd, 0, PROT_READ);
  }
  close(fd);
  return writable.mapped() && read_only.mapped();
}

std::uint8_t* GuardedBuffer::pages() const { return mapping_ + kGuardBytes; }

std::uintptr_t GuardedBuffer::mapping_begin() const {
  return reinterpret_cast<std::uintptr_t>(mapping_);
}

std::uint8_t* GuardedBuffer::At(Placement placement) const {
  if (placement == Placement::kLow) return pages();
  return pages() + page_bytes_ - RoundUp(size_, alignment_);
}

void GuardedBuffer::Fill(std::uint8_t pattern) const {
  if (page_bytes_ > 0) std::memset(pages(), pattern, page_bytes_);
}

bool GuardedBuffer::SlackHolds(Placement placement, std::uint8_t pattern) const {
  const std::uint8_t* content = At(placement);
  const auto holds = [pattern](std::uint8_t byte) { return byte == pattern; };
  return std::all_of(static_cast<const std::uint8_t*>(pages()), content, holds) &&
         std::all_of(content + size_, static_cast<const std::uint8_t*>(pages()) + page_bytes_,
                     holds);
}

bool GuardedBuffer::ProtectReadOnly() const {
  return page_bytes_ == 0 || mprotect(pages(), page_bytes_, PROT_READ) == 0;
}

}  // namespace kiln
