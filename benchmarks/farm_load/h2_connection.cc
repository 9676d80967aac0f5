#include "benchmarks/farm_load/h2_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kiln::load {
namespace {

using std::chrono::milliseconds;

// As proto/transport.cc.
constexpr milliseconds kKeepaliveTime{5000};
constexpr milliseconds kKeepaliveTimeout{10'000};
constexpr milliseconds kConnectTimeout{20'000};
// Of what a server may send unasked: a list of 10,000 devices need not wait for the window.
constexpr std::uint32_t kWindow = 1 << 20;
constexpr std::size_t kLargeBatch = 64 << 10;  // more is sent in pieces

std::string_view View(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// The text lives as long as the connection: it is not copied.
nghttp2_nv Header(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

// What a stream's end without trailers means (gRPC's doc/PROTOCOL-HTTP2.md, "Errors").
StatusCode FromHttp2(std::uint32_t error) {
  switch (error) {
    case NGHTTP2_REFUSED_STREAM:
      return StatusCode::kUnavailable;
    case NGHTTP2_CANCEL:
      return StatusCode::kCancelled;
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return StatusCode::kResourceExhausted;
    case NGHTTP2_INADEQUATE_SECURITY:
      return StatusCode::kPermissionDenied;
    default:
      return StatusCode::kInternal;
  }
}

}  // namespace

struct H2Connection::Callbacks {
  static H2Connection& Of(void* self) { return *static_cast<H2Connection*>(self); }
  // A connection that is closed while nghttp2 works makes it stop.
  static int Outcome(const H2Connection& self) {
    return self.phase_ == Phase::kClosed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                      std::uint8_t, void* self) {
    if (Call* const call = Of(self).CallOn(frame->hd.stream_id)) {
      call->TakeHeader(View(name, name_size), View(value, value_size));
    }
    return 0;
  }

  static int OnData(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* bytes,
                    std::size_t size, void* self) {
    Call* const call = Of(self).CallOn(stream);
    if (call && !call->TakeData(View(bytes, size))) {
      Of(self).Finish(*call, Error(StatusCode::kInternal, "the answer is no message of gRPC"));
    }
    return Outcome(Of(self));
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    H2Connection& connection = Of(self);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
          Call* const call = connection.CallOn(frame->hd.stream_id);
          if (call) connection.Finish(*call, call->ServerStatus());
        }
        break;
      case NGHTTP2_SETTINGS:
        if (connection.phase_ == Phase::kGreeting) {
          connection.phase_ = Phase::kReady;
          connection.alarm_.Set(connection.heard_ + kKeepaliveTime);
          if (connection.owner_) connection.owner_->OnReady(connection);
        }
        break;
      case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
          connection.asked_for_life_ = false;
          connection.alarm_.Set(connection.heard_ + kKeepaliveTime);
        }
        break;
      case NGHTTP2_GOAWAY:
        connection.goaway_ = View(frame->goaway.opaque_data, frame->goaway.opaque_data_len);
        if (!std::exchange(connection.draining_, true)) {
          connection.flush_.Post();  // which closes it if there are no calls
          if (connection.owner_) connection.owner_->OnDraining(connection);
        }
        break;
      default:
        break;
    }
    return Outcome(connection);
  }

  // Also of calls that nghttp2 has not sent, since the server has said goodbye.
  static int OnStreamClose(nghttp2_session*, std::int32_t stream, std::uint32_t error, void* self) {
    H2Connection& connection = Of(self);
    Call* const call = connection.CallOn(stream);
    if (!call) return Outcome(connection);
    if (connection.draining_ && connection.owner_ && call->out_sent_ == 0) {
      connection.Remove(*call);
      connection.owner_->OnRefused(*call);
    } else {
      connection.Finish(*call, Error(FromHttp2(error),
                                     "the server ended the call: ", nghttp2_http2_strerror(error)));
    }
    return Outcome(connection);
  }

  static ssize_t ReadMessages(nghttp2_session*, std::int32_t stream, std::uint8_t* buffer,
                              std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                              void* self) {
    Call* const call = Of(self).CallOn(stream);
    if (!call) return NGHTTP2_ERR_DEFERRED;  // it is being cancelled
    const std::size_t count =
        call->out_.copy(reinterpret_cast<char*>(buffer), size, call->out_sent_);
    call->out_sent_ += count;
    if (call->sends_ == Call::Sends::kOne && call->out_sent_ == call->out_.size()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      call->all_sent_ = true;
    } else if (count == 0) {
      call->paused_ = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(count);
  }

  static const nghttp2_session_callbacks* All() {
    static const nghttp2_session_callbacks* const all = [] {
      nghttp2_session_callbacks* made = nullptr;
      nghttp2_session_callbacks_new(&made);
      nghttp2_session_callbacks_set_on_header_callback(made, OnHeader);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, OnData);
      nghttp2_session_callbacks_set_on_frame_recv_callback(made, OnFrame);
      nghttp2_session_callbacks_set_on_stream_close_callback(made, OnStreamClose);
      return made;
    }();
    return all;
  }
  static const nghttp2_option* Option() {
    static const nghttp2_option* const option = [] {
      nghttp2_option* made = nullptr;
      nghttp2_option_new(&made);
      nghttp2_option_set_no_closed_streams(made, 1);
      return made;
    }();
    return option;
  }
};

std::shared_ptr<H2Connection> H2Connection::Dial(LoadLoop& loop, const Server& server,
                                                 SharedBuffers& buffers, ssl_ctx_st* tls,
                                                 Owner& owner) {
  auto connection = std::make_shared<H2Connection>(loop, server, buffers, owner);
  if (tls) connection->tls_ = std::make_unique<TlsSession>(*tls, server.host);
  connection->Connect();
  return connection;
}

H2Connection::H2Connection(LoadLoop& loop, const Server& server, SharedBuffers& buffers,
                           Owner& owner)
    : loop_(loop),
      server_(server),
      buffers_(buffers),
      owner_(&owner),
      heard_(LoadLoop::Now()),
      flush_(loop, [this] { Flush(); }),
      alarm_(loop, [this] { OnAlarm(); }) {}

H2Connection::~H2Connection() {
  CloseSocket();
  nghttp2_session_del(session_);
}

// -- connecting

void H2Connection::Connect() {
  alarm_.Set(heard_ + kConnectTimeout);
  connect_error_ = OpenSocket(server_.places[place_]);
  if (connect_error_ != 0) flush_.Post();
}

// An error number: 0 when it is on its way.
int H2Connection::OpenSocket(const Server::Place& place) {
  fd_ = socket(place.name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return errno;
  const int on = 1;
  if (place.name.ss_family != AF_UNIX) setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&place.name), place.size) != 0 &&
      errno != EINPROGRESS) {
    return errno;
  }
  return loop_.Watch(fd_, *this);
}

