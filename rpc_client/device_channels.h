#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "proto/security.h"
#include "rpc_client/tracker_client.h"

namespace grpc {
class Channel;
}

namespace kiln {

// These are a client's connections to devices, kept from one lease of a device to the next: over TLS
// a new one takes longer than a trial. Thread-safe.
class DeviceChannels {
 public:
  explicit DeviceChannels(TlsFiles tls);
  ~DeviceChannels();

  // To the device of a lease; connects when it is first used. Over TLS its certificate must be that
  // of the device which was granted, wherever it is.
  std::shared_ptr<grpc::Channel> To(const GrantedLease& lease);
  // Which protocol its device speaks, as Greet() has found out; nullopt: nobody has greeted it yet.
  std::optional<int> Protocol(const std::shared_ptr<grpc::Channel>& channel);
  void SetProtocol(const std::shared_ptr<grpc::Channel>& channel, int protocol);
  // A call on it has failed: the next lease has a new one.
  void Forget(const std::shared_ptr<grpc::Channel>& channel);

 private:
  struct Entry {
    std::string address, device;
    std::shared_ptr<grpc::Channel> channel;
    std::optional<int> protocol{};
  };
  const TlsFiles tls_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the last one used first
};

}  // namespace kiln
