#include "export/self_test_cases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <span>

#include "base/rng.h"
#include "export/runtime/kiln_cases.h"
#include "kernel_host/guarded_buffer.h"
#include "models/golden.h"
#include "ops/reference.h"
#include "ops/workload_key.h"
#include "tests/base/temporary_directory.h"
#include "tests/export/locks.h"

namespace kiln {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;

// What a file of cases says, read by the C that exported libraries carry.
struct ReadRecord {
  std::string name, workload;
  OpValues values;
  std::vector<SelfTestRecord::Case> cases;
  std::vector<std::uint64_t> y_bytes;
  bool is_misaligned = false;
};

template <typename T>
std::vector<T> ValuesAt(const void* at, std::int64_t count) {
  std::vector<T> values(at == nullptr ? 0 : static_cast<std::size_t>(count));
  if (!values.empty()) std::memcpy(values.data(), at, values.size() * sizeof(T));
  return values;
}

// What can be believed of a file: how many weights and channels its operators have it does not say
// to whoever reads it, the key does.
enum class Keys { kRight, kPerhapsDamaged };

// Reads all records and looks at every byte of them; false: the file is damaged.
bool ReadAll(kiln_cases cases, Keys keys, std::vector<ReadRecord>& records) {
  kiln_record record;
  int more = 0;
  while ((more = kiln_next_record(&cases, &record)) > 0) {
    ReadRecord read{.name = record.name, .workload = record.workload};
    const auto offset = [&](const void* at) {
      return static_cast<const unsigned char*>(at) - cases.bytes;
    };
    const auto look = [&](const void* at) { read.is_misaligned |= at && offset(at) % 64 != 0; };
    for (const void* at :
         {record.op.w, static_cast<const void*>(record.op.bias),
          static_cast<const void*>(record.op.mult), static_cast<const void*>(record.op.shift),
          static_cast<const void*>(record.op.scale)}) {
      look(at);
    }
    if (keys == Keys::kRight) {
      const StatusOr<Workload> workload = ParseWorkload(read.workload);
      const kiln_op& op = record.op;
      read.values = {.w = ValuesAt<std::uint8_t>(op.w, workload->w_bytes()),
                     .bias = ValuesAt<std::int32_t>(op.bias, workload->o),
                     .multiplier = ValuesAt<std::int32_t>(op.mult, workload->o),
                     .shift = ValuesAt<std::int32_t>(op.shift, workload->o),
                     .scale = ValuesAt<float>(op.scale, workload->o),
                     .x_zp = op.x_zp,
                     .w_zp = op.w_zp,
                     .y_zp = op.y_zp,
                     .act_min = op.act_min,
                     .act_max = op.act_max};
    }
    for (std::uint32_t i = 0; i < record.n_cases; ++i) {
      kiln_case one;
      if (kiln_next_case(&cases, &one) < 0) return false;
      look(one.x);
      read.cases.push_back(
          {ValuesAt<std::uint8_t>(one.x, static_cast<std::int64_t>(one.x_bytes)), one.y_crc32});
      read.y_bytes.push_back(one.y_bytes);
    }
    records.push_back(std::move(read));
  }
  return more == 0;
}

// Reads a file of these bytes; none: it is refused.
std::optional<std::vector<ReadRecord>> ReadFileOf(const std::string& path) {
  kiln_cases cases;
  std::vector<ReadRecord> records;
  const bool is_read =
      kiln_open_cases(&cases, path.c_str()) && ReadAll(cases, Keys::kRight, records);
  kiln_close_cases(&cases);
  if (!is_read) return std::nullopt;
  return records;
}

// Operators of all kinds of values: with and without bias, one factor for all channels, scales.
std::vector<SelfTestRecord> SomeRecords() {
  Network network;
  for (const char* key : {kConvKey, kDepthwiseKey, "dense/u8/n1c7/o3/pt/wz/act=lohi/rq=gen/single",
                          "dense/u8s8/n2c5/o9/pc/wz0full/act=none/rq=float/float"}) {
    network.layers.push_back(
        {.name = std::string("layer ") + key, .workload = *ParseWorkload(key)});
  }
  Layer with_values{.name = "real", .workload = *ParseWorkload(kDenseKey)};
  with_values.values = MakeCase(with_values.workload, DataSet::kUniform, 42).values;
  network.layers.push_back(with_values);
  std::vector<SelfTestRecord> records = RecordsOf(network);
  records.back().values.bias.clear();  // which no operator needs
  for (SelfTestRecord::Case& one : records.back().cases) {
    one.y_crc32 = Crc32(RunReference(records.back().workload, records.back().values, one.x));
  }
  return records;
}

TEST(SelfTestCasesTest, ValuesComeBackThroughTheReaderInC) {
  const TemporaryDirectory directory;
  const std::vector<SelfTestRecord> records = SomeRecords();
  const auto read = ReadFileOf(directory.Write("net.cases", PrintCases(records)));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    SCOPED_TRACE(records[i].name);
    EXPECT_EQ((*read)[i].name, records[i].name);
    EXPECT_EQ((*read)[i].workload, Key(records[i].workload));
    EXPECT_EQ((*read)[i].values, records[i].values);
    EXPECT_FALSE((*read)[i].is_misaligned);
    ASSERT_EQ((*read)[i].cases.size(), records[i].cases.size());
    for (std::size_t c = 0; c < records[i].cases.size(); ++c) {
      EXPECT_EQ((*read)[i].cases[c].x, records[i].cases[c].x);
      EXPECT_EQ((*read)[i].cases[c].y_crc32, records[i].cases[c].y_crc32);
      EXPECT_EQ((*read)[i].y_bytes[c], static_cast<std::uint64_t>(records[i].workload.y_bytes()));
    }
  }
}

