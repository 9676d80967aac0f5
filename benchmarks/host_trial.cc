#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "tests/kernel_host/host_process.h"
#include "tests/kernel_host/test_kernels.h"

// What a trial costs beside the kernel's own calls, by the real kiln-host and the kernels of its
// tests: those take microseconds.

namespace kiln {
namespace {

HostRequest Timed(const std::string& kernel, int threads) {
  HostRequest request = NaiveRequest(kernel);
  request.plan.time = true;
  request.plan.threads = threads;
  return request;
}

double Milliseconds(HostProcess& host, const HostRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  host.Ask(request);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double Median(int count, const std::function<double()>& sample) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(sample());
  std::nth_element(values.begin(), values.begin() + count / 2, values.end());
  return values[static_cast<std::size_t>(count / 2)];
}

int Main() {
  if (TestKernel("good").empty()) {
    std::fputs("the test kernels were not built: clang-19 is not installed\n", stderr);
    return 1;
  }
  HostProcess host;
  const HostRequest verified = NaiveRequest("good"), crashing = NaiveRequest("null_write");
  const HostRequest one = Timed("good", 1), two = Timed("good", 2);
  Milliseconds(host, verified);
  const auto median_of = [&](const HostRequest& request) {
    return Median(100, [&] { return Milliseconds(host, request); });
  };
  std::printf("verify only: %.2f ms\n", median_of(verified));
  std::printf("timed (10 x 20 us, 200 us warm-up): %.2f ms, on 2 threads: %.2f ms\n",
              median_of(one), median_of(two));
  const double after_crash = Median(50, [&] {
    Milliseconds(host, crashing);
    return Milliseconds(host, verified);
  });
  std::printf("crash: %.2f ms, the trial after it: %.2f ms\n", median_of(crashing), after_crash);
  return 0;
}

}  // namespace
}  // namespace kiln

int main() { return kiln::Main(); }
