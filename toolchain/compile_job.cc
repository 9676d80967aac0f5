#include "toolchain/compile_job.h"

#include "base/bytes.h"

namespace kiln {

std::string Serialize(const CompileJob& job) {
  ByteWriter out;
  out.Put(JobKind::kCompile);
  out.PutBytes(job.c);
  out.PutBytes(job.symbol);
  out.PutBytes(job.arch);
  out.PutBytes(job.cpu);
  out.PutBytes(job.tune_cpu);
  out.Put(static_cast<std::uint32_t>(job.features.size()));
  for (const std::string& feature : job.features) out.PutBytes(feature);
  out.Put(job.vector_bits);
  out.Put(job.emit);
  return out.Take();
}

bool Deserialize(std::string_view bytes, CompileJob& job) {
  ByteReader in(bytes);
  if (in.Get<JobKind>() != JobKind::kCompile) return false;
  job.c = in.GetBytes();
  job.symbol = in.GetBytes();
  job.arch = in.GetBytes();
  job.cpu = in.GetBytes();
  job.tune_cpu = in.GetBytes();
  const auto features = in.Get<std::uint32_t>();
  job.features.clear();
  for (std::uint32_t i = 0; i < features && in.ok(); ++i) job.features.emplace_back(in.GetBytes());
  job.vector_bits = in.Get<std::int32_t>();
  job.emit = in.Get<EmitKind>();
  return in.ok() && in.at_end() && job.emit <= EmitKind::kRelocatable;
}

std::string Serialize(const CompileReply& reply) {
  ByteWriter out;
  out.Put(reply.outcome);
  out.PutBytes(reply.output);
  out.PutBytes(reply.message);
  out.PutBytes(reply.compiler);
  return out.Take();
}

bool Deserialize(std::string_view bytes, CompileReply& reply) {
  ByteReader in(bytes);
  reply.outcome = in.Get<CompileReply::Outcome>();
  reply.output = in.GetBytes();
  reply.message = in.GetBytes();
  reply.compiler = in.GetBytes();
  return in.ok() && in.at_end() && reply.outcome <= CompileReply::Outcome::kBadJob;
}

}  // namespace kiln
