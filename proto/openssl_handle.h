#pragma once

#include <memory>

namespace kiln {

template <auto kFree>
struct OpenSslFree {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

// An object of OpenSSL's with one owner, and the function that frees it: OpenSslHandle<X509, X509_free>.
template <typename T, auto kFree>
using OpenSslHandle = std::unique_ptr<T, OpenSslFree<kFree>>;

}  // namespace kiln
