#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "db/tuning_store.h"

// How values are written in the columns of the database (docs/store.md). The readers throw
// std::runtime_error, or what the JSON library throws, for text that no writer wrote.

namespace kiln {

std::string LabelsText(const ConfigLabels& labels);  // {"tile":"2x4","order":"rc"}
ConfigLabels ParseLabels(std::string_view text);

std::string SamplesText(const std::vector<double>& samples_ns);  // [1234.5,1230.25]
std::vector<double> ParseSamples(std::string_view text);

std::string DigestText(std::uint64_t digest);
std::uint64_t ParseDigest(std::string_view text);

std::string StatusWord(const Outcome& outcome);  // "ok", "censored", "compile_error"
FailureKind ParseFailureKind(std::string_view status);
Stage ParseStage(std::string_view text);
CacheState ParseCacheState(std::string_view text);
TimeKind ParseTimeKind(std::string_view text);

}  // namespace kiln
