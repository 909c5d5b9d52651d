// The planner's random numbers, to the bit those of wm_planner/philox.py, which says where they
// are from. Compiled without fused multiply-add, which would round otherwise than Python does.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace wm::plan {

struct Draw {  // which numbers: equal draws are equal numbers
  uint64_t seed;
  uint32_t plan, iteration;
};

typedef std::array<uint32_t, 4> Words;

inline Words philox(Words x, uint32_t key, uint32_t other_key) {
  for (int turn = 0; turn < 10; turn++) {
    const uint64_t one = uint64_t(0xD2511F53u) * x[0], other = uint64_t(0xCD9E8D57u) * x[2];
    x = {uint32_t(other >> 32) ^ x[1] ^ key, uint32_t(other), uint32_t(one >> 32) ^ x[3] ^ other_key,
         uint32_t(one)};
    key += 0x9E3779B9u;
    other_key += 0xBB67AE85u;
  }
  return x;
}

// Words 4 * block to 4 * block + 3 of one channel (0 steer, 1 accel) of one candidate.
inline Words words(const Draw& draw, uint32_t candidate, int channel, int block) {
  const Words counter = {uint32_t(2 * block + channel), candidate, draw.iteration, draw.plan};
  return philox(counter, uint32_t(draw.seed), uint32_t(draw.seed >> 32));
}

inline double uniform(uint32_t word) { return (word + 0.5) * 0x1p-32; }

inline double polynomial(const double (&c)[8], double x) {
  double total = c[7];
  for (int i = 6; i >= 0; i--) total = total * x + c[i];
  return total;
}

// Of a positive number.
inline double logarithm(double x) {
  int exponent;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < 0.7071067811865476) {
    mantissa = 2.0 * mantissa;
    exponent--;
  }
  const double share = (mantissa - 1.0) / (mantissa + 1.0), square = share * share;
  constexpr int terms = 10;
  double series = 1.0 / (2 * terms - 1);
  for (int i = terms - 2; i >= 0; i--) series = series * square + 1.0 / (2 * i + 1);
  return 2.0 * share * series + exponent * 0.6931471805599453;
}

inline double normal(uint32_t word) {
  static constexpr double centre[2][8] = {
      {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
       1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
       3.3430575583588128105e4, 2.5090809287301226727e3},
      {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
       2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
       5.2264952788528545610e3}};
  static constexpr double tail[2][8] = {
      {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
       3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
       2.27238449892691845833e-2, 7.74545014278341407640e-4},
      {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
       1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
       1.05075007164441684324e-9}};
  const double p = uniform(word), off = p - 0.5;
  if (std::fabs(off) <= 0.425) {
    const double x = 0.180625 - off * off;
    return off * (polynomial(centre[0], x) / polynomial(centre[1], x));
  }
  const double x = std::sqrt(-logarithm(off < 0.0 ? p : 1.0 - p)) - 1.6;
  const double outer = polynomial(tail[0], x) / polynomial(tail[1], x);
  return off < 0.0 ? -outer : outer;
}

}  // namespace wm::plan
