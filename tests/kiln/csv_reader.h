#pragma once

#include <optional>
#include <string>
#include <vector>

namespace kiln {

// A field as a reader gets it; nullopt: it was empty and not quoted.
using CsvField = std::optional<std::string>;

// Reads CSV by the grammar of RFC 4180, apart from the program that writes it; lines may end with
// LF alone, as its "2. Definition" is widely read. nullopt: it is not CSV, or its lines have
// different numbers of fields.
std::optional<std::vector<std::vector<CsvField>>> ReadCsv(const std::string& text);

}  // namespace kiln
