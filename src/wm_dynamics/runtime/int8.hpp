// Products of small integers: weights of each output as -127..127 times a scale, each row of
// activations as 0..255 times a scale on top of its least number. Sums are exact in int32, so that
// every instruction set computes the same; wm_dynamics/reference_int8.py says it in numpy.
//
// A row is followed by its scale and its least number, kTail places. Where the processor multiplies
// bytes (VNNI), four inputs are adjacent for each output; elsewhere the integers are kept as floats
// and multiplied as such, which is exact for kExact inputs at a time.
#pragma once
#include <cmath>

#include "gemm.hpp"

namespace wm::WM_NS {

struct RowRange {
  float scale, least;
};

#ifdef WM_VNNI
constexpr bool kBytes = true;
#if WM_LANES == 16
WM_INLINE VecInt dot(VecInt acc, VecInt x, VecInt w) {  // by hand: GCC 12 spills the sums
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
  return acc;
}
#else
WM_INLINE VecInt dot(VecInt acc, VecInt x, VecInt w) {
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(x), "x"(w));
  return acc;
}
#endif
#else
constexpr bool kBytes = false;
constexpr int kExact = 512;  // 512 * 255 * 127 < 2^24
#endif

// width numbers, a multiple of kVec, and behind them their range. What is not finite makes the
// least number not a number, and so all that is computed of the row.
inline void quantise(const float* x, int width, Scalar<kInt8>::Type* to) {
  Vec low = load(x), high = low, odd{};
  for (int i = 0; i < width; i += kVec) {
    const Vec v = load(x + i);
    low = at_most(low, v);
    high = at_least(high, v);
    odd += v - v;
  }
  const float least = reduced(low, [](Vec a, Vec b) { return at_most(a, b); })[0];
  const float span = largest(high)[0] - least;
  const float factor = 255.f / (span > 1e-30f ? span : 1e-30f);
  for (int i = 0; i < width; i += kVec) {
    const Vec shifted = (load(x + i) - least) * factor + 12582912.f;  // to the nearest integer
    if constexpr (kBytes) {
      typedef uint8_t Bytes __attribute__((vector_size(kVec)));
      VecBits bits;
      std::memcpy(&bits, &shifted, sizeof bits);
      const Bytes bytes = __builtin_convertvector(bits & 255, Bytes);
      std::memcpy(to + i, &bytes, sizeof bytes);
    } else {
      put((float*)to + i, shifted - 12582912.f);
    }
  }
  const RowRange range{span / 255.f, least + sum(odd)};
  std::memcpy(to + width, &range, sizeof range);
}

template <>
inline void put<kInt8>(Scalar<kInt8>::Type* to, const float* from, int count) {
  quantise(from, count, to);
}

template <>
struct Layer<kInt8> {
  typedef std::conditional_t<kBytes, int8_t, float> T;
  int inputs = 0, outputs = 0, steps = 0, wide = 0, narrow = 0;
  Buffer<T> weights;
  Buffer<float> bias, scale, sums;  // sums: of an output's weights, as they are multiplied

  Layer() = default;
  template <class F>
  Layer(int outputs_, int inputs_, F weight, const float* bias_)
      : inputs(inputs_), outputs(outputs_) {
    constexpr int step = Scalar<kInt8>::kStep;
    steps = inputs / step;  // widths are multiples of 16
    wide = outputs / kPanel;
    narrow = (outputs - wide * kPanel + kVec - 1) / kVec;
    weights = Buffer<T>(size_t(padded()) * inputs);
    bias = Buffer<float>(padded());
    scale = Buffer<float>(padded());
    sums = Buffer<float>(padded());
    for (int o = 0; o < outputs; o++) {
      if (bias_) bias[o] = bias_[o];
      float most = 0;
      for (int i = 0; i < inputs; i++) most = std::max(most, std::fabs(weight(o, i)));
      scale[o] = most / 127.f;
      const float factor = 127.f / std::max(most, 1e-30f);
      const bool in_wide = o < wide * kPanel;
      const int width = in_wide ? kPanel : kVec;
      const int first = in_wide ? o / kPanel * kPanel
                                : wide * kPanel + (o - wide * kPanel) / kVec * kVec;
      T* panel = weights + size_t(first) * inputs;
      int total = 0;
      for (int i = 0; i < inputs; i++) {
        const int q = int(std::nearbyint(weight(o, i) * factor));
        panel[(size_t(i / step) * width + (o - first)) * step + i % step] = T(q);
        total += q;
      }
      sums[o] = scale[o] * float(total);
    }
  }
  int padded() const { return wide * kPanel + narrow * kVec; }
};