TEST(SelfTestCasesTest, ChecksumsAreThoseOfTheReferencesOutputs) {
  for (const SelfTestRecord& record : SomeRecords()) {
    for (const SelfTestRecord::Case& one : record.cases) {
      const std::vector<std::uint8_t> y = RunReference(record.workload, record.values, one.x);
      EXPECT_EQ(one.y_crc32, Crc32(y)) << record.name;
      EXPECT_EQ(kiln_crc32(y.data(), y.size()), Crc32(y)) << record.name;
    }
  }
}

TEST(SelfTestCasesTest, TheChecksumOfTheReaderIsZlibs) {
  EXPECT_EQ(kiln_crc32("123456789", 9), 0xcbf43926u);
  EXPECT_EQ(kiln_crc32("", 0), 0u);
  Rng rng(1);
  std::vector<std::uint8_t> bytes(1000);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(rng.Next());
  for (std::size_t size = 0; size < bytes.size(); size += 37) {
    EXPECT_EQ(kiln_crc32(bytes.data(), size), Crc32(std::span(bytes).first(size)));
  }
}

TEST(SelfTestCasesTest, AModelsLayersKeepTheirValuesAndOthersAreMadeUpOnce) {
  Network network;
  const Workload dense = *ParseWorkload(kDenseKey), conv = *ParseWorkload(kConvKey);
  const OpValues values = MakeCase(dense, DataSet::kUniform, 7).values;
  network.layers = {{.name = "fc1", .workload = dense, .values = values},
                    {.name = "conv1", .workload = conv},
                    {.name = "conv2", .workload = conv},
                    {.name = "fc2", .workload = dense, .values = values}};
  const std::vector<SelfTestRecord> records = RecordsOf(network);
  std::vector<std::string> names;
  for (const SelfTestRecord& record : records) names.push_back(record.name);
  EXPECT_THAT(names, ElementsAre("fc1", "conv1", "conv1", "fc2"));
  for (const std::size_t i : {0u, 3u}) {
    EXPECT_EQ(records[i].values, values);
    EXPECT_THAT(records[i].cases, SizeIs(2));
    EXPECT_NE(records[i].cases[0].x, records[i].cases[1].x);
    for (const std::uint8_t byte : records[i].cases[1].x) {
      EXPECT_TRUE(byte == 0x80 || byte == 0x7f) << int{byte};  // the extremes
    }
  }
  EXPECT_NE(records[0].cases[0].x, records[3].cases[0].x) << "two layers with one input";
  EXPECT_NE(records[1].values, records[2].values);  // two data sets
}

TEST(SelfTestCasesTest, EveryWorkloadOfALibraryHasCases) {
  Library library;
  library.workloads = {kConvKey, kDenseKey, kDepthwiseKey};
  std::multiset<std::string> keys;
  for (const SelfTestRecord& record : RecordsOf(library)) keys.insert(Key(record.workload));
  EXPECT_THAT(keys, UnorderedElementsAreArray(
                        {kConvKey, kConvKey, kDenseKey, kDenseKey, kDepthwiseKey, kDepthwiseKey}));
}

