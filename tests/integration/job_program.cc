#include "tests/integration/job_program.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/frame.h"

namespace kiln {
namespace {

// Opens both ends and returns the streams of whoever gets the second.
Streams WithSocket(int& ours, int& theirs) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ours = ends[0];
  theirs = ends[1];
  Streams streams;
  streams.helper = theirs;
  return streams;
}

}  // namespace

JobProgram::JobProgram(const Scratch& scratch, const std::string& order,
                       const std::vector<std::string>& command)
    : program_(scratch, command, WithSocket(socket_, theirs_)) {
  close(theirs_);
  const timeval patience{kPatience.count(), 0};
  EXPECT_EQ(setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  EXPECT_TRUE(WriteFrame(socket_, order));
}

JobProgram::~JobProgram() { HangUp(); }

void JobProgram::HangUp() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

std::optional<nlohmann::json> JobProgram::Next() {
  std::string frame;
  if (!ReadFrame(socket_, frame)) return std::nullopt;
  said_.push_back(nlohmann::json::parse(frame, nullptr, false));
  EXPECT_TRUE(said_.back().is_object() && said_.back().contains("event")) << frame;
  return said_.back();
}

bool JobProgram::ReadUntil(const std::function<bool(const nlohmann::json&)>& condition) {
  while (const auto next = Next()) {
    if (condition(*next)) return true;
  }
  return false;
}

bool JobProgram::ReadUntilEvent(const std::string& name) {
  return ReadUntil([&](const nlohmann::json& said) { return said["event"] == name; });
}

nlohmann::json JobProgram::End() {
  while (Next()) {
  }
  const bool has_ended = !said_.empty() && said_.back()["event"] == "ended";
  EXPECT_TRUE(has_ended) << (said_.empty() ? "it said nothing" : said_.back().dump())
                         << program_.err();
  return has_ended ? said_.back() : nlohmann::json::object();
}

std::vector<nlohmann::json> JobProgram::Said(const std::string& event) const {
  std::vector<nlohmann::json> said;
  for (const nlohmann::json& each : said_) {
    if (each["event"] == event) said.push_back(each);
  }
  return said;
}

}  // namespace kiln