void H2Connection::OnEvents(std::uint32_t events) {
  const auto self = shared_from_this();
  if (phase_ == Phase::kConnecting) {
    if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) return;
    OnConnected();
    if (phase_ == Phase::kConnecting) return;
  }
  if (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) {
    Receive(true);
  } else if (events & EPOLLIN) {
    Receive(false);
  }
  if ((events & EPOLLOUT) && !unsent_.empty()) flush_.Post();
}

void H2Connection::OnConnected() {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return OnNotConnected(error);
  if (!tls_) return BeginHttp2();
  phase_ = Phase::kHandshake;
  TakeTls({});
}

void H2Connection::OnNotConnected(int error) {
  CloseSocket();
  if (++place_ == server_.places.size()) return Fail(std::strerror(error));
  Connect();
}

void H2Connection::BeginHttp2() {
  phase_ = Phase::kGreeting;
  nghttp2_session_client_new2(&session_, Callbacks::All(), this, Callbacks::Option());
  const std::array<nghttp2_settings_entry, 2> settings = {
      {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindow}}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kWindow);
  flush_.Post();
}

// -- receiving

void H2Connection::Receive(bool to_the_end) {
  std::vector<char>& buffer = buffers_.received;
  while (phase_ != Phase::kClosed) {
    const ssize_t count = recv(fd_, buffer.data(), buffer.size(), 0);
    if (count > 0) {
      heard_ = loop_.batch_time();
      Take({buffer.data(), static_cast<std::size_t>(count)});
      // What comes after a short read is a new event, but for an end that has been told already.
      if (static_cast<std::size_t>(count) < buffer.size() && !to_the_end) return;
    } else if (count == 0) {
      return Fail("it has closed the connection");
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      return Fail(std::strerror(errno));
    }
  }
}

