#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace kiln {

// The bytes that a fuzzer has made, read as parts.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  bool empty() const { return size_ == 0; }
  std::uint8_t Byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  // Two bytes of length, the smaller one first, and as many others.
  std::string Text() {
    const std::size_t low = Byte(), high = Byte();
    const std::size_t length = std::min(size_, low + 256 * high);
    std::string text(reinterpret_cast<const char*>(data_), length);
    data_ += length;
    size_ -= length;
    return text;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

}  // namespace kiln
