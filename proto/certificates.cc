#include "proto/certificates.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "proto/openssl_handle.h"

namespace kiln {
namespace {

constexpr std::size_t kLargestFile = 4 << 20;
constexpr std::size_t kLargestPem = 64 << 10;
constexpr std::string_view kScheme = "kiln://";
constexpr std::chrono::seconds kLookEvery{1};
// So many peers are known at once, about 1 kB each; one more, and all are read anew.
constexpr std::size_t kMostPeers = 16 << 10;

using BioPtr = OpenSslHandle<BIO, BIO_free>;
using X509Ptr = OpenSslHandle<X509, X509_free>;
using CrlPtr = OpenSslHandle<X509_CRL, X509_CRL_free>;
using KeyPtr = OpenSslHandle<EVP_PKEY, EVP_PKEY_free>;
using StorePtr = OpenSslHandle<X509_STORE, X509_STORE_free>;
using StoreContextPtr = OpenSslHandle<X509_STORE_CTX, X509_STORE_CTX_free>;
using NamesPtr = OpenSslHandle<GENERAL_NAMES, GENERAL_NAMES_free>;

// Leaves no error of ours behind in the thread's queue, which gRPC reads too.
class QuietErrors {
 public:
  QuietErrors() { ERR_set_mark(); }
  ~QuietErrors() { ERR_pop_to_mark(); }
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;
};

// Nobody is asked for a passphrase.
int NoPassphrase(char*, int, int, void*) { return -1; }

BioPtr Text(std::string_view pem) {
  return BioPtr(
      BIO_new_mem_buf(pem.data(), static_cast<int>(std::min<std::size_t>(pem.size(), INT_MAX))));
}

// All certificates in the text, in their order.
std::vector<X509Ptr> CertificatesIn(std::string_view pem) {
  std::vector<X509Ptr> found;
  const BioPtr text = Text(pem);
  while (X509Ptr one{PEM_read_bio_X509(text.get(), nullptr, NoPassphrase, nullptr)}) {
    found.push_back(std::move(one));
  }
  return found;
}

std::vector<CrlPtr> CrlsIn(std::string_view pem) {
  std::vector<CrlPtr> found;
  const BioPtr text = Text(pem);
  while (CrlPtr one{PEM_read_bio_X509_CRL(text.get(), nullptr, NoPassphrase, nullptr)}) {
    found.push_back(std::move(one));
  }
  return found;
}

StatusOr<std::string> ReadPem(const std::string& path) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "re"));
  if (!file) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return Error(StatusCode::kNotFound, "no such file: ", path);
    }
    return Error(error == EACCES ? StatusCode::kPermissionDenied : StatusCode::kInvalidArgument,
                 path, ": ", std::strerror(error));
  }
  std::string bytes;
  std::array<char, 4096> part;
  while (const std::size_t count = std::fread(part.data(), 1, part.size(), file.get())) {
    bytes.append(part.data(), count);
    if (bytes.size() > kLargestFile) {
      return Error(StatusCode::kInvalidArgument, path, ": too large for PEM");
    }
  }
  if (std::ferror(file.get())) {
    return Error(StatusCode::kInvalidArgument, path, ": ", std::strerror(errno));
  }
  return bytes;
}

WallTime TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return WallTime();  // long ago
  // The range of system_clock ends in 2262; a certificate may say 9999.
  const auto longest =
      std::chrono::duration_cast<std::chrono::seconds>(WallTime::max().time_since_epoch());
  const std::chrono::seconds since(timegm(&parts));
  return WallTime(std::clamp(since, -longest, longest));
}

std::string Minute(WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts);
  return text.data();
}

