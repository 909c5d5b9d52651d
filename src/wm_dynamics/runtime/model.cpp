#include "model.hpp"

#include <array>
#include <cmath>
#include <cstring>

namespace wm {
namespace {

uint32_t crc32(const unsigned char* data, size_t bytes) {  // as zlib's
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      t[i] = c;
    }
    return t;
  }();
  uint32_t c = 0xFFFFFFFFu;
  for (size_t i = 0; i < bytes; i++) c = table[(c ^ data[i]) & 255] ^ (c >> 8);
  return c ^ 0xFFFFFFFFu;
}

// Hands out consecutive tensors. It first runs without data, to count.
class Reader {
 public:
  explicit Reader(const float* data) : data_(data) {}
  const float* take(uint64_t count) {
    const float* at = data_ ? data_ + used : nullptr;
    used += count;
    return at;
  }
  Dense dense(uint64_t inputs, uint64_t outputs, bool bias = true) {
    const float* weight = take(inputs * outputs);
    return {weight, bias ? take(outputs) : nullptr};
  }
  Norm norm(uint64_t width, bool shift = true) {
    const float* scale = take(width);
    return {scale, shift ? take(width) : nullptr};
  }
  uint64_t used = 0;

 private:
  const float* data_;
};

void lay_out(Model& m, Reader& r) {
  const Sizes& s = m.size;
  const uint64_t deter = s.deter, hidden = s.hidden, ego = s.ego_hidden, heads = s.heads;
  const uint64_t blocks = s.blocks, slice = s.core == 1 ? deter / blocks : 0;
  m.ego[0] = r.dense(7, ego);
  m.ego[1] = r.dense(ego, ego);
  m.ego[2] = r.dense(ego, 6);
  m.ego_scale = r.take(6);
  m.inp = r.dense(s.stoch() + 6, hidden);
  m.inp_norm = r.norm(hidden);
  if (s.core == 0) {
    m.cell = r.dense(hidden + deter, 3 * deter, false);
    m.cell_norm = r.norm(3 * deter);
  } else {
    m.summary = r.dense(deter, hidden, false);
    m.summary_norm = r.norm(hidden, false);
    m.block_hidden.weight = r.take(blocks * (slice + 2 * hidden) * slice);
    m.block_hidden.bias = r.take(deter);
    m.hidden_norm = r.norm(deter, false);
    m.block_gates.weight = r.take(blocks * slice * 3 * slice);
    m.block_gates.bias = r.take(3 * deter);
  }
  m.priors.resize(s.members);
  for (Prior& p : m.priors) {
    p.first = r.dense(deter, hidden);
    p.norm = r.norm(hidden);
    p.last = r.dense(hidden, s.outputs());
  }
  m.head[0] = r.dense(deter + s.stoch(), hidden);
  m.head_norm[0] = r.norm(hidden);
  m.head[1] = r.dense(hidden, hidden);
  m.head_norm[1] = r.norm(hidden);
  m.head[2] = r.dense(hidden, heads);
  m.head_logit = r.take(heads);
  m.head_scale = r.take(heads);
  m.head_shift = r.take(heads);
}

void require(bool holds, const std::string& what) {
  if (!holds) throw Refused("engine image: " + what);
}

void check(const Sizes& s, const Numbers& n) {
  require(s.core == 0 || s.core == 1, "unknown core");
  require(s.latent == 0 || s.latent == 1, "unknown stochastic state");
  for (int width : {s.deter, s.hidden, s.ego_hidden}) {
    require(width >= kLane && width <= 8192, "a width is out of range");
    require(width % kLane == 0, "widths must be multiples of " + std::to_string(kLane));
  }
  if (s.latent == 0) {
    require(s.groups >= 1 && s.groups <= 1024, "groups out of range");
    require(s.classes >= 2 && s.classes <= 256, "classes out of range");
  } else {
    require(s.gauss >= 1 && s.gauss <= 4096, "gaussian_width out of range");
  }
  require(s.members >= 1 && s.members <= 64, "members out of range");
  require(s.heads >= 1 && s.heads <= 256, "heads out of range");
  if (s.core == 1) {
    require(s.blocks >= 1 && s.blocks <= s.deter && s.deter % s.blocks == 0, "blocks");
    require(s.deter / s.blocks % 2 == 0, "a block of the core has an odd width");
  }
  require(n.unimix >= 0.f && n.unimix < 1.f, "unimix out of range");
  require(n.min_std >= 0.f && std::isfinite(n.min_std), "min_std out of range");
  require(n.dt > 0.f && n.dt < 100.f, "dt out of range");
}

}  // namespace

Model parse(const void* data, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  constexpr size_t head = 12, fixed = sizeof(int32_t) * kSizes + sizeof(Numbers);
  require(bytes >= head + fixed, "too short");
  require(std::memcmp(at, "WMRT", 4) == 0, "not an engine image");
  uint32_t version, crc;
  std::memcpy(&version, at + 4, 4);
  std::memcpy(&crc, at + 8, 4);
  require(version == kVersion, "version " + std::to_string(version) + ", this engine reads " +
                                   std::to_string(kVersion) + "; export the model again");
  require(crc32(at + head, bytes - head) == crc, "damaged (checksum)");
  Model m{};
  static_assert(sizeof(Sizes) == sizeof(int32_t) * kSizes);
  std::memcpy(&m.size, at + head, sizeof(Sizes));
  std::memcpy(&m.number, at + head + sizeof(Sizes), sizeof(Numbers));
  check(m.size, m.number);
  Reader counting(nullptr);
  lay_out(m, counting);
  require(bytes - head - fixed == counting.used * sizeof(float), "its size is not what it says");
  m.storage.resize(counting.used);
  std::memcpy(m.storage.data(), at + head + fixed, counting.used * sizeof(float));
  for (float x : m.storage) require(std::isfinite(x), "a weight is not finite");
  Reader reading(m.storage.data());
  lay_out(m, reading);
  return m;
}

}  // namespace wm
