#pragma once

#include <string>

#include "base/status.h"

namespace kiln {

// What a program proves itself with and checks its peers by: names of PEM files. Without `ca` it
// speaks plaintext.
struct TlsFiles {
  std::string ca;  // the farm's authority: its certificate
  std::string cert,
      key;          // this program's certificate, signed by the authority, and its private key
  std::string crl;  // for servers: what the authority has revoked; may be empty
  bool enabled() const { return !ca.empty(); }
};

// What the holder of a certificate may be. Kept in it as a URI among its alternative names,
// kiln://ROLE/NAME; a device's has also the DNS name that DeviceHostName() makes of its name.
enum class Role { kClient, kDevice, kAdmin, kTracker };

const char* Name(Role role);  // "client"

// Whose a credential is.
struct Principal {
  Role role = Role::kClient;
  std::string name;

  bool operator==(const Principal&) const = default;
};

// The host name that a device's certificate is valid for, wherever the device is: "NAME.device.kiln".
std::string DeviceHostName(const std::string& device);

}  // namespace kiln
