#pragma once

#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace kiln {

// This reads what a child prints, to know its last line. All on the thread of the context.
class OutputTail {
 public:
  // Owns the descriptor, the reading end of the child's pipe.
  OutputTail(boost::asio::io_context& io, int output);
  ~OutputTail();

  // Until the end; `owner`, which has this object, is kept until then.
  void Read(std::shared_ptr<void> owner);
  // The child has ended: takes what is left in the pipe, without waiting for those who may still
  // hold its other end, and closes it.
  void Finish();
  std::string last_line() const;

 private:
  struct Pipe;
  const std::unique_ptr<Pipe> pipe_;
};

}  // namespace kiln