// "CN" of a subject; all of it if it has none.
std::string CommonName(const X509_NAME* name) {
  std::array<char, 256> text{};
  auto* whole = const_cast<X509_NAME*>(name);  // older signatures
  if (X509_NAME_get_text_by_NID(whole, NID_commonName, text.data(), static_cast<int>(text.size())) >
      0) {
    std::string common = text.data();
    std::replace_if(
        common.begin(), common.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return common;
  }
  X509_NAME_oneline(name, text.data(), static_cast<int>(text.size()));
  return text.data();
}

std::string_view View(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

bool IsCertificateName(std::string_view name) {
  const auto plain = [](unsigned char c) { return c < 128 && std::isalnum(c); };
  return !name.empty() && name.size() <= 63 && plain(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](unsigned char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
}

std::optional<Principal> ParseUri(std::string_view uri) {
  if (!uri.starts_with(kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  for (const Role role : {Role::kClient, Role::kDevice, Role::kAdmin, Role::kTracker}) {
    const std::string start = std::string(Name(role)) + "/";
    if (uri.starts_with(start) && IsCertificateName(uri.substr(start.size()))) {
      return Principal{role, std::string(uri.substr(start.size()))};
    }
  }
  return std::nullopt;
}

std::string AddressText(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (bytes.size() == 4) inet_ntop(AF_INET, bytes.data(), text.data(), text.size());
  if (bytes.size() == 16) inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

Certificate Read(const X509* x509) {
  Certificate certificate;
  certificate.not_before = TimeOf(X509_get0_notBefore(x509));
  certificate.not_after = TimeOf(X509_get0_notAfter(x509));
  certificate.authority = CommonName(X509_get_issuer_name(x509));
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x509, NID_subject_alt_name, nullptr, nullptr)));
  int uris = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) certificate.hosts.emplace_back(View(name->d.dNSName));
    if (name->type == GEN_IPADD) certificate.hosts.push_back(AddressText(View(name->d.iPAddress)));
    if (name->type == GEN_URI && View(name->d.uniformResourceIdentifier).starts_with(kScheme)) {
      ++uris;
      certificate.principal = ParseUri(View(name->d.uniformResourceIdentifier));
    }
  }
  if (uris != 1) certificate.principal.reset();
  return certificate;
}

// What tells a certificate from all others: its issuer and its serial number.
std::string Key(const X509_NAME* issuer, const ASN1_INTEGER* serial) {
  const unsigned char* der = nullptr;
  std::size_t size = 0;
  X509_NAME_get0_der(issuer, &der, &size);
  std::string key(reinterpret_cast<const char*>(der), size);
  key += ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER ? '-' : '+';
  return key.append(View(serial));
}

std::string Key(const X509* x509) {
  return Key(X509_get_issuer_name(x509), X509_get0_serialNumber(x509));
}

using Revoked = std::unordered_set<std::string>;

StatusOr<std::vector<X509Ptr>> ReadAuthority(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string pem, ReadPem(path));
  std::vector<X509Ptr> found = CertificatesIn(pem);
  if (!found.empty()) return found;
  return Error(StatusCode::kInvalidArgument, path,
               " holds no certificate in PEM form: --ca wants ca.crt");
}

bool IsSignedByOneOf(const std::vector<X509Ptr>& authority, X509_CRL* crl) {
  return std::any_of(authority.begin(), authority.end(), [&](const X509Ptr& signer) {
    EVP_PKEY* key = X509_get0_pubkey(signer.get());
    return X509_NAME_cmp(X509_get_subject_name(signer.get()), X509_CRL_get_issuer(crl)) == 0 &&
           key && X509_CRL_verify(crl, key) == 1;
  });
}

StatusOr<Revoked> ReadRevoked(const TlsFiles& files, const std::vector<X509Ptr>& authority) {
  Revoked revoked;
  if (files.crl.empty()) return revoked;
  ASSIGN_OR_RETURN(const std::string pem, ReadPem(files.crl));
  const std::vector<CrlPtr> crls = CrlsIn(pem);
  if (crls.empty()) {
    return Error(StatusCode::kInvalidArgument, files.crl,
                 " holds no list of revoked certificates in PEM form: --crl wants crl.pem");
  }
  for (const CrlPtr& crl : crls) {
    if (!IsSignedByOneOf(authority, crl.get())) {
      return Error(StatusCode::kInvalidArgument, files.crl, " is not signed by ", files.ca,
                   ": take both from one directory of scripts/make-certs");
    }
    STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(crl.get());
    for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
      revoked.insert(Key(X509_CRL_get_issuer(crl.get()),
                         X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i))));
    }
  }
  return revoked;
}

