// What happens between the products: norms, gates, tables, and the stochastic state.
#pragma once
#include <cmath>
#include <type_traits>

#include "int8.hpp"

namespace wm::WM_NS {

constexpr float kLayerEpsilon = 1e-5f, kRmsEpsilon = 1.1920929e-7f;  // torch's defaults

// A norm's parameters; shift is empty for RMSNorm.
struct Scale {
  Buffer<float> scale, shift;
  Scale() = default;
  Scale(const Norm& norm, int width) : scale(width), shift(norm.shift ? width : 0) {
    std::memcpy(scale, norm.scale, sizeof(float) * width);
    if (norm.shift) std::memcpy(shift, norm.shift, sizeof(float) * width);
  }
};

// Calls work(first row, how many) for all rows, four at a time while there are four.
template <class F>
WM_INLINE void by_fours(int rows, F work) {
  int r = 0;
  for (; r + 4 <= rows; r += 4) work(r, std::integral_constant<int, 4>());
  for (; r < rows; r++) work(r, std::integral_constant<int, 1>());
}

// Of R rows at once: a row's sums are chains in which every link waits for the one before.
// A normalised number is x * factor - mean * factor, ``less`` for short.
template <int R>
WM_INLINE void moments(const float* x, size_t x_width, int width, float* factor, float* less) {
  Vec total[R]{}, squares[R]{};
  float mean[R];
  for (int i = 0; i < width; i += kVec)
    WM_UNROLL for (int r = 0; r < R; r++) total[r] += load(x + r * x_width + i);
  WM_UNROLL for (int r = 0; r < R; r++) mean[r] = sum(total[r]) / width;
  for (int i = 0; i < width; i += kVec)
    WM_UNROLL for (int r = 0; r < R; r++) {
      const Vec off = load(x + r * x_width + i) - mean[r];
      squares[r] += off * off;
    }
  WM_UNROLL for (int r = 0; r < R; r++) {
    factor[r] = 1.f / std::sqrt(sum(squares[r]) / width + kLayerEpsilon);
    less[r] = mean[r] * factor[r];
  }
}

// LayerNorm of rows, and SiLU; out may be x. With int8 x is overwritten: a row's range is known when
// all of it is.
template <bool Silu, int P>
void layer_norm(int rows, float* x, size_t x_width, int width, const Scale& p,
                typename Scalar<P>::Type* out, size_t out_width) {
  const float *scale = p.scale, *shift = p.shift;
  by_fours(rows, [&](int r, auto count) {
    constexpr int R = decltype(count)::value;
    float* from = x + r * x_width;
    auto* to = out + r * out_width;
    float factor[R], less[R];
    moments<R>(from, x_width, width, factor, less);
    for (int i = 0; i < width; i += kVec) {
      const Vec times = load(scale + i), plus = load(shift + i);
      WM_UNROLL for (int n = 0; n < R; n++) {
        const Vec y = (load(from + n * x_width + i) * factor[n] - less[n]) * times + plus;
        if constexpr (P == kInt8)
          store(from + n * x_width + i, Silu ? silu(y) : y);
        else
          put(to + n * out_width + i, Silu ? silu(y) : y);
      }
    }
    if constexpr (P == kInt8)
      for (int n = 0; n < R; n++) quantise(from + n * x_width, width, to + n * out_width);
  });
}

WM_INLINE void rms_norm_silu(float* x, int width, const Scale& p) {
  const float* scale = p.scale;
  Vec squares{};
  for (int i = 0; i < width; i += kVec) squares += load(x + i) * load(x + i);
  const float factor = 1.f / std::sqrt(sum(squares) / width + kRmsEpsilon);
  for (int i = 0; i < width; i += kVec) store(x + i, silu(load(x + i) * factor * load(scale + i)));
}

WM_INLINE void silu_all(float* x, int width) {
  for (int i = 0; i < width; i += kVec) store(x + i, silu(load(x + i)));
}

// What a cell's old numbers become; the -1 makes a fresh one remember.
WM_INLINE Vec gated(Vec old, Vec reset, Vec candidate, Vec update) {
  return old + sigmoid(update - 1.f) * (tanh(sigmoid(reset) * candidate) - old);
}

// gates (rows): reset, candidate, update, each ``width``. deter (rows, width) moves on by a step.
WM_INLINE void gate(float* deter, const float* gates, int width) {
  for (int i = 0; i < width; i += kVec)
    store(deter + i, gated(load(deter + i), load(gates + i), load(gates + width + i),
                           load(gates + 2 * width + i)));
}

// The same of gates that are still to be normalised, 3 * width together.
inline void norm_gate(int rows, const float* gates, size_t gates_width, int width, const Scale& p,
                      float* deter) {
  const float *scale = p.scale, *shift = p.shift;
  by_fours(rows, [&](int first, auto count) {
    constexpr int R = decltype(count)::value;
    float factor[R], less[R];
    moments<R>(gates + first * gates_width, gates_width, 3 * width, factor, less);
    for (int i = 0; i < width; i += kVec)
      WM_UNROLL for (int n = 0; n < R; n++) {
        const float* g = gates + (first + n) * gates_width + i;
        Vec part[3];
        WM_UNROLL for (int k = 0; k < 3; k++)
          part[k] = (load(g + k * width) * factor[n] - less[n]) * load(scale + k * width + i) +
                    load(shift + k * width + i);
        float* own = deter + size_t(first + n) * width + i;
        store(own, gated(load(own), part[0], part[1], part[2]));
      }
  });
}

// A layer that reads one-hot groups: a sum of table rows. The table lies in stripes of kStripe
// outputs, so that the rows of a stripe stay in the second cache while all futures use them.
class Table {
 public:
  static constexpr int kStripe = 64;
  Table() = default;
  // weight: (outputs, width) of a Dense, whose inputs [first, first + rows) are the one-hot state.
  Table(const float* weight, int width, int first, int rows, int outputs)
      : rows_(rows), outputs_(outputs), data_(size_t(rows) * outputs) {
    for (int c = 0; c < outputs; c++) {
      const int stripe = c / kStripe * kStripe, span = std::min(kStripe, outputs - stripe);
      for (int r = 0; r < rows; r++)
        data_[size_t(stripe) * rows + size_t(r) * span + c - stripe] =
            weight[size_t(c) * width + first + r];
    }
  }
  // out (futures, width) += sum over groups of the rows that classes (futures, groups) select.
  void add(int futures, const int32_t* classes, int groups, int group_size, float* out,
           int width) const {
    for (int stripe = 0; stripe < outputs_; stripe += kStripe) {
      const int span = std::min(kStripe, outputs_ - stripe);
      const float* data = data_ + size_t(stripe) * rows_;
      for (int n = 0; n < futures; n++) {
        const int32_t* own = classes + size_t(n) * groups;
        float* to = out + size_t(n) * width + stripe;
        if (span == kStripe) {
          Vec acc[kStripe / kVec];
          WM_UNROLL for (int v = 0; v < kStripe / kVec; v++) acc[v] = load(to + v * kVec);
          for (int g = 0; g < groups; g++) {
            const float* row = data + (size_t(g) * group_size + own[g]) * kStripe;
            WM_UNROLL for (int v = 0; v < kStripe / kVec; v++) acc[v] += load(row + v * kVec);
          }
          WM_UNROLL for (int v = 0; v < kStripe / kVec; v++) store(to + v * kVec, acc[v]);
        } else {
          for (int g = 0; g < groups; g++) {
            const float* row = data + (size_t(g) * group_size + own[g]) * span;
            for (int i = 0; i < span; i += kVec) store(to + i, load(to + i) + load(row + i));
          }
        }
      }
    }
  }

