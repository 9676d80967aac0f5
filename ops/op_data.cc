#include "ops/op_data.h"

#include "base/bytes.h"

namespace kiln {

std::string Serialize(const OpCase& op_case) {
  const OpValues& values = op_case.values;
  ByteWriter out;
  out.PutVector(values.w);
  out.PutVector(values.bias);
  out.PutVector(values.multiplier);
  out.PutVector(values.shift);
  out.PutVector(values.scale);
  out.Put(values.x_zp);
  out.Put(values.w_zp);
  out.Put(values.y_zp);
  out.Put(values.act_min);
  out.Put(values.act_max);
  out.PutVector(op_case.x);
  return out.Take();
}

bool Deserialize(std::string_view bytes, OpCase& op_case) {
  OpValues& values = op_case.values;
  ByteReader in(bytes);
  values.w = in.GetVector<std::uint8_t>();
  values.bias = in.GetVector<std::int32_t>();
  values.multiplier = in.GetVector<std::int32_t>();
  values.shift = in.GetVector<std::int32_t>();
  values.scale = in.GetVector<float>();
  values.x_zp = in.Get<std::int32_t>();
  values.w_zp = in.Get<std::int32_t>();
  values.y_zp = in.Get<std::int32_t>();
  values.act_min = in.Get<std::int32_t>();
  values.act_max = in.Get<std::int32_t>();
  op_case.x = in.GetVector<std::uint8_t>();
  return in.ok() && in.at_end();
}

}  // namespace kiln
