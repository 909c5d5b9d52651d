// One instruction set. Compiled several times, see build_runtime.py: WM_NS and WM_LANES are its
// name and the floats of a vector, WM_ROWS x WM_WIDE vectors of sums fit its registers.
#include <ctime>

#include "rollout.hpp"

#define WM_JOIN_(a, b) a##b
#define WM_JOIN(a, b) WM_JOIN_(a, b)

namespace wm {
namespace WM_NS {

static double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

// Multiplies and adds in registers only; as many sums as the kernels keep.
template <int P>
double peak() {
  typedef std::conditional_t<P == kInt8 && kBytes, VecInt, Vec> Sum;
  constexpr int sums = WM_ROWS * WM_WIDE, rounds = 1 << 19;
  double best = 0;
  for (int repeat = 0; repeat < 9; repeat++) {
    Sum acc[sums];
    Vec total{};
    for (auto& a : acc) a = (Sum)all(1e-9f);
    Vec x = all(0.999f);
    asm volatile("" : "+m"(x));
    const double start = cpu_seconds();
    for (int i = 0; i < rounds; i++) {
      WM_UNROLL for (int s = 0; s < 16; s++) {
        if constexpr (P == kFloat) acc[s % sums] = acc[s % sums] * x + x;
#ifdef WM_BF16
        if constexpr (P == kBf16)
          acc[s % sums] = (Vec)_mm512_dpbf16_ps((__m512)acc[s % sums], (__m512bh)x, (__m512bh)x);
#endif
        if constexpr (P == kInt8) {
#ifdef WM_VNNI
          acc[s % sums] = dot(acc[s % sums], (VecInt)x, (VecInt)x);
#else
          acc[s % sums] = acc[s % sums] * x + x;
#endif
        }
      }
      asm volatile("");
    }
    const double seconds = cpu_seconds() - start;
    for (auto& a : acc) total += (Vec)a;
    asm volatile("" ::"m"(total));
    const double flops = 2.0 * Scalar<P>::kStep * kVec * 16.0 * rounds;
    best = std::max(best, flops / seconds / 1e9);
  }
  return best;
}

}  // namespace WM_NS

double WM_JOIN(peak_, WM_NS)(int precision) {
  if (precision == kPrecisionFloat) return WM_NS::peak<WM_NS::kFloat>();
#ifdef WM_BF16
  if (precision == kPrecisionBf16) return WM_NS::peak<WM_NS::kBf16>();
#endif
  if (precision == kPrecisionInt8) return WM_NS::peak<WM_NS::kInt8>();
  return 0;
}

std::unique_ptr<Engine> WM_JOIN(make_, WM_NS)(const Model& model, int precision, int workers) {
  if (precision == kPrecisionFloat)
    return std::make_unique<WM_NS::Rollout<WM_NS::kFloat>>(model, workers);
#ifdef WM_BF16
  if (precision == kPrecisionBf16)
    return std::make_unique<WM_NS::Rollout<WM_NS::kBf16>>(model, workers);
#endif
  if (precision == kPrecisionInt8) {
    if (model.size.core != 0) throw Refused("int8 is for the gru core; take fp32 or bf16");
    return std::make_unique<WM_NS::Rollout<WM_NS::kInt8>>(model, workers);
  }
  return nullptr;
}

}  // namespace wm
