#include <algorithm>
#include <charconv>

#include "telemetry/http_server.h"

namespace kiln {
namespace {

// "%C3%BC+x" as it was typed; a percent sign without two hex digits stays.
std::string Decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* digits = text.data() + i + 1;
    const bool is_coded = text[i] == '%' && text.size() - i > 2 &&
                          std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2;
    if (is_coded) i += 2;
    decoded += is_coded ? static_cast<char>(byte) : text[i] == '+' ? ' ' : text[i];
  }
  return decoded;
}

}  // namespace

std::map<std::string, std::string, std::less<>> HttpRequest::Fields() const {
  std::map<std::string, std::string, std::less<>> fields;
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::string_view field = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), field.size() + 1));
    const std::size_t equals = std::min(field.find('='), field.size());
    const std::string_view value = field.substr(std::min(field.size(), equals + 1));
    fields.try_emplace(Decoded(field.substr(0, equals)), Decoded(value));
  }
  return fields;
}

}  // namespace kiln
