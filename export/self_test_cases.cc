#include "export/self_test_cases.h"

#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/rng.h"
#include "models/golden.h"
#include "ops/reference.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

constexpr std::string_view kMagic = "KILNCASE";
constexpr std::uint32_t kCasesVersion = 1;  // KILN_CASES_VERSION
constexpr std::uint64_t kSeed = 1;
constexpr std::size_t kAlignment = 64;

SelfTestRecord::Case CaseOf(const Workload& workload, const OpValues& values,
                            std::vector<std::uint8_t> x) {
  const std::uint32_t crc32 = Crc32(RunReference(workload, values, x));
  return {std::move(x), crc32};
}

void AddRecipe(const std::string& name, const Workload& workload,
               std::vector<SelfTestRecord>& records) {
  for (const DataSet set : {DataSet::kUniform, DataSet::kEdges}) {
    OpCase data = MakeCase(workload, set, kSeed);
    SelfTestRecord record{
        .name = name, .workload = workload, .values = std::move(data.values), .cases = {}};
    record.cases.push_back(CaseOf(workload, record.values, std::move(data.x)));
    records.push_back(std::move(record));
  }
}

void AddValues(const Layer& layer, std::vector<SelfTestRecord>& records) {
  const Workload& w = layer.workload;
  Rng rng(kSeed ^ Digest(layer.name));
  std::vector<std::uint8_t> random(static_cast<std::size_t>(w.x_bytes())), ends(random.size());
  for (std::uint8_t& byte : random) byte = static_cast<std::uint8_t>(rng.Next());
  for (std::uint8_t& byte : ends) {
    byte = static_cast<std::uint8_t>(rng.Next() & 1 ? w.qmax() : w.qmin());
  }
  SelfTestRecord record{.name = layer.name, .workload = w, .values = *layer.values, .cases = {}};
  record.cases.push_back(CaseOf(w, record.values, std::move(random)));
  record.cases.push_back(CaseOf(w, record.values, std::move(ends)));
  records.push_back(std::move(record));
}

// Writes numbers as they lie in memory here, and arrays at multiples of kAlignment.
class CasesWriter {
 public:
  template <typename Number>
  void Put(Number number) {
    out_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  void PutText(const std::string& text) {
    Put(static_cast<std::uint32_t>(text.size()));
    out_.append(text.c_str(), text.size() + 1);
  }
  template <typename T>
  void PutArray(const std::vector<T>& values) {
    out_.resize((out_.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
    out_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }

  void Put(const SelfTestRecord& record) {
    const OpValues& v = record.values;
    PutText(record.name);
    PutText(Key(record.workload));
    Put(static_cast<std::uint32_t>(record.workload.o));
    Put(static_cast<std::uint64_t>(v.w.size()));
    for (const std::int32_t value : {v.x_zp, v.w_zp, v.y_zp, v.act_min, v.act_max}) Put(value);
    for (const bool has : {!v.bias.empty(), !v.multiplier.empty(), !v.scale.empty()}) {
      Put(static_cast<std::uint32_t>(has));
    }
    Put(static_cast<std::uint32_t>(record.cases.size()));
    PutArray(v.w);
    if (!v.bias.empty()) PutArray(v.bias);
    if (!v.multiplier.empty()) {
      PutArray(v.multiplier);
      PutArray(v.shift);
    }
    if (!v.scale.empty()) PutArray(v.scale);
    for (const SelfTestRecord::Case& one : record.cases) {
      Put(static_cast<std::uint64_t>(one.x.size()));
      Put(static_cast<std::uint64_t>(record.workload.y_bytes()));
      Put(one.y_crc32);
      PutArray(one.x);
    }
  }

  std::string out_;
};

}  // namespace

std::vector<SelfTestRecord> RecordsOf(const Network& network) {
  std::vector<SelfTestRecord> records;
  std::set<Workload> made_up;
  for (const Layer& layer : network.layers) {
    if (layer.values) {
      AddValues(layer, records);
    } else if (made_up.insert(layer.workload).second) {
      AddRecipe(layer.name, layer.workload, records);
    }
  }
  return records;
}

std::vector<SelfTestRecord> RecordsOf(const Library& library) {
  std::vector<SelfTestRecord> records;
  for (const std::string& key : library.workloads) {
    if (const StatusOr<Workload> workload = ParseWorkload(key); workload.ok()) {
      AddRecipe(key, *workload, records);
    }
  }
  return records;
}

std::string PrintCases(const std::vector<SelfTestRecord>& records) {
  CasesWriter writer;
  writer.out_ = kMagic;
  writer.Put(kCasesVersion);
  writer.Put(static_cast<std::uint32_t>(records.size()));
  for (const SelfTestRecord& record : records) writer.Put(record);
  return std::move(writer.out_);
}

}  // namespace kiln