 private:
  int rows_ = 0, outputs_ = 0;
  Buffer<float> data_;
};

constexpr int kMostClasses = 256;

// Softmax of ``classes`` logits; out has room for whole vectors and is 0 behind the last class.
WM_INLINE void softmax(const float* logits, int classes, float* out) {
  float padded[kMostClasses];
  if (classes % kVec) {  // the vectors reach behind the group
    const int whole = (classes + kVec - 1) / kVec * kVec;
    for (int c = 0; c < whole; c++) padded[c] = c < classes ? logits[c] : -1e30f;
    logits = padded;
  }
  Vec most = load(logits);
  for (int c = kVec; c < classes; c += kVec) most = at_least(most, load(logits + c));
  const Vec top = largest(most);
  Vec total{};
  for (int c = 0; c < classes; c += kVec) {
    const Vec e = exp(load(logits + c) - top);
    store(out + c, e);
    total += e;
  }
  const Vec factor = inverse(sums(total));
  for (int c = 0; c < classes; c += kVec) store(out + c, load(out + c) * factor);
}

// The first of equals; 0 where nothing is a number.
WM_INLINE int largest_class(const float* logits, int classes) {
  if (classes % kVec) {
    int best = 0;
    for (int c = 1; c < classes; c++) best = logits[c] > logits[best] ? c : best;
    return best;
  }
  Vec most = load(logits);
  for (int c = kVec; c < classes; c += kVec) most = at_least(most, load(logits + c));
  const Vec top = largest(most);
#ifdef __AVX512F__
  for (int c = 0; c < classes; c += kVec)
    if (const int same = _mm512_cmpeq_ps_mask((__m512)load(logits + c), (__m512)top))
      return c + __builtin_ctz(same);
  return 0;
#else
  VecInt lane = lanes(std::make_integer_sequence<int, kVec>()), first = classes - VecInt{};
  for (int c = 0; c < classes; c += kVec, lane += kVec) {
    const VecInt at = load(logits + c) == top ? lane : first;
    first = at < first ? at : first;
  }
  const int best = least(first);
  return best < classes ? best : 0;
#endif
}

}  // namespace wm::WM_NS
