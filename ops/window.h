#pragma once

#include <cstdint>

#include "ops/workload.h"

namespace kiln {

// One output position.
struct Pixel {
  std::int64_t n, y, x;
};

inline Pixel PixelAt(const Workload& w, std::int64_t index) {
  const std::int64_t per_row = w.out_w(), per_image = per_row * w.out_h();
  return {index / per_image, index % per_image / per_row, index % per_row};
}

// Calls visit(tap, first) for every tap of the pixel's window that lies inside the image: tap
// counts kernel positions, first is the index in x of its first channel.
template <typename Visit>
void ForEachTapInside(const Workload& w, Pixel pixel, const Visit& visit) {
  for (std::int32_t ky = 0; ky < w.kh; ++ky) {
    const std::int64_t y = pixel.y * w.stride_h - w.pad_top + std::int64_t{ky} * w.dilation_h;
    if (y < 0 || y >= w.h) continue;
    for (std::int32_t kx = 0; kx < w.kw; ++kx) {
      const std::int64_t x = pixel.x * w.stride_w - w.pad_left + std::int64_t{kx} * w.dilation_w;
      if (x < 0 || x >= w.w) continue;
      visit(std::int64_t{ky} * w.kw + kx, ((pixel.n * w.h + y) * w.w + x) * w.c);
    }
  }
}

}  // namespace kiln