void H2Connection::Take(std::string_view bytes) {
  if (tls_) {
    TakeTls(bytes);
  } else {
    TakeHttp2(bytes);
  }
}

void H2Connection::TakeTls(std::string_view bytes) {
  std::string& out = buffers_.records;
  out.clear();
  Status status;
  if (phase_ == Phase::kHandshake) {
    const StatusOr<bool> done = tls_->Handshake(bytes, out);
    status = done.status();
    if (done.ok() && *done) BeginHttp2();
  }
  while (status.ok() && phase_ != Phase::kClosed && phase_ != Phase::kHandshake) {
    std::vector<char>& buffer = buffers_.plaintext;
    const StatusOr<std::size_t> count = tls_->Read(bytes, buffer.data(), buffer.size(), out);
    status = count.status();
    if (!count.ok() || *count == 0) break;
    TakeHttp2({buffer.data(), *count});
  }
  if (phase_ == Phase::kClosed) return;
  if (!out.empty()) Send(out);
  if (!status.ok()) Fail(Message(status));
}

void H2Connection::TakeHttp2(std::string_view bytes) {
  in_callbacks_ = true;
  const ssize_t count = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  in_callbacks_ = false;
  if (phase_ == Phase::kClosed) return;
  if (!owner_) return Goodbye();
  if (count < 0) return Fail(nghttp2_strerror(static_cast<int>(count)));
  if (nghttp2_session_want_write(session_) != 0) flush_.Post();
}

// -- sending

void H2Connection::Flush() {
  const auto self = shared_from_this();
  if (phase_ == Phase::kClosed) return;
  if (connect_error_ != 0) return OnNotConnected(std::exchange(connect_error_, 0));
  if (!unsent_.empty()) Send({});
  while (phase_ != Phase::kClosed && session_ && unsent_.empty()) {
    CollectFrames();
    if (phase_ == Phase::kClosed || buffers_.frames.empty()) break;
    SendFrames();
  }
  if (!owner_) return Goodbye();
  if (phase_ == Phase::kReady && draining_ && calls_.empty() && unsent_.empty()) {
    Fail("it has said goodbye");
  }
}

void H2Connection::CollectFrames() {
  std::string& frames = buffers_.frames;
  frames.clear();
  ssize_t count = 0;
  in_callbacks_ = true;
  while (frames.size() < kLargeBatch && phase_ != Phase::kClosed) {
    const std::uint8_t* bytes = nullptr;
    count = nghttp2_session_mem_send(session_, &bytes);
    if (count <= 0) break;
    frames.append(View(bytes, static_cast<std::size_t>(count)));
  }
  in_callbacks_ = false;
  if (count < 0 && phase_ != Phase::kClosed) Fail(nghttp2_strerror(static_cast<int>(count)));
}

void H2Connection::SendFrames() {
  if (!tls_) return Send(buffers_.frames);
  buffers_.records.clear();
  const Status status = tls_->Write(buffers_.frames, buffers_.records);
  if (!status.ok()) return Fail(Message(status));
  Send(buffers_.records);
}

// After what the socket has not taken before.
void H2Connection::Send(std::string_view bytes) {
  const bool late = !unsent_.empty();
  if (late) {
    unsent_.append(bytes);
    bytes = unsent_;
  }
  while (!bytes.empty()) {
    const ssize_t count = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      return Fail(std::strerror(errno));
    }
  }
  if (late) {
    unsent_.erase(0, unsent_.size() - bytes.size());
  } else if (!bytes.empty()) {
    unsent_ = bytes;
  }
}

