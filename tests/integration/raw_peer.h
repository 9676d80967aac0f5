#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln {

// This is a peer of a gRPC server that speaks HTTP/2 by itself, so that it can do what no library
// lets it: never read, never answer a ping, send a message in pieces without ever holding it.
// Everything happens in its methods, on the caller's thread.
class RawPeer {
 public:
  struct Options {
    std::uint32_t window = 1 << 20;  // what the server may send on each stream; 0: nothing
    bool answer_pings = true;
  };
  using Metadata = std::vector<std::pair<std::string, std::string>>;

  // Connects to HOST:PORT and says hello in HTTP/2.
  RawPeer(const std::string& address, const Options& options);
  ~RawPeer();
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  bool connected() const { return socket_ >= 0; }
  // A stream that the server has ended, or all of them when the connection is gone.
  bool ended(std::uint32_t stream) const;
  std::size_t open_streams() const;
  // What has come on the stream, in gRPC's framing.
  const std::string& received(std::uint32_t stream) { return streams_[stream].received; }

  // Begins a call of "/kiln.v1.Tracker/Serve" and the like.
  std::uint32_t Call(const std::string& method, const Metadata& metadata = {});

  enum class Sent { kAll, kEnded, kStuck };
  // Sends a piece of the stream as the server's windows allow. kStuck: it has taken nothing for the
  // time; the rest of the piece is not sent.
  Sent Send(std::uint32_t stream, std::string_view bytes, std::chrono::milliseconds patience,
            bool last = false);
  // Takes what comes, until the stream has ended. False: it has not within the time.
  bool AwaitEnd(std::uint32_t stream, std::chrono::milliseconds patience);
  // The same until so many bytes have come on the stream.
  bool AwaitBytes(std::uint32_t stream, std::size_t count, std::chrono::milliseconds patience);

  // Gone as if its machine had lost power: no word to the other end, which is answered with a reset
  // when it next sends something. False: the system does not let us.
  bool Vanish();

 private:
  struct Stream {
    std::int64_t window = 0;
    bool ended = false;
    std::string received;
  };

  void WriteFrame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                  std::string_view payload);
  bool Flush();  // as far as the socket takes it
  // Waits for the socket and takes frames; false: nothing happened in the time.
  bool Pump(std::chrono::milliseconds patience);
  void Take(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload);
  void TakeSettings(std::string_view payload);
  void Close();

  const Options options_;
  int socket_ = -1;
  std::uint32_t next_stream_ = 1;
  std::int64_t window_ = 65535, initial_window_ = 65535;
  std::size_t frame_bytes_ = 16384;
  std::map<std::uint32_t, Stream> streams_;
  std::string out_, in_;
};

// A message in gRPC's framing: a zero and its length before it.
std::string Framed(std::string_view message);
std::string FrameHead(std::uint32_t length);

}  // namespace kiln
