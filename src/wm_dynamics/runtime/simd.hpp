// Vectors of floats with GCC's vector types, and the functions that networks need of them.
//
// Compiled once per instruction set: WM_NS names the copy, WM_LANES says how many floats a vector
// has. Comparisons are written so that what is not a number stays so.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace wm::WM_NS {

constexpr int kVec = WM_LANES;
typedef float Vec __attribute__((vector_size(WM_LANES * 4)));
typedef uint32_t VecBits __attribute__((vector_size(WM_LANES * 4)));
typedef int32_t VecInt __attribute__((vector_size(WM_LANES * 4)));

#define WM_INLINE static inline __attribute__((always_inline))

WM_INLINE Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
WM_INLINE void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
WM_INLINE Vec all(float x) { return x - Vec{}; }
WM_INLINE Vec at_least(Vec low, Vec x) { return low > x ? low : x; }
WM_INLINE Vec at_most(Vec high, Vec x) { return high < x ? high : x; }

// Lanes moved down by W, those that fall off come back at the top.
template <int W, class V, int... I>
WM_INLINE V rotated(V v, std::integer_sequence<int, I...>) {
#ifdef __clang__
  return __builtin_shufflevector(v, v, (I + W) % kVec...);
#else
  return __builtin_shuffle(v, VecBits{uint32_t((I + W) % kVec)...});
#endif
}

// All lanes as one by a function of two, in every lane of what it gives.
template <int W = kVec / 2, class V, class F>
WM_INLINE V reduced(V v, F both) {
  v = both(v, rotated<W>(v, std::make_integer_sequence<int, kVec>()));
  if constexpr (W > 1)
    return reduced<W / 2>(v, both);
  else
    return v;
}
WM_INLINE Vec sums(Vec v) {
  return reduced(v, [](Vec a, Vec b) { return a + b; });
}
WM_INLINE float sum(Vec v) { return sums(v)[0]; }
WM_INLINE Vec largest(Vec v) {
  return reduced(v, [](Vec a, Vec b) { return at_least(a, b); });
}
template <int... I>
WM_INLINE VecInt lanes(std::integer_sequence<int, I...>) {
  return VecInt{I...};
}
WM_INLINE int32_t least(VecInt v) {
  return reduced(v, [](VecInt a, VecInt b) { return a < b ? a : b; })[0];
}

// 2^r for r in [-1/2, 1/2]: the polynomial of degree 5 whose largest relative error is least; in
// float32 2.2e-7.
WM_INLINE Vec power_of_fraction(Vec r) {
  Vec p = 1.32764725e-3f * r + 9.67554189e-3f;
  p = p * r + 5.55071309e-2f;
  p = p * r + 2.40221202e-1f;
  p = p * r + 6.93146944e-1f;
  return p * r + 1.f;
}
constexpr float kLog2E = 1.44269504f;

#ifdef __AVX512F__
constexpr __mmask16 kAllLanes = 0xFFFF;  // without a mask GCC 12 warns of its own headers
WM_INLINE Vec exp(Vec x) {
  x = at_most(all(88.f), x);
  const Vec n = (Vec)_mm512_maskz_roundscale_ps(kAllLanes, (__m512)(x * kLog2E), 0);
  return (Vec)_mm512_maskz_scalef_ps(kAllLanes, (__m512)power_of_fraction(x * kLog2E - n), (__m512)n);
}
// 1 / x for x in [1, 1e38]: 14 bits and one step of Newton's method, relative error 1e-7.
WM_INLINE Vec inverse(Vec x) {
  const Vec y = (Vec)_mm512_maskz_rcp14_ps(kAllLanes, (__m512)x);
  return y + y * (1.f - x * y);
}
#else
WM_INLINE Vec exp(Vec x) {
  x = at_most(all(88.f), at_least(all(-87.f), x));
  const Vec shifted = x * kLog2E + 12582912.f;  // rounds to the nearest integer
  const Vec p = power_of_fraction(x * kLog2E - (shifted - 12582912.f));
  VecBits bits;
  std::memcpy(&bits, &shifted, sizeof bits);  // the integer sits in the low bits of the mantissa
  bits = (bits + 127) << 23;
  Vec power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}
WM_INLINE Vec inverse(Vec x) { return 1.f / x; }
#endif
WM_INLINE Vec sigmoid(Vec x) { return inverse(1.f + exp(-x)); }
WM_INLINE Vec silu(Vec x) { return x * sigmoid(x); }
WM_INLINE Vec tanh(Vec x) { return 1.f - 2.f * sigmoid(-2.f * x); }

// Zeroed memory on cache lines.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t count) : size_(count) {
    const size_t bytes = (count * sizeof(T) + 127) / 64 * 64;  // a vector may be read past the end
    void* memory = std::aligned_alloc(64, bytes);
    if (!memory) throw std::bad_alloc();
    std::memset(memory, 0, bytes);
    data_.reset(static_cast<T*>(memory));
  }
  operator T*() { return data_.get(); }
  operator const T*() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace wm::WM_NS
