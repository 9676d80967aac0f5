#include "benchmarks/farm_load/h2_call.h"

#include <charconv>
#include <utility>

#include "benchmarks/farm_load/channel.h"

namespace kiln::load {
namespace {

constexpr std::size_t kPrefix = 5;
constexpr std::size_t kMaxMessageBytes = 64 << 20;

std::size_t LengthIn(std::string_view prefix) {
  std::size_t length = 0;
  for (std::size_t i = 1; i < kPrefix; ++i) {
    length = length << 8 | static_cast<unsigned char>(prefix[i]);
  }
  return length;
}

int ToNumber(std::string_view text, int otherwise) {
  int number = otherwise;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : otherwise;
}

// grpc-message: %41 stands for A; what is no such thing stands for itself.
std::string PercentDecoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      const char* const digits = text.data() + i + 1;
      if (const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
          error == std::errc() && end == digits + 2) {
        decoded += static_cast<char>(byte);
        i += 2;
        continue;
      }
    }
    decoded += text[i];
  }
  return decoded;
}

// What an answer without grpc-status means (gRPC's doc/http-grpc-status-mapping.md).
StatusCode FromHttp(int http_status) {
  switch (http_status) {
    case 400:
      return StatusCode::kInternal;
    case 401:
      return StatusCode::kUnauthenticated;
    case 403:
      return StatusCode::kPermissionDenied;
    case 404:
      return StatusCode::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return StatusCode::kUnavailable;
    default:
      return StatusCode::kUnknown;
  }
}

}  // namespace

Call::Call(Channel& channel, const char* path, Sends sends)
    : channel_(channel), path_(path), sends_(sends), ending_(channel.loop(), [this] {
        host_->Abandon(*this);
        const Status status = std::exchange(end_, absl::OkStatus());
        OnEnd(status);
      }) {}

Call::~Call() {
  if (host_) host_->Abandon(*this);
}

void Call::Start() { channel_.Start(*this); }

std::uint8_t* Call::AddMessage(std::size_t size) {
  if (out_sent_ == out_.size() || !under_way()) {
    out_.clear();
    out_sent_ = 0;
  }
  const std::size_t begin = out_.size();
  out_.resize(begin + kPrefix + size);
  for (std::size_t i = 1; i < kPrefix; ++i) {
    out_[begin + i] = static_cast<char>(size >> 8 * (kPrefix - 1 - i));
  }
  return reinterpret_cast<std::uint8_t*>(out_.data() + begin + kPrefix);
}

void Call::EndSoon(Status status) {
  end_ = std::move(status);
  ending_.Post();
}

void Call::Detach() {
  host_ = nullptr;
  ending_.Clear();
}

bool Call::TakeData(std::string_view bytes) {
  if (!in_.empty()) {
    in_.append(bytes);
    bytes = in_;
  }
  while (bytes.size() >= kPrefix) {
    const std::size_t length = LengthIn(bytes);
    if (bytes[0] != 0 || length > kMaxMessageBytes) return false;
    if (bytes.size() - kPrefix < length) break;
    if (!ending_.posted()) OnMessage(bytes.substr(kPrefix, length));
    bytes.remove_prefix(kPrefix + length);
  }
  if (in_.empty()) {
    in_ = bytes;
  } else {
    in_.erase(0, in_.size() - bytes.size());
  }
  return true;
}

void Call::TakeHeader(std::string_view name, std::string_view value) {
  if (name == ":status") http_status_ = ToNumber(value, 0);
  if (name == "grpc-status") grpc_status_ = ToNumber(value, static_cast<int>(StatusCode::kUnknown));
  if (name == "grpc-message") grpc_message_ = value;
}

Status Call::ServerStatus() const {
  if (grpc_status_ == 0 && !in_.empty()) {
    return Error(StatusCode::kInternal, "the answer ends within a message");
  }
  if (grpc_status_ == 0) return absl::OkStatus();
  if (grpc_status_ > 0) {
    return Status(static_cast<StatusCode>(grpc_status_), PercentDecoded(grpc_message_));
  }
  return Error(FromHttp(http_status_), "the answer has no grpc-status, its HTTP status is ",
               http_status_);
}

}  // namespace kiln::load