TEST(SelfTestCasesTest, TheSameRecordsHaveTheSameBytes) {
  EXPECT_EQ(PrintCases(SomeRecords()), PrintCases(SomeRecords()));
}

TEST(SelfTestCasesTest, AFileThatIsCutOffAnywhereIsRefused) {
  const TemporaryDirectory directory;
  const std::string text = PrintCases(SomeRecords());
  const std::string path = directory.Write("net.cases", text);
  ASSERT_TRUE(ReadFileOf(path));
  for (std::size_t size = text.size(); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    ASSERT_FALSE(ReadFileOf(path)) << size << " of " << text.size() << " bytes";
  }
}

TEST(SelfTestCasesTest, WhatIsNoFileOfCasesIsRefused) {
  const TemporaryDirectory directory;
  EXPECT_FALSE(ReadFileOf(directory.File("none")));
  EXPECT_FALSE(ReadFileOf(directory.path().string()));
  const std::string text = PrintCases(SomeRecords());
  for (std::size_t at = 0; at < 12; ++at) {  // the magic and the version
    std::string other = text;
    other[at] ^= 1;
    EXPECT_FALSE(ReadFileOf(directory.Write("other", other))) << at;
  }
  const auto empty = ReadFileOf(directory.Write("empty", PrintCases({})));
  ASSERT_TRUE(empty);
  EXPECT_THAT(*empty, SizeIs(0));
}

// The memory behind the file cannot be read: an access past its end ends this program.
class GuardedCases {
 public:
  explicit GuardedCases(const std::string& text)
      : buffer_(GuardedBuffer::Map(text.size(), 1, GuardedBuffer::Sharing::kPrivate)) {
    cases_.bytes = buffer_.At(Placement::kHigh);
    cases_.size = text.size();
    std::memcpy(cases_.bytes, text.data(), text.size());
  }
  // As kiln_open_cases() leaves it behind the header.
  bool Read(std::vector<ReadRecord>& records, Keys keys = Keys::kRight) {
    constexpr std::size_t kHeader = 16;
    if (cases_.size < kHeader) return false;
    std::memcpy(&cases_.records, cases_.bytes + 12, sizeof cases_.records);
    cases_.at = kHeader;
    return ReadAll(cases_, keys, records);
  }

 private:
  GuardedBuffer buffer_;
  kiln_cases cases_{};
};

TEST(SelfTestCasesTest, NothingBehindAFileThatIsCutOffIsRead) {
  const std::string text = PrintCases(SomeRecords());
  std::vector<ReadRecord> all;
  ASSERT_TRUE(GuardedCases(text).Read(all));
  for (std::size_t size = 16; size < text.size(); ++size) {
    std::vector<ReadRecord> records;
    ASSERT_FALSE(GuardedCases(text.substr(0, size)).Read(records)) << size;
    ASSERT_LT(records.size(), all.size());
  }
}

// Lengths whose sum with any position in the file is none of 64 bits.
TEST(SelfTestCasesTest, LengthsThatOverflowAreRefusedOrNotLookedAt) {
  const std::string text = PrintCases(SomeRecords());
  for (std::size_t at = 12; at + 8 <= text.size(); ++at) {
    for (const std::uint64_t value : {UINT64_MAX, UINT64_MAX - 63, UINT64_MAX - at}) {
      std::string damaged = text;
      std::memcpy(&damaged[at], &value, sizeof value);
      std::vector<ReadRecord> records;
      GuardedCases(damaged).Read(records, Keys::kPerhapsDamaged);
      for (const ReadRecord& record : records) {
        for (const SelfTestRecord::Case& one : record.cases) ASSERT_LT(one.x.size(), text.size());
      }
    }
  }
}

// Lengths and counts of all sizes.
TEST(SelfTestCasesTest, NothingBehindADamagedFileIsRead) {
  const std::string text = PrintCases(SomeRecords());
  int refused = 0;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    std::string damaged = text;
    const std::size_t at = 12 + rng.Below(damaged.size() - 20);
    const std::uint64_t value = rng.Next() >> rng.Below(64);
    if (rng.Below(2) == 0) {
      damaged[at] = static_cast<char>(value);
    } else {
      std::memcpy(&damaged[at], &value, sizeof value);
    }
    std::vector<ReadRecord> records;
    refused += !GuardedCases(damaged).Read(records, Keys::kPerhapsDamaged);
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace kiln