// "certs/box.crt ..." if not.
Status CheckTime(const std::string& what, WallTime not_before, WallTime not_after, WallTime now,
                 StatusCode code) {
  if (now > not_after) {
    return Error(code, what, " expired on ", Day(not_after), " (the clock here says ", Day(now),
                 "): scripts/make-certs renew makes a new one");
  }
  if (now < not_before) {
    return Error(code, what, " is not valid before ", Minute(not_before),
                 ", and the clock here says ", Minute(now), ": is it right?");
  }
  return absl::OkStatus();
}

// Beside --ca.
Status CheckOptions(const TlsFiles& files) {
  const auto missing = [](const std::string& given, const char* wanted, const char* what) {
    return Error(StatusCode::kInvalidArgument, given, " needs ", wanted, " as well, ", what);
  };
  const std::string given = !files.cert.empty()  ? "--cert " + files.cert
                            : !files.key.empty() ? "--key " + files.key
                            : !files.ca.empty()  ? "--ca " + files.ca
                                                 : "--crl " + files.crl;
  if (files.ca.empty())
    return missing(given, "--ca ca.crt", "the certificate of the farm's authority");
  if (files.cert.empty()) {
    return missing(given, "--cert NAME.crt", "a certificate that the authority has signed");
  }
  if (files.key.empty()) return missing(given, "--key NAME.key", "the key of the certificate");
  return absl::OkStatus();
}

Status CheckKey(const TlsFiles& files, const X509* x509) {
  ASSIGN_OR_RETURN(const std::string pem, ReadPem(files.key));
  const BioPtr text = Text(pem);
  const KeyPtr key(PEM_read_bio_PrivateKey(text.get(), nullptr, NoPassphrase, nullptr));
  if (!key && pem.find("ENCRYPTED") != std::string::npos) {
    return Error(StatusCode::kInvalidArgument, files.key,
                 " has a passphrase: a program needs a key without one");
  }
  if (!key) {
    return Error(StatusCode::kInvalidArgument, files.key,
                 " holds no private key in PEM form: --key wants NAME.key");
  }
  if (X509_check_private_key(x509, key.get()) == 1) return absl::OkStatus();
  return Error(StatusCode::kInvalidArgument, files.key, " is not the key of ", files.cert);
}

Status CheckChain(const TlsFiles& files, const std::vector<X509Ptr>& chain,
                  const std::vector<X509Ptr>& authority, WallTime now) {
  const StorePtr store(X509_STORE_new());
  for (const X509Ptr& one : authority) X509_STORE_add_cert(store.get(), one.get());
  X509_STORE_set_flags(store.get(), X509_V_FLAG_NO_CHECK_TIME);  // in words of our own, below
  const OpenSslHandle<STACK_OF(X509), [](STACK_OF(X509) * s) { sk_X509_free(s); }> others(
      sk_X509_new_null());
  for (std::size_t i = 1; i < chain.size(); ++i) sk_X509_push(others.get(), chain[i].get());
  const StoreContextPtr context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), chain[0].get(), others.get());
  if (X509_verify_cert(context.get()) != 1) {
    return Error(StatusCode::kFailedPrecondition, files.cert, " is not signed by the authority ",
                 files.ca, " (that is `", CommonName(X509_get_subject_name(authority[0].get())),
                 "`, it says `", CommonName(X509_get_issuer_name(chain[0].get())), "`; ",
                 X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())), ")");
  }
  const STACK_OF(X509)* verified = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i < sk_X509_num(verified); ++i) {
    const X509* one = sk_X509_value(verified, i);
    RETURN_IF_ERROR(CheckTime(i == 0 ? files.cert : "the authority " + files.ca,
                              TimeOf(X509_get0_notBefore(one)), TimeOf(X509_get0_notAfter(one)),
                              now, StatusCode::kFailedPrecondition));
  }
  return absl::OkStatus();
}

const char* ProgramOf(Role role) {
  switch (role) {
    case Role::kDevice:
      return "kiln-server";
    case Role::kTracker:
      return "kiln-tracker";
    default:
      return "kiln";
  }
}