// out[R][V vectors] = start + in[R][inputs] * weights of the columns from ``c`` on.
template <int R, int V>
WM_INLINE void byte_tile(const Scalar<kInt8>::Type* in, int in_width, const Layer<kInt8>& layer,
                         int c, float* out, int out_width, bool add) {
  constexpr int width = V * kVec;
  const Layer<kInt8>::T* weights = layer.weights + size_t(c) * layer.inputs;
  VecInt acc[R][V]{};
#ifdef WM_VNNI
  for (int k = 0; k < layer.steps; k++) {
    VecInt w[V];
    WM_UNROLL for (int v = 0; v < V; v++)
      std::memcpy(&w[v], weights + 4 * (k * width + v * kVec), sizeof w[v]);
    WM_UNROLL for (int r = 0; r < R; r++) {
      int32_t four;
      std::memcpy(&four, in + size_t(r) * in_width + 4 * k, 4);
      const VecInt x = four - VecInt{};
      WM_UNROLL for (int v = 0; v < V; v++) acc[r][v] = dot(acc[r][v], x, w[v]);
    }
  }
#else
  for (int done = 0; done < layer.steps; done += kExact) {
    Vec part[R][V]{};
    for (int k = done; k < std::min(done + kExact, layer.steps); k++) {
      Vec w[V];
      WM_UNROLL for (int v = 0; v < V; v++) w[v] = load(weights + k * width + v * kVec);
      WM_UNROLL for (int r = 0; r < R; r++) {
        const Vec x = all(in[size_t(r) * in_width + k]);
        WM_UNROLL for (int v = 0; v < V; v++) part[r][v] += x * w[v];
      }
    }
    WM_UNROLL for (int r = 0; r < R; r++)
      WM_UNROLL for (int v = 0; v < V; v++)
        acc[r][v] += __builtin_convertvector(part[r][v], VecInt);
  }
#endif
  WM_UNROLL for (int r = 0; r < R; r++) {
    RowRange range;
    std::memcpy(&range, in + size_t(r) * in_width + layer.inputs, sizeof range);
    WM_UNROLL for (int v = 0; v < V; v++) {
      const int at = c + v * kVec;
      float* to = out + r * out_width + v * kVec;
      const Vec start = load(add ? to : layer.bias + at);
      const Vec product = __builtin_convertvector(acc[r][v], Vec) * range.scale;
      store(to, start + product * load(layer.scale + at) + range.least * load(layer.sums + at));
    }
  }
}

template <>
inline void columns<kInt8>(int rows, const Scalar<kInt8>::Type* in, int in_width,
                           const Layer<kInt8>& layer, int from, int count, float* out,
                           int out_width, bool add) {
  const int end = std::min(from + count, layer.padded()), split = layer.wide * kPanel;
  const auto of_width = [&](int c, auto vectors) {
    by_tiles(rows, [&](int r, auto tall) {
      byte_tile<decltype(tall)::value, decltype(vectors)::value>(
          in + size_t(r) * in_width, in_width, layer, c, out + size_t(r) * out_width + c - from,
          out_width, add);
    });
  };
  int c = from;
  for (; c < std::min(end, split); c += kPanel) of_width(c, std::integral_constant<int, kWide>());
  for (; c < end; c += kVec) of_width(c, std::integral_constant<int, 1>());
}

}  // namespace wm::WM_NS
