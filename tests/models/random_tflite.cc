// random_tflite OUT_DIR COUNT SEED: writes COUNT random models, each with a golden folder of what its
// definition gives, so that real kernels can be held to it:
//   random_tflite DIR 20 1 && for m in DIR/*.tflite; do kiln verify --model $m --golden ${m%.tflite}.golden; done
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "described_file.h"
#include "random_model.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: random_tflite OUT_DIR COUNT SEED\n", stderr);
    return 2;
  }
  const std::uint64_t count = std::strtoull(argv[2], nullptr, 10);
  const std::uint64_t first = std::strtoull(argv[3], nullptr, 10);
  std::filesystem::create_directories(argv[1]);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const kiln::DescribedModel model = kiln::RandomModel(seed);
    kiln::WriteWithGolden(
        argv[1], model,
        {kiln::RandomInput(model, 4 * seed), kiln::RandomInput(model, 4 * seed + 1)});
  }
  return 0;
}