std::string NoRole(const std::string& what, const std::string& wanted) {
  return what + " names no role of Kiln (want kiln://" + wanted +
         "/NAME among its alternative names): make it with scripts/make-certs";
}

Status CheckRole(const TlsFiles& files, const X509* x509, std::optional<Role> role) {
  const Certificate certificate = Read(x509);
  if (!certificate.principal) {
    return Error(StatusCode::kFailedPrecondition,
                 NoRole(files.cert, Name(role.value_or(Role::kClient))));
  }
  const Role own = certificate.principal->role;
  if (!role || own == *role || (*role == Role::kClient && own == Role::kAdmin))
    return absl::OkStatus();
  return Error(StatusCode::kFailedPrecondition, ProgramOf(*role),
               " needs a certificate with the role ", Name(*role), ", ", files.cert, " is that of ",
               Describe(*certificate.principal));
}

// Which file it was, when it is looked at again.
struct FileMark {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = -1;
  std::int64_t modified_ns = 0, changed_ns = 0;
  bool operator==(const FileMark&) const = default;
};

FileMark MarkOf(const std::string& path) {
  const auto count = [](const timespec& time) {
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
  };
  struct stat found {};
  if (path.empty() || stat(path.c_str(), &found) != 0) return {};
  return {found.st_dev, found.st_ino, found.st_size, count(found.st_mtim), count(found.st_ctim)};
}

class FilePeerBook final : public PeerBook {
 public:
  FilePeerBook(TlsFiles files, const Clock& clock, std::function<void(const std::string&)> report)
      : files_(std::move(files)), clock_(clock), report_(std::move(report)) {}

  // The first look, which must succeed.
  Status Open() {
    next_look_ = Steady(kLookEvery);
    ca_mark_ = MarkOf(files_.ca);
    crl_mark_ = MarkOf(files_.crl);
    return Load();
  }

  StatusOr<Principal> Identify(std::string_view pem) override {
    LookAgainWhenDue();
    const WallTime now = clock_.Today();
    {
      const std::shared_lock lock(mutex_);
      if (const auto found = peers_.find(pem); found != peers_.end())
        return Judge(found->second, now);
    }
    const QuietErrors quiet;
    if (pem.empty()) {
      return Error(StatusCode::kUnauthenticated,
                   "no certificate: give --ca, --cert and --key (scripts/make-certs makes them)");
    }
    const std::vector<X509Ptr> chain =
        pem.size() <= kLargestPem ? CertificatesIn(pem) : std::vector<X509Ptr>();
    if (chain.empty()) {
      return Error(StatusCode::kUnauthenticated, "the certificate is not one in PEM form");
    }
    Peer peer{Read(chain[0].get()), false};
    const std::string key = Key(chain[0].get());
    const std::unique_lock lock(mutex_);
    peer.revoked = revoked_.contains(key);
    if (peers_.size() >= kMostPeers) peers_.clear();
    return Judge(peers_.try_emplace(std::string(pem), std::move(peer)).first->second, now);
  }

  std::uint64_t generation() override {
    LookAgainWhenDue();
    return generation_.load();
  }

 private:
  struct Peer {
    Certificate certificate;
    bool revoked = false;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };

  static StatusOr<Principal> Judge(const Peer& peer, WallTime now) {
    const Certificate& certificate = peer.certificate;
    if (certificate.principal && !peer.revoked && now >= certificate.not_before &&
        now <= certificate.not_after) {
      return *certificate.principal;
    }
    if (!certificate.principal) {
      return Error(StatusCode::kUnauthenticated, NoRole("the certificate", "client"));
    }
    const std::string what = "the certificate of " + Describe(*certificate.principal);
    if (peer.revoked) return Error(StatusCode::kUnauthenticated, what, " has been revoked");
    return CheckTime(what, certificate.not_before, certificate.not_after, now,
                     StatusCode::kUnauthenticated);
  }

  std::int64_t Steady(Nanoseconds later = Nanoseconds(0)) const {
    return Nanoseconds(clock_.Now().time_since_epoch() + later).count();
  }

