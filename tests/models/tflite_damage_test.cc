// Damaged model files: whatever bytes a file has, it is imported or refused with one error, without
// a crash, and (as all sizes are checked against the file) in bounded time and memory. Run under
// asan these tests also hold that nothing outside of the file is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/rng.h"
#include "models/graph.h"
#include "models/model.h"
#include "models/tflite_import.h"
#include "models/tflite_model.h"
#include "shared_folder.h"
#include "tflite_writer.h"

namespace kiln {
namespace {

using Bytes = std::vector<std::uint8_t>;

struct Tally {
  int imported = 0, refused = 0;
};

void Import(Bytes file, Tally& tally) {
  const StatusOr<TfliteModel> model = ParseTflite(std::move(file));
  const auto is_readable = [](const std::string& text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  };
  if (model.ok()) {
    ++tally.imported;
    const ImportedModel imported = ImportOperators(*model, "damaged.tflite");
    for (const auto& [reason, count] : imported.network.skipped) {
      ASSERT_TRUE(is_readable(reason)) << reason;
    }
    return;
  }
  ++tally.refused;
  ASSERT_EQ(model.status().code(), StatusCode::kInvalidArgument);
  ASSERT_TRUE(is_readable(Message(model.status())));
}

// Damages of one file: every kind of a change to its bytes, at places from `rng`.
Bytes Damaged(const Bytes& file, Rng& rng) {
  Bytes damaged = file;
  const auto place = [&](std::size_t size) { return static_cast<std::size_t>(rng.Below(size)); };
  switch (rng.Below(4)) {
    case 0:  // one bit
      damaged[place(damaged.size())] ^= static_cast<std::uint8_t>(1U << rng.Below(8));
      break;
    case 1:  // some bytes
      for (int i = 0; i < 8; ++i) {
        damaged[place(damaged.size())] = static_cast<std::uint8_t>(rng.Below(256));
      }
      break;
    case 2:  // a word, to an extreme
    {
      const std::size_t word = place(damaged.size() / 4) * 4;
      const std::uint32_t extremes[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x10000};
      const std::uint32_t value = extremes[rng.Below(std::size(extremes))];
      std::memcpy(damaged.data() + word, &value, sizeof value);
      break;
    }
    default:  // the end is missing
      damaged.resize(place(damaged.size()));
  }
  return damaged;
}

TEST(TfliteDamageTest, EveryLengthOfATruncatedFileIsRefused) {
  const Bytes file = SmallModel();
  Tally tally;
  for (std::size_t size = 0; size < file.size(); ++size) {
    Import(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)), tally);
  }
  EXPECT_EQ(tally.imported, 0);
}

TEST(TfliteDamageTest, EveryFlippedByteIsImportedOrRefused) {
  const Bytes file = SmallModel();
  Tally tally;
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      Bytes damaged = file;
      damaged[i] ^= static_cast<std::uint8_t>(mask);
      Import(std::move(damaged), tally);
    }
  }
  EXPECT_GT(tally.imported, 100);  // weights, names
  EXPECT_GT(tally.refused, 100);   // offsets, sizes, numbers
}

TEST(TfliteDamageTest, RandomDamageIsImportedOrRefused) {
  const Bytes file = SmallModel();
  Rng rng(1);
  Tally tally;
  for (int i = 0; i < 20'000; ++i) Import(Damaged(file, rng), tally);
  EXPECT_GT(tally.imported, 0);
  EXPECT_GT(tally.refused, 0);
}

// What is imported can also be run: kernels trust the checks made before.
TEST(TfliteDamageTest, DamagedModelsThatLoadRunWithoutACrash) {
  const Bytes file = SmallModel();
  const ScratchFolder folder;
  Rng rng(2);
  int ran = 0;
  for (int i = 0; i < 3'000; ++i) {
    const StatusOr<std::unique_ptr<GraphExecutor>> graph =
        LoadGraph(folder.Write("damaged.tflite", Damaged(file, rng)));
    if (!graph.ok() || !(*graph)->SetInput(Bytes(9 * 8 * 3, 100)).ok()) continue;
    std::int64_t macs = 0;
    for (const Layer& layer : (*graph)->network().layers) macs += layer.workload.macs();
    if (macs > 10'000'000) continue;  // a damaged size: right, but slow
    for (std::size_t op = 0; op < (*graph)->ops().size(); ++op) {
      const std::vector<GraphOutput>& outputs = (*graph)->ops()[op].outputs;
      if (outputs.empty() || outputs[0].bytes > 1'000'000) continue;
      ran += (*graph)->Run(op).ok() ? 1 : 0;
    }
  }
  EXPECT_GT(ran, 1000);
}

// One vector may stand in a FlatBuffer once and be used by every table: a small file that unfolds.
TEST(TfliteDamageTest, AFileThatUnfoldsManyTimesIsRefused) {
  const Bytes file = SharedVectorBomb(20'000, 20'000);
  ASSERT_LT(file.size(), 1'000'000U);
  const StatusOr<TfliteModel> model = ParseTflite(file);
  EXPECT_EQ(model.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(model.status()), ::testing::HasSubstr("size of the file"));
}

TEST(TfliteDamageTest, RealModelsSurviveRandomDamage) {
  KILN_SKIP_WITHOUT_SHARED();
  Rng rng(3);
  Tally tally;
  for (const char* model : {"resnet8_cifar_int8", "vww_96_int8", "toycar_ad01_int8"}) {
    std::ifstream stream(*SharedPath("models/" + std::string(model) + ".tflite"), std::ios::binary);
    const Bytes file((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    for (int i = 0; i < 500; ++i) {
      // Half of the damage where the structure is: behind the weights, which come first.
      Bytes damaged = Damaged(file, rng);
      const std::size_t place = damaged.size() - 1 - rng.Below(damaged.size() / 8);
      if (i % 2 == 0) damaged[place] ^= 0xff;
      Import(std::move(damaged), tally);
    }
  }
  EXPECT_GT(tally.imported, 0);
  EXPECT_GT(tally.refused, 0);
}

}  // namespace
}  // namespace kiln
