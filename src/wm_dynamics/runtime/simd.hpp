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
WM_INLINE float sum(Vec v) {
  return reduced(v, [](Vec a, Vec b) { return a + b; })[0];
}
WM_INLINE float largest(Vec v) {
  return reduced(v, [](Vec a, Vec b) { return at_least(a, b); })[0];
}
template <int... I>
WM_INLINE VecInt lanes(std::integer_sequence<int, I...>) {
  return VecInt{I...};
}
WM_INLINE int32_t least(VecInt v) {
  return reduced(v, [](VecInt a, VecInt b) { return a < b ? a : b; })[0];
}

// Cody-Waite reduction and the polynomial of Cephes' expf; relative error 2e-7.
WM_INLINE Vec exp(Vec x) {
  x = at_most(all(88.f), at_least(all(-87.f), x));
  const Vec shifted = x * 1.44269504f + 12582912.f;  // rounds to the nearest integer
  const Vec n = shifted - 12582912.f;
  const Vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
  Vec p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  VecBits bits;
  std::memcpy(&bits, &shifted, sizeof bits);  // the integer sits in the low bits of the mantissa
  bits = (bits + 127) << 23;
  Vec power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}
WM_INLINE Vec sigmoid(Vec x) { return 1.f / (1.f + exp(-x)); }
WM_INLINE Vec silu(Vec x) { return x / (1.f + exp(-x)); }
WM_INLINE Vec tanh(Vec x) { return 1.f - 2.f / (1.f + exp(2.f * x)); }

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
