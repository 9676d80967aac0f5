#include "tests/integration/raw_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace kiln {
namespace {

using std::chrono::milliseconds;

enum Frame : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8
};
constexpr std::uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;
constexpr std::size_t kHead = 9;
constexpr std::size_t kMuch = 1 << 20;  // of bytes on their way

std::string Big32(std::uint32_t value) {
  const std::uint32_t big = htonl(value);
  return std::string(reinterpret_cast<const char*>(&big), sizeof big);
}

std::uint32_t Read32(std::string_view bytes) {
  std::uint32_t big = 0;
  std::copy_n(bytes.data(), sizeof big, reinterpret_cast<char*>(&big));
  return ntohl(big);
}

// A string of HPACK, not compressed.
std::string HpackString(std::string_view text) {
  std::string bytes;
  if (text.size() < 127) {
    bytes += static_cast<char>(text.size());
  } else {
    bytes += static_cast<char>(127);
    std::size_t rest = text.size() - 127;
    for (; rest >= 128; rest /= 128) bytes += static_cast<char>(rest % 128 + 128);
    bytes += static_cast<char>(rest);
  }
  return bytes.append(text);
}

std::string Header(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + HpackString(name) + HpackString(value);
}

int Connect(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &name.sin_addr);
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket >= 0 && connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0) {
    fcntl(socket, F_SETFL, O_NONBLOCK);
    return socket;
  }
  if (socket >= 0) close(socket);
  return -1;
}

}  // namespace

std::string FrameHead(std::uint32_t length) { return std::string(1, '\0') + Big32(length); }

std::string Framed(std::string_view message) {
  return FrameHead(static_cast<std::uint32_t>(message.size())).append(message);
}

RawPeer::RawPeer(const std::string& address, const Options& options)
    : options_(options), socket_(Connect(address)) {
  out_ = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  WriteFrame(kSettings, 0, 0, std::string("\0\4", 2) + Big32(options.window));
  if (options.window > 0) WriteFrame(kWindowUpdate, 0, 0, Big32((1U << 30)));
  Flush();
}

RawPeer::~RawPeer() { Close(); }

void RawPeer::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

bool RawPeer::ended(std::uint32_t stream) const {
  const auto found = streams_.find(stream);
  return socket_ < 0 || found == streams_.end() || found->second.ended;
}

std::size_t RawPeer::open_streams() const {
  return static_cast<std::size_t>(std::count_if(streams_.begin(), streams_.end(), [&](auto& entry) {
    return socket_ >= 0 && !entry.second.ended;
  }));
}

std::uint32_t RawPeer::Call(const std::string& method, const Metadata& metadata) {
  const std::uint32_t stream = std::exchange(next_stream_, next_stream_ + 2);
  std::string block = Header(":method", "POST") + Header(":scheme", "http") +
                      Header(":path", method) + Header(":authority", "localhost") +
                      Header("te", "trailers") + Header("content-type", "application/grpc");
  for (const auto& [name, value] : metadata) block += Header(name, value);
  streams_[stream].window = initial_window_;
  WriteFrame(kHeaders, kEndHeaders, stream, block);
  Flush();
  return stream;
}

RawPeer::Sent RawPeer::Send(std::uint32_t stream, std::string_view bytes, milliseconds patience,
                            bool last) {
  bool more = last;
  while (!bytes.empty() || more || !out_.empty()) {
    while (Pump(milliseconds(0))) {
    }
    Stream& to = streams_[stream];
    if (socket_ < 0 || to.ended) return Sent::kEnded;
    const std::int64_t room = std::min(window_, to.window);
    if (out_.size() < kMuch && (bytes.empty() ? more : room > 0)) {
      const std::size_t count = std::min(
          {bytes.size(), frame_bytes_, static_cast<std::size_t>(std::max<std::int64_t>(0, room))});
      more = last && count < bytes.size();
      WriteFrame(kData, last && !more ? kEndStream : 0, stream, bytes.substr(0, count));
      window_ -= static_cast<std::int64_t>(count);
      to.window -= static_cast<std::int64_t>(count);
      bytes.remove_prefix(count);
      Flush();
    } else if (!Pump(patience)) {
      return Sent::kStuck;
    }
  }
  return Sent::kAll;
}

