#include "benchmarks/farm_load/farm.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "benchmarks/farm_load/calls.h"
#include "proto/tracker.pb.h"

namespace kiln::load {
namespace {

constexpr std::chrono::seconds kPatience{120};  // for all devices to connect
constexpr std::chrono::seconds kLeavePatience{20};
constexpr std::size_t kOtherDescriptors = 200;

StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error(StatusCode::kNotFound, "cannot read ", path);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

std::string Beside(const CredentialFiles& files, const std::string& name) {
  return files.directory + "/" + name;
}

// Of a device or, with its name, of the clients.
StatusOr<Credential> ReadCredential(const CredentialFiles& files, const std::string& name) {
  Credential credential;
  if (!files.enabled()) return credential;
  const TlsFiles all = FilesOf(files, name);
  ASSIGN_OR_RETURN(credential.ca, ReadText(all.ca));
  ASSIGN_OR_RETURN(credential.cert, ReadText(all.cert));
  ASSIGN_OR_RETURN(credential.key, ReadText(all.key));
  return credential;
}

void AddTrackerFiles(const CredentialFiles& files, std::vector<std::string>* arguments) {
  if (!files.enabled()) return;
  const TlsFiles all = FilesOf(files, "tracker");
  const auto add = [&](const char* option, const std::string& file) {
    if (!file.empty()) arguments->insert(arguments->end(), {option, file});
  };
  add("--ca", all.ca);
  add("--cert", all.cert);
  add("--key", all.key);
  add("--crl", all.crl);
}

}  // namespace

TlsFiles FilesOf(const CredentialFiles& files, const std::string& name) {
  if (files.directory.empty()) return {files.ca, files.cert, files.key, files.crl};
  return {Beside(files, "ca.crt"), Beside(files, name + ".crt"), Beside(files, name + ".key"),
          Beside(files, "crl.pem")};
}

std::vector<std::string> DeviceNames(const FarmOptions& options) {
  std::vector<std::string> names;
  for (std::int32_t i = 1; i <= options.devices; ++i) {
    names.push_back(fmt::format("{}{:04}", options.prefix, i));
  }
  return names;
}

StatusOr<TrackerProcess> Farm::OpenTracker(const FarmOptions& options) {
  const auto wanted =
      static_cast<std::size_t>(options.devices + options.clients) + kOtherDescriptors;
  if (const std::size_t limit = RaiseDescriptorLimit(wanted); limit < wanted) {
    return Error(StatusCode::kResourceExhausted, "the limit of descriptors is ", limit, ", ",
                 options.devices, " devices take ", wanted, ": ulimit -n ", wanted);
  }
  TrackerOptions tracker = options.tracker;
  AddTrackerFiles(options.credentials, &tracker.arguments);
  return TrackerProcess::Open(tracker);
}

StatusOr<std::unique_ptr<Farm>> Farm::Open(FarmOptions options, TrackerProcess tracker) {
  options.device.names = DeviceNames(options);
  for (const std::string& name : options.device.names) {
    RETURN_IF_ERROR(ReadCredential(options.credentials, name).status());
    if (options.credentials.directory.empty()) break;
  }
  RETURN_IF_ERROR(ReadCredential(options.credentials, options.credentials.client).status());
  options.device.seed = options.seed;
  options.device.credential = [files = options.credentials](const std::string& name) {
    StatusOr<Credential> credential = ReadCredential(files, name);
    return credential.ok() ? *std::move(credential) : Credential();
  };
  std::unique_ptr<Farm> farm(new Farm(std::move(options), std::move(tracker)));
  RETURN_IF_ERROR(farm->FindTracker());
  return farm;
}

Farm::Farm(FarmOptions options, TrackerProcess tracker)
    : options_(std::move(options)),
      tracker_(std::move(tracker)),
      seeds_(options_.seed ^ 0xC11E47) {}

Status Farm::FindTracker() {
  ASSIGN_OR_RETURN(dialer_,
                   Dialer::Open(loop_, {tracker_.address(), options_.credentials.tls_name}));
  devices_ = std::make_unique<SimulatedDevices>(*dialer_, options_.device);
  ledger_ = std::make_unique<LeaseLedger>(*devices_);
  return absl::OkStatus();
}

Status Farm::ConnectDevices() {
  if (!devices_->Connect(kPatience)) {
    return Error(StatusCode::kUnavailable, devices_->connected(), " of ", options_.devices,
                 " devices connected; the last to fail said: ", devices_->counts().last_end);
  }
  // A hello has no answer, so the tracker's list says when all have been taken.
  LeaseClient& asker = AddClient("load-asker");
  std::size_t listed = 0;
  std::string why;
  bool answered = false;
  RepeatedCall<v1::ListDevicesRequest, v1::ListDevicesReply> list(
      asker.channel(), "/kiln.v1.Tracker/ListDevices", [&] {
        const auto& all = list.reply().devices();
        listed = static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& d) {
          return d.target() == options_.device.target && d.state() != v1::DeviceEntry::STATE_LOST;
        }));
        why = Message(list.status());
        answered = true;
      });
  const auto wanted = static_cast<std::size_t>(options_.devices);
  const SteadyTime until = LoadLoop::Now() + kPatience;
  while (listed < wanted && LoadLoop::Now() < until && !LoadLoop::interrupted()) {
    answered = false;
    list.Start();
    if (!loop_.RunUntil([&] { return answered; }, kPatience)) {
      list.Cancel();
      loop_.BeginLeaving();
      loop_.RunUntil([&] { return answered; }, kLeavePatience);
      break;
    }
    if (listed < wanted) loop_.RunFor(std::chrono::milliseconds(100));
  }
  if (listed >= wanted) return absl::OkStatus();
  if (LoadLoop::interrupted()) return Error(StatusCode::kCancelled, "interrupted");
  return Error(StatusCode::kUnavailable, "the tracker lists ", listed, " of ", wanted, " devices ",
               why);
}

LeaseClient& Farm::AddClient(const std::string& name) {
  StatusOr<Credential> credential =
      ReadCredential(options_.credentials, options_.credentials.client);
  clients_.push_back(std::make_unique<LeaseClient>(
      *dialer_, *ledger_, credential.ok() ? *credential : Credential(), name, NextSeed()));
  return *clients_.back();
}

void Farm::Close() {
  loop_.BeginLeaving();
  devices_->Close(kLeavePatience);
}

double Quantile(std::vector<float> values, double p) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::size_t>(p * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::chrono::nanoseconds Seconds(double seconds) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

}  // namespace kiln::load
