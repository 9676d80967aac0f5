#include "toolchain/estimate_job.h"

#include "base/bytes.h"

namespace kiln {

std::string Serialize(const EstimateJob& job) {
  ByteWriter out;
  out.Put(JobKind::kEstimate);
  out.PutBytes(job.object);
  out.PutBytes(job.arch);
  out.PutBytes(job.cpu);
  out.Put(static_cast<std::uint32_t>(job.blocks.size()));
  for (const CountedBlock& block : job.blocks) {
    out.Put(block.offset);
    out.Put(block.bytes);
    out.Put(block.count);
  }
  return out.Take();
}

bool Deserialize(std::string_view bytes, EstimateJob& job) {
  ByteReader in(bytes);
  if (in.Get<JobKind>() != JobKind::kEstimate) return false;
  job.object = in.GetBytes();
  job.arch = in.GetBytes();
  job.cpu = in.GetBytes();
  const auto blocks = in.Get<std::uint32_t>();
  job.blocks.clear();
  for (std::uint32_t i = 0; i < blocks && in.ok(); ++i) {
    CountedBlock& block = job.blocks.emplace_back();
    block.offset = in.Get<std::uint64_t>();
    block.bytes = in.Get<std::uint32_t>();
    block.count = in.Get<std::uint64_t>();
  }
  return in.ok() && in.at_end();
}

std::string Serialize(const EstimateReply& reply) {
  ByteWriter out;
  out.Put(reply.outcome);
  out.Put(reply.cycles);
  out.Put(reply.instructions);
  out.Put(reply.simulated_share);
  out.PutBytes(reply.message);
  return out.Take();
}

bool Deserialize(std::string_view bytes, EstimateReply& reply) {
  ByteReader in(bytes);
  reply.outcome = in.Get<EstimateReply::Outcome>();
  reply.cycles = in.Get<double>();
  reply.instructions = in.Get<double>();
  reply.simulated_share = in.Get<double>();
  reply.message = in.GetBytes();
  return in.ok() && in.at_end() && reply.outcome <= EstimateReply::Outcome::kBadJob;
}

}  // namespace kiln