bool RawPeer::AwaitEnd(std::uint32_t stream, milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!ended(stream)) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= left.zero()) return false;
    Pump(std::chrono::ceil<milliseconds>(left));
  }
  return true;
}

bool RawPeer::AwaitBytes(std::uint32_t stream, std::size_t count, milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (streams_[stream].received.size() < count) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= left.zero() || ended(stream)) return false;
    Pump(std::chrono::ceil<milliseconds>(left));
  }
  return true;
}

bool RawPeer::Vanish() {
  const int on = 1;  // a socket under repair is closed without a word
  if (setsockopt(socket_, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) != 0) return false;
  Close();
  return true;
}

void RawPeer::WriteFrame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                         std::string_view payload) {
  out_ += Big32(static_cast<std::uint32_t>(payload.size())).substr(1);
  out_ += static_cast<char>(type);
  out_ += static_cast<char>(flags);
  out_ += Big32(stream);
  out_ += payload;
}

bool RawPeer::Flush() {
  std::size_t sent = 0;
  while (socket_ >= 0 && sent < out_.size()) {
    const ssize_t n = send(socket_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n < 0) Close();
    if (n > 0) sent += static_cast<std::size_t>(n);
  }
  out_.erase(0, sent);
  return sent > 0;
}

bool RawPeer::Pump(milliseconds patience) {
  if (socket_ < 0) return false;
  pollfd ready{socket_, static_cast<short>(POLLIN | (out_.empty() ? 0 : POLLOUT)), 0};
  if (poll(&ready, 1, static_cast<int>(patience.count())) != 1) return false;
  if (ready.revents & POLLOUT) Flush();
  if (socket_ >= 0 && (ready.revents & ~POLLOUT)) {
    char block[65536];
    const ssize_t n = recv(socket_, block, sizeof block, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) Close();
    if (n > 0) in_.append(block, static_cast<std::size_t>(n));
  }
  std::size_t at = 0;
  while (in_.size() - at >= kHead) {
    const std::string_view head = std::string_view(in_).substr(at, kHead);
    const std::size_t length = Read32(head) >> 8;
    if (in_.size() - at < kHead + length) break;
    Take(static_cast<std::uint8_t>(head[3]), static_cast<std::uint8_t>(head[4]),
         Read32(head.substr(5)) & 0x7fffffff, std::string_view(in_).substr(at + kHead, length));
    at += kHead + length;
  }
  in_.erase(0, at);
  Flush();
  return true;
}

void RawPeer::Take(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                   std::string_view payload) {
  switch (type) {
    case kSettings:
      if (flags & kAck) break;
      TakeSettings(payload);
      WriteFrame(kSettings, kAck, 0, "");
      break;
    case kPing:
      if (!(flags & kAck) && options_.answer_pings) WriteFrame(kPing, kAck, 0, payload);
      break;
    case kWindowUpdate:
      (stream == 0 ? window_ : streams_[stream].window) += Read32(payload);
      break;
    case kData:
      streams_[stream].received.append(payload);
      if (!payload.empty()) {
        const std::string all = Big32(static_cast<std::uint32_t>(payload.size()));
        WriteFrame(kWindowUpdate, 0, 0, all);
        if (!(flags & kEndStream)) WriteFrame(kWindowUpdate, 0, stream, all);
      }
      [[fallthrough]];
    case kHeaders:
      if (flags & kEndStream) streams_[stream].ended = true;
      break;
    case kReset:
      streams_[stream].ended = true;
      break;
    default:
      break;
  }
}

void RawPeer::TakeSettings(std::string_view payload) {
  for (; payload.size() >= 6; payload.remove_prefix(6)) {
    const std::uint32_t value = Read32(payload.substr(2));
    if (payload[1] == 5) frame_bytes_ = std::min<std::size_t>(value, kMuch);
    if (payload[1] != 4) continue;
    for (auto& [number, stream] : streams_) stream.window += value - initial_window_;
    initial_window_ = value;
  }
}

}  // namespace kiln
