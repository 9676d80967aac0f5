#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>

struct grpc_call;

namespace kiln {

// These are the lists of devices that have been made and not yet been read by those who asked, with
// their bytes counted. Whoever does not read the ones that it has asked for loses them, the oldest
// first, rather than that others get none. Thread-safe.
class OpenLists {
 public:
  struct Entry {
    grpc_call* call = nullptr;
    std::string connection;
    std::size_t bytes = 0;
    bool broken_off = false;  // its memory is about to be free
  };
  using Place = std::list<Entry>::iterator;

  // `make` makes the list that answers the call and returns its length in bytes; one at a time,
  // since that takes several times its memory. Nullopt: it was not called, since too many lists are
  // on their way, to this connection or in all.
  std::optional<Place> Add(grpc_call* call, const std::string& connection,
                           const std::function<std::size_t()>& make);
  // It has been read, or never will be.
  void Remove(Place place);

 private:
  bool MayAdd(const std::string& connection) const;
  grpc_call* BreakOff(Entry& entry);
  Entry& OldestOfLargest();

  std::mutex making_;
  mutable std::mutex mutex_;                    // guards what follows
  std::list<Entry> entries_;                    // the oldest first
  std::map<std::string, std::size_t> bytes_;    // by connection
  std::size_t all_bytes_ = 0, kept_bytes_ = 0;  // the latter without what is broken off
};

}  // namespace kiln
