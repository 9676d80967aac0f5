// Part of every program that uses gRPC and is built for the thread sanitizer. Debian's gRPC is not,
// so the sanitizer would not see that what happened before a thread started an operation happened
// before the operation's callback, which another thread runs: gRPC hands it over in a queue without
// locks. The function here takes the place of the library's: it tells the sanitizer of the start,
// puts itself between the library and the callback, and tells of that too.

#include <dlfcn.h>
#include <grpc/grpc.h>
#include <grpcpp/support/callback_common.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>

namespace {

using Functor = grpc_completion_queue_functor;
using RunFunctor = void (*)(Functor*, int);

// The functions that run the two kinds of callbacks are private. To name them in an explicit
// instantiation is allowed: it makes them what Original() returns.
template <class Tag, RunFunctor kRun>
struct Reveal {
  friend RunFunctor Original(Tag) { return kRun; }
};

struct WithSuccess {
  friend RunFunctor Original(WithSuccess);
};
struct WithStatus {
  friend RunFunctor Original(WithStatus);
};
template struct Reveal<WithSuccess, &grpc::internal::CallbackWithSuccessTag::StaticRun>;
template struct Reveal<WithStatus, &grpc::internal::CallbackWithStatusTag::StaticRun>;

template <class Tag>
void Run(Functor* functor, int ok) {
  __tsan_acquire(functor);
  Original(Tag{})(functor, ok);
}

// Tags of completion queues that have no callbacks are objects of other types; they too begin with
// a pointer, which is none of these functions.
void Interpose(void* tag) {
  auto* functor = static_cast<Functor*>(tag);
  if (functor->functor_run == Original(WithSuccess{})) functor->functor_run = Run<WithSuccess>;
  if (functor->functor_run == Original(WithStatus{})) functor->functor_run = Run<WithStatus>;
}

}  // namespace

extern "C" grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops,
                                                 std::size_t count, void* tag, void* reserved) {
  static const auto library = [] {
    void* function = dlsym(RTLD_NEXT, "grpc_call_start_batch");
    if (function == nullptr) std::abort();
    return reinterpret_cast<decltype(&grpc_call_start_batch)>(function);
  }();
  if (tag != nullptr) {
    Interpose(tag);
    __tsan_release(tag);
  }
  return library(call, ops, count, tag, reserved);
}
