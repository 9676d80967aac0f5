// tiny_models OUT_DIR: writes the small networks of tiny_models.h with their golden folders.
#include <cstdio>
#include <filesystem>

#include "described_file.h"
#include "tiny_models.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: tiny_models OUT_DIR\n", stderr);
    return 2;
  }
  std::filesystem::create_directories(argv[1]);
  for (const kiln::DescribedModel& model : kiln::TinyModels()) {
    kiln::WriteWithGolden(argv[1], model, {kiln::TinyInput(model, 0), kiln::TinyInput(model, 1)});
  }
  return 0;
}
