#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "export/library.h"
#include "ops/op_data.h"

namespace kiln {

// One operator of a self-test: values, and inputs with the checksums (CRC-32) of their right outputs.
struct SelfTestRecord {
  struct Case {
    std::vector<std::uint8_t> x;
    std::uint32_t y_crc32 = 0;
  };
  std::string name;
  Workload workload;
  OpValues values;
  std::vector<Case> cases;
};

// A model's layers with their real weights, each on a random input and on one of extremes; the
// reference says what is right. Layers without values get those of the data recipe.
std::vector<SelfTestRecord> RecordsOf(const Network& network);

// The workloads of a library, by the data recipe.
std::vector<SelfTestRecord> RecordsOf(const Library& library);

// The file of cases, as runtime/kiln_cases.h reads it.
std::string PrintCases(const std::vector<SelfTestRecord>& records);

}  // namespace kiln