void H2Connection::OnAlarm() {
  const auto self = shared_from_this();
  if (phase_ != Phase::kReady) return Fail("it does not answer");
  if (asked_for_life_) return Fail("it does not answer a PING");
  if (loop_.batch_time() < heard_ + kKeepaliveTime) return alarm_.Set(heard_ + kKeepaliveTime);
  asked_for_life_ = true;
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  flush_.Post();
  alarm_.Set(loop_.batch_time() + kKeepaliveTimeout);
}

// -- calls

void H2Connection::Start(Call& call) {
  const std::array<nghttp2_nv, 8> headers = {Header(":method", "POST"),
                                             Header(":scheme", tls_ ? "https" : "http"),
                                             Header(":path", call.path_),
                                             Header(":authority", server_.authority),
                                             Header("te", "trailers"),
                                             Header("content-type", "application/grpc"),
                                             Header("user-agent", "kiln-farm-load"),
                                             Header("grpc-accept-encoding", "identity")};
  nghttp2_data_provider messages{};
  messages.read_callback = Callbacks::ReadMessages;
  call.host_ = this;
  call.place_ = calls_.size();
  calls_.push_back(&call);
  call.stream_ =
      nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), &messages, &call);
  flush_.Post();
  if (call.stream_ < 0) {
    return call.EndSoon(
        Error(StatusCode::kUnavailable, server_.address, ": ", nghttp2_strerror(call.stream_)));
  }
  call.OnStarted();
}

Call* H2Connection::CallOn(std::int32_t stream) const {
  return static_cast<Call*>(nghttp2_session_get_stream_user_data(session_, stream));
}

void H2Connection::Remove(Call& call) {
  calls_.back()->place_ = call.place_;
  calls_[call.place_] = calls_.back();
  calls_.pop_back();
  if (call.stream_ > 0) nghttp2_session_set_stream_user_data(session_, call.stream_, nullptr);
  call.Detach();
  if (draining_ && calls_.empty()) flush_.Post();
}

void H2Connection::Abandon(Call& call) {
  Remove(call);
  if (call.stream_ <= 0) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, call.stream_, NGHTTP2_CANCEL);
  flush_.Post();
}

void H2Connection::Resume(Call& call) {
  if (!std::exchange(call.paused_, false)) return;
  nghttp2_session_resume_data(session_, call.stream_);
  flush_.Post();
}

void H2Connection::Finish(Call& call, const Status& status) {
  if (call.all_sent_) {
    Remove(call);
  } else {
    Abandon(call);  // the server has had enough: nothing more is sent
  }
  call.OnEnd(status);
}

// -- the end

void H2Connection::Fail(const std::string& what) {
  Close(Error(StatusCode::kUnavailable, server_.address, ": ", what,
              goaway_.empty() ? "" : " (" + goaway_ + ")"));
}

void H2Connection::Close(const Status& why) {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  CloseSocket();
  alarm_.Clear();
  flush_.Clear();
  if (owner_) owner_->OnClosed(*this, why);
  // One that is told may destroy others.
  while (!calls_.empty()) {
    Call& call = *calls_.back();
    Remove(call);
    call.OnEnd(why);
  }
}

void H2Connection::CloseSocket() {
  if (fd_ < 0) return;
  loop_.Forget(fd_, *this);
  close(fd_);
  fd_ = -1;
}

void H2Connection::Drop() {
  owner_ = nullptr;
  while (!calls_.empty()) Abandon(*calls_.back());
  if (!in_callbacks_) Goodbye();
}

// As much of it as the socket takes at once.
void H2Connection::Goodbye() {
  if (phase_ == Phase::kReady && unsent_.empty()) {
    nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
    const std::uint8_t* bytes = nullptr;
    std::string frames, records;
    for (ssize_t count = 0; (count = nghttp2_session_mem_send(session_, &bytes)) > 0;) {
      frames.append(View(bytes, static_cast<std::size_t>(count)));
    }
    if (tls_ && tls_->Write(frames, records).ok()) tls_->Shutdown(records);
    Send(tls_ ? records : frames);
  }
  Close(Error(StatusCode::kCancelled, "dropped"));
}

}  // namespace kiln::load
