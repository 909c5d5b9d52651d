// Products of a few dozen rows with packed weights.
//
// A layer's weights lie in panels of kPanel outputs: for one input, the weights of all outputs of
// the panel are adjacent, so that a kernel reads them in order while kRows x kPanel sums stay in
// registers. What is left over lies in narrow panels of one vector. With bfloat16 two inputs are
// adjacent for each output, as the dot product instruction wants it.
#pragma once
#include <algorithm>
#include <type_traits>
#include <vector>

#include "model.hpp"
#include "simd.hpp"
#ifdef WM_BF16
#include <immintrin.h>
#endif

namespace wm::WM_NS {

enum Precision { kFloat = 0, kBf16 = 1, kInt8 = 2 };
template <int P>
struct Scalar {  // of activations and weights
  typedef float Type;
  static constexpr int kStep = 1;  // inputs that lie together
  static constexpr int kTail = 0;  // places behind a row, for what belongs to it
};
template <>
struct Scalar<kBf16> {
  typedef uint16_t Type;
  static constexpr int kStep = 2;
  static constexpr int kTail = 0;
};
template <>
struct Scalar<kInt8> {  // see int8.hpp
#ifdef WM_VNNI
  typedef uint8_t Type;
  static constexpr int kStep = 4;
#else
  typedef float Type;
  static constexpr int kStep = 1;
#endif
  static constexpr int kTail = 8 / sizeof(Type);
};

constexpr int kRows = WM_ROWS, kWide = WM_WIDE, kPanel = WM_WIDE * kVec;
constexpr int kDepth = 256;  // inputs of a panel that are used while they are in the first cache

WM_INLINE uint16_t to_bf16(float x) {  // to nearest, ties to even
  uint32_t u;
  std::memcpy(&u, &x, 4);
  if ((u & 0x7FFFFFFFu) > 0x7F800000u) return uint16_t(u >> 16 | 0x40);  // stays not a number
  return uint16_t((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

template <int P>
void put(typename Scalar<P>::Type* to, const float* from, int count) {
  if constexpr (P == kFloat) {
    std::memcpy(to, from, sizeof(float) * count);
  } else {
    int i = 0;
#ifdef WM_BF16
    for (; i + 32 <= count; i += 32) {
      const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + i + 16), _mm512_loadu_ps(from + i));
      std::memcpy(to + i, &both, 64);
    }
#endif
    for (; i < count; i++) to[i] = to_bf16(from[i]);
  }
}

WM_INLINE void put(float* to, Vec from) { store(to, from); }
#ifdef WM_BF16
WM_INLINE void put(uint16_t* to, Vec from) {
  const __m256bh rounded = _mm512_cvtneps_pbh((__m512)from);
  std::memcpy(to, &rounded, sizeof rounded);
}
#endif

template <int P>
struct Layer {
  typedef typename Scalar<P>::Type T;
  int inputs = 0, outputs = 0, steps = 0, wide = 0, narrow = 0;
  Buffer<T> weights;
  Buffer<float> bias;

  Layer() = default;
  // weight(o, i) is any function of output and input.
  template <class F>
  Layer(int outputs_, int inputs_, F weight, const float* bias_)
      : inputs(inputs_), outputs(outputs_) {
    constexpr int step = Scalar<P>::kStep;
    steps = (inputs + step - 1) / step;
    wide = outputs / kPanel;
    narrow = (outputs - wide * kPanel + kVec - 1) / kVec;
    weights = Buffer<T>(size_t(padded()) * steps * step);
    bias = Buffer<float>(padded());
    for (int o = 0; o < outputs; o++) {
      if (bias_) bias[o] = bias_[o];
      const bool in_wide = o < wide * kPanel;
      const int width = in_wide ? kPanel : kVec;
      const int first = in_wide ? o / kPanel * kPanel
                                : wide * kPanel + (o - wide * kPanel) / kVec * kVec;
      T* panel = weights + size_t(first) * steps * step;
      for (int i = 0; i < inputs; i++) {
        const float w = weight(o, i);
        put<P>(&panel[(size_t(i / step) * width + (o - first)) * step + i % step], &w, 1);
      }
    }
  }
  int padded() const { return wide * kPanel + narrow * kVec; }  // columns that are written
};

#define WM_UNROLL _Pragma("GCC unroll 16")

// out[R][V vectors] = start + in[R][steps] * weights; start is the bias, or out itself.
template <int P, int R, int V>
WM_INLINE void tile(const typename Scalar<P>::Type* in, int in_width,
                    const typename Scalar<P>::Type* weights, int steps, float* out, int out_width,
                    const float* bias, bool add) {
  constexpr int width = V * kVec;
  Vec acc[R][V];
  WM_UNROLL for (int r = 0; r < R; r++)
    WM_UNROLL for (int v = 0; v < V; v++)
      acc[r][v] = load(add ? out + r * out_width + v * kVec : bias + v * kVec);
  if constexpr (P == kFloat) {
    for (int k = 0; k < steps; k++) {
      Vec w[V];
      WM_UNROLL for (int v = 0; v < V; v++) w[v] = load(weights + k * width + v * kVec);
      WM_UNROLL for (int r = 0; r < R; r++) {
        const Vec x = all(in[size_t(r) * in_width + k]);
        WM_UNROLL for (int v = 0; v < V; v++) acc[r][v] += x * w[v];
      }
    }
  }
#ifdef WM_BF16
  if constexpr (P == kBf16) {
    for (int k = 0; k < steps; k++) {
      __m512bh w[V];
      WM_UNROLL for (int v = 0; v < V; v++)
        w[v] = (__m512bh)_mm512_loadu_si512(weights + 2 * (k * width + v * kVec));
      WM_UNROLL for (int r = 0; r < R; r++) {
        int32_t pair;
        std::memcpy(&pair, in + size_t(r) * in_width + 2 * k, 4);
        const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
        WM_UNROLL for (int v = 0; v < V; v++)
          acc[r][v] = (Vec)_mm512_dpbf16_ps((__m512)acc[r][v], x, w[v]);
      }
    }
  }
#endif
  WM_UNROLL for (int r = 0; r < R; r++)
    WM_UNROLL for (int v = 0; v < V; v++) store(out + r * out_width + v * kVec, acc[r][v]);
}

// Calls work(first row, how many) for all rows, as many at a time as there are registers for.
template <class F>
WM_INLINE void by_tiles(int rows, F work) {
  // Some tiles of one row less instead of one that is too small to keep the multipliers busy.
  const int lacking = (kRows - 1) * ((kRows - rows % kRows) % kRows);
  const int full = lacking <= rows ? rows - lacking : rows;
  int r = 0;
  for (; r + kRows <= full; r += kRows) work(r, std::integral_constant<int, kRows>());
  for (; r + kRows - 1 <= rows; r += kRows - 1) work(r, std::integral_constant<int, kRows - 1>());
  switch (rows - r) {
    case 1: work(r, std::integral_constant<int, 1>()); break;
    case 2: work(r, std::integral_constant<int, 2>()); break;
#if WM_ROWS > 4
    case 3: work(r, std::integral_constant<int, 3>()); break;
    case 4: work(r, std::integral_constant<int, 4>()); break;
#endif
  }
}

template <int P, int V>
void panel(int rows, const typename Scalar<P>::Type* in, int in_width,
           const typename Scalar<P>::Type* weights, int steps, float* out, int out_width,
           const float* bias, bool add) {
  constexpr int step = Scalar<P>::kStep, width = V * kVec;
  int done = 0;
  do {
    const int now = std::min(kDepth, steps - done);
    const auto* w = weights + size_t(done) * width * step;
    const auto* x = in + done * step;
    const bool more = add || done > 0;
    by_tiles(rows, [&](int r, auto tall) {
      tile<P, decltype(tall)::value, V>(x + size_t(r) * in_width, in_width, w, now,
                                        out + size_t(r) * out_width, out_width, bias, more);
    });
    done += now;
  } while (done < steps);
}

// Outputs [from, from + count) of a layer, both bounds at panels; out's first column is ``from``.
template <int P>
void columns(int rows, const typename Scalar<P>::Type* in, int in_width, const Layer<P>& layer,
             int from, int count, float* out, int out_width, bool add = false) {
  const size_t depth = size_t(layer.steps) * Scalar<P>::kStep;
  const int end = std::min(from + count, layer.padded()), split = layer.wide * kPanel;
  int c = from;
  for (; c < std::min(end, split); c += kPanel)
    panel<P, kWide>(rows, in, in_width, layer.weights + c * depth, layer.steps, out + c - from,
                    out_width, layer.bias + c, add);
  for (; c < end; c += kVec)
    panel<P, 1>(rows, in, in_width, layer.weights + c * depth, layer.steps, out + c - from,
                out_width, layer.bias + c, add);
}

// out (rows, at least padded()) = in (rows, inputs) through the layer.
template <int P>
void multiply(int rows, const typename Scalar<P>::Type* in, int in_width, const Layer<P>& layer,
              float* out, int out_width, bool add = false) {
  columns<P>(rows, in, in_width, layer, 0, layer.padded(), out, out_width, add);
}

}  // namespace wm::WM_NS
