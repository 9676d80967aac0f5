#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/status.h"
#include "proto/security.h"
#include "tests/base/temporary_directory.h"

namespace kiln {

// This is a directory of certificates that scripts/make-certs has made, and that goes with this.
class TestFarm {
 public:
  // Runs make-certs with the arguments, as a shell reads them.
  void Make(const std::string& arguments) const {
    const std::string command = "exec '" KILN_SOURCE_DIR "/scripts/make-certs' --dir '" +
                                place_.path().string() + "' " + arguments + " >/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  void Shell(const std::string& command) const {
    ASSERT_EQ(std::system(("cd '" + place_.path().string() + "' && " + command).c_str()), 0)
        << command;
  }

  std::string File(const std::string& name) const { return place_.File(name); }
  std::string Bytes(const std::string& name) const { return BytesOf(File(name)); }
  TlsFiles Of(const std::string& name) const {
    return {File("ca.crt"), File(name + ".crt"), File(name + ".key"), File("crl.pem")};
  }
  const TemporaryDirectory& place() const { return place_; }

  // Puts the bytes at the name as another program would, in one step.
  void Replace(const std::string& name, const std::string& bytes) const {
    std::filesystem::rename(place_.Write("replacement", bytes), File(name));
  }

 private:
  TemporaryDirectory place_;
};

// NAME.crt and NAME.key that the farm's authority has signed, with these lines of an OpenSSL config
// (and nothing else) for extensions: what make-certs would not make.
inline void MakeOdd(const TestFarm& farm, const std::string& name, const std::string& extensions) {
  farm.place().Write("odd", extensions);
  farm.Shell(
      "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout " + name +
      ".key -subj /CN=odd -out odd.csr 2>/dev/null && openssl x509 -req -in odd.csr -CA ca.crt "
      "-CAkey ca.key -days 2 -extfile odd -out " +
      name + ".crt 2>/dev/null");
}

}  // namespace kiln
