#pragma once

#include <poll.h>

#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace kiln {

// This is a network between two programs that a test can cut without a word to either: what they
// send is taken and goes nowhere, and no connection ends. It carries every connection to its address
// to a server, on a thread of its own.
class CuttableLink {
 public:
  // HOST:PORT or unix:PATH each; a port of 0: the system picks.
  CuttableLink(const std::string& listen, const std::string& server);
  ~CuttableLink();
  CuttableLink(const CuttableLink&) = delete;
  CuttableLink& operator=(const CuttableLink&) = delete;

  const std::string& address() const { return address_; }
  // When it returns not a byte passes any more, and nobody is connected anew.
  void Cut();
  // What was under way arrives, if its connection still stands at both ends, and new connections do.
  void Restore();

 private:
  // What comes from one end and has not gone to the other yet.
  struct Direction {
    int from = -1, to = -1;
    std::string bytes;
    bool ended = false;  // and the other end has been told
  };
  struct Connection {
    Direction there, back;
  };

  void Carry();
  void AddWaits(std::vector<pollfd>& waits) const;
  void Accept();
  void Wake() const;
  static bool Move(Direction& direction);
  static bool Move(Connection& connection);

  const std::string server_;
  std::string address_;
  int listener_ = -1, wake_ = -1;
  std::mutex mutex_;  // guards what follows
  bool cut_ = false, stopping_ = false;
  std::list<Connection> connections_;
  std::thread thread_;
};

// A server that listens on unix:PATH is at the returned address from now on, and whoever dials its
// own one reaches the link that is put there.
std::string MoveAside(const std::string& address);

}  // namespace kiln