  Status Load() {
    const QuietErrors quiet;
    ASSIGN_OR_RETURN(const std::vector<X509Ptr> authority, ReadAuthority(files_.ca));
    ASSIGN_OR_RETURN(Revoked revoked, ReadRevoked(files_, authority));
    const std::unique_lock lock(mutex_);
    if (revoked == revoked_) return absl::OkStatus();
    revoked_ = std::move(revoked);
    peers_.clear();  // each is read anew when it calls next
    ++generation_;
    return absl::OkStatus();
  }

  void LookAgainWhenDue() {
    if (Steady() < next_look_.load(std::memory_order_relaxed)) return;
    const std::unique_lock looking(looking_, std::try_to_lock);
    if (!looking.owns_lock()) return;  // somebody does
    next_look_ = Steady(kLookEvery);
    const FileMark ca = MarkOf(files_.ca), crl = MarkOf(files_.crl);
    if (ca == ca_mark_ && crl == crl_mark_) return;
    ca_mark_ = ca;
    crl_mark_ = crl;
    const Status loaded = Load();
    if (!loaded.ok() && report_) {
      report_(Message(loaded) +
              "; until it is mended, what was revoked before stays so, and nothing else is");
    }
  }

  const TlsFiles files_;
  const Clock& clock_;
  const std::function<void(const std::string&)> report_;

  std::atomic<std::int64_t> next_look_ = 0;  // of the steady clock, in nanoseconds
  std::atomic<std::uint64_t> generation_ = 1;

  std::mutex looking_;
  FileMark ca_mark_, crl_mark_;

  std::shared_mutex mutex_;
  Revoked revoked_;
  std::unordered_map<std::string, Peer, Hash, std::equal_to<>> peers_;  // by PEM
};

}  // namespace

StatusOr<Certificate> ReadCertificate(std::string_view pem) {
  const QuietErrors quiet;
  const std::vector<X509Ptr> found = CertificatesIn(pem);
  if (found.empty()) return Error(StatusCode::kInvalidArgument, "no certificate in PEM form");
  return Read(found[0].get());
}

StatusOr<Certificate> ReadCertificateFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string pem, ReadPem(path));
  StatusOr<Certificate> certificate = ReadCertificate(pem);
  if (certificate.ok()) return certificate;
  return Error(certificate.status().code(), path, " holds ", Message(certificate.status()));
}

std::string Describe(const Principal& principal) {
  return std::string(Name(principal.role)) + " " + principal.name;
}

std::string Day(WallTime time) { return Minute(time).substr(0, std::strlen("2026-11-25")); }

Status CheckTlsFiles(const TlsFiles& files, std::optional<Role> role, WallTime now) {
  if (files.ca.empty() && files.cert.empty() && files.key.empty() && files.crl.empty()) {
    return absl::OkStatus();
  }
  const QuietErrors quiet;
  RETURN_IF_ERROR(CheckOptions(files));
  ASSIGN_OR_RETURN(const std::vector<X509Ptr> authority, ReadAuthority(files.ca));
  ASSIGN_OR_RETURN(const std::string pem, ReadPem(files.cert));
  const std::vector<X509Ptr> chain = CertificatesIn(pem);
  if (chain.empty()) {
    return Error(StatusCode::kInvalidArgument, files.cert,
                 " holds no certificate in PEM form: --cert wants NAME.crt");
  }
  RETURN_IF_ERROR(CheckKey(files, chain[0].get()));
  ASSIGN_OR_RETURN(const Revoked revoked, ReadRevoked(files, authority));
  RETURN_IF_ERROR(CheckRole(files, chain[0].get(), role));
  RETURN_IF_ERROR(CheckChain(files, chain, authority, now));
  if (!revoked.contains(Key(chain[0].get()))) return absl::OkStatus();
  return Error(StatusCode::kFailedPrecondition, files.cert, " has been revoked, says ", files.crl,
               ": scripts/make-certs makes another one");
}

StatusOr<std::unique_ptr<PeerBook>> OpenPeerBook(const TlsFiles& files, const Clock& clock,
                                                 std::function<void(const std::string&)> report) {
  auto book = std::make_unique<FilePeerBook>(files, clock, std::move(report));
  RETURN_IF_ERROR(book->Open());
  return book;
}

}  // namespace kiln
