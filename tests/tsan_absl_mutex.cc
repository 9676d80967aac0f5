// Part of every program that is built for the thread sanitizer. Debian's abseil is not, so the
// sanitizer would not see its locks and call all that they guard a race. These functions take the
// place of the library's, for us and for gRPC, whose locks they are too: they tell the sanitizer,
// then call the library's. What runs between pre_... and post_... is ignored by the sanitizer;
// conditions are evaluated there, whoever's thread does it.

#include <absl/synchronization/mutex.h>
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>
#include <type_traits>

namespace {

constexpr unsigned kWrite = 0;
constexpr unsigned kRead = __tsan_mutex_read_lock;

// The library's function of this (mangled) name, as one whose first argument is `this`.
template <typename Function>
Function* Library(const char* symbol) {
  void* function = dlsym(RTLD_NEXT, symbol);
  if (function == nullptr) std::abort();
  return reinterpret_cast<Function*>(function);
}

// Whether this thread is in one of the library's functions: they call each other by these names,
// and the sanitizer has been told already.
thread_local bool inside = false;

template <typename Call>
auto Inside(Call call) {
  struct Mark {
    Mark() { inside = true; }
    ~Mark() { inside = false; }
  } const mark;
  return call();
}

template <typename Lock>
auto Locking(void* mutex, unsigned kind, Lock lock) {
  if (inside) return lock();
  __tsan_mutex_pre_lock(mutex, kind);
  if constexpr (std::is_void_v<decltype(lock())>) {
    Inside(lock);
    __tsan_mutex_post_lock(mutex, kind, 0);
  } else {
    const auto result = Inside(lock);
    __tsan_mutex_post_lock(mutex, kind, 0);
    return result;
  }
}

template <typename TryLock>
bool TryLocking(void* mutex, unsigned kind, TryLock try_lock) {
  if (inside) return try_lock();
  __tsan_mutex_pre_lock(mutex, kind | __tsan_mutex_try_lock);
  const bool locked = Inside(try_lock);
  const unsigned failed = locked ? 0 : __tsan_mutex_try_lock_failed;
  __tsan_mutex_post_lock(mutex, kind | __tsan_mutex_try_lock | failed, 0);
  return locked;
}

template <typename Unlock>
void Unlocking(void* mutex, unsigned kind, Unlock unlock) {
  if (inside) return unlock();
  __tsan_mutex_pre_unlock(mutex, kind);
  Inside(unlock);
  __tsan_mutex_post_unlock(mutex, kind);
}

// Gives a lock that is held for writing away and has it again in the end.
template <typename Wait>
auto Waiting(void* mutex, Wait wait) {
  Unlocking(mutex, kWrite, [] {});
  return Locking(mutex, kWrite, wait);
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const auto library = Library<void(Mutex*)>("_ZN4absl7debian35Mutex4LockEv");
  Locking(this, kWrite, [this] { library(this); });
}

void Mutex::Unlock() {
  static const auto library = Library<void(Mutex*)>("_ZN4absl7debian35Mutex6UnlockEv");
  Unlocking(this, kWrite, [this] { library(this); });
}

bool Mutex::TryLock() {
  static const auto library = Library<bool(Mutex*)>("_ZN4absl7debian35Mutex7TryLockEv");
  return TryLocking(this, kWrite, [this] { return library(this); });
}

void Mutex::ReaderLock() {
  static const auto library = Library<void(Mutex*)>("_ZN4absl7debian35Mutex10ReaderLockEv");
  Locking(this, kRead, [this] { library(this); });
}

void Mutex::ReaderUnlock() {
  static const auto library = Library<void(Mutex*)>("_ZN4absl7debian35Mutex12ReaderUnlockEv");
  Unlocking(this, kRead, [this] { library(this); });
}

void Mutex::LockWhen(const Condition& condition) {
  static const auto library =
      Library<void(Mutex*, const Condition&)>("_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE");
  Locking(this, kWrite, [&] { library(this, condition); });
}

void Mutex::Await(const Condition& condition) {
  static const auto library =
      Library<void(Mutex*, const Condition&)>("_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE");
  Waiting(this, [&] { library(this, condition); });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static const auto library = Library<bool(Mutex*, const Condition&, Duration)>(
      "_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return Waiting(this, [&] { return library(this, condition, timeout); });
}

void CondVar::Wait(Mutex* mutex) {
  static const auto library =
      Library<void(CondVar*, Mutex*)>("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  Waiting(mutex, [&] { library(this, mutex); });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto library = Library<bool(CondVar*, Mutex*, Duration)>(
      "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  return Waiting(mutex, [&] { return library(this, mutex, timeout); });
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static const auto library = Library<bool(CondVar*, Mutex*, Time)>(
      "_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  return Waiting(mutex, [&] { return library(this, mutex, deadline); });
}

ABSL_NAMESPACE_END
}  // namespace absl
