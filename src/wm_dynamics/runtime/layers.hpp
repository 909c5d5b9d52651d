// What happens between the products: norms, gates, tables, and the stochastic state.
#pragma once
#include <cmath>

#include "gemm.hpp"

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

// Of R rows at once: a row's sums are chains in which every link waits for the one before.
template <bool Silu, int R, class T>
WM_INLINE void norm_rows(const float* x, size_t x_width, int width, const Scale& p, T* out,
                         size_t out_width) {
  const float *scale = p.scale, *shift = p.shift;
  Vec total[R]{}, squares[R]{};
  float mean[R], factor[R];
  for (int i = 0; i < width; i += kVec)
    WM_UNROLL for (int r = 0; r < R; r++) total[r] += load(x + r * x_width + i);
  WM_UNROLL for (int r = 0; r < R; r++) mean[r] = sum(total[r]) / width;
  for (int i = 0; i < width; i += kVec)
    WM_UNROLL for (int r = 0; r < R; r++) {
      const Vec off = load(x + r * x_width + i) - mean[r];
      squares[r] += off * off;
    }
  WM_UNROLL for (int r = 0; r < R; r++)
    factor[r] = 1.f / std::sqrt(sum(squares[r]) / width + kLayerEpsilon);
  for (int i = 0; i < width; i += kVec)
    WM_UNROLL for (int r = 0; r < R; r++) {
      const Vec unit = (load(x + r * x_width + i) - mean[r]) * factor[r];
      const Vec y = unit * load(scale + i) + load(shift + i);
      put(out + r * out_width + i, Silu ? silu(y) : y);
    }
}

// LayerNorm of rows, and SiLU; out may be x.
template <bool Silu, class T>
void layer_norm(int rows, const float* x, size_t x_width, int width, const Scale& p, T* out,
                size_t out_width) {
  int r = 0;
  for (; r + 2 <= rows; r += 2)
    norm_rows<Silu, 2>(x + r * x_width, x_width, width, p, out + r * out_width, out_width);
  if (r < rows)
    norm_rows<Silu, 1>(x + r * x_width, x_width, width, p, out + r * out_width, out_width);
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

// gates: reset, candidate, update, each ``width``; the -1 makes a fresh cell remember.
WM_INLINE void gate(float* deter, const float* gates, int width) {
  for (int i = 0; i < width; i += kVec) {
    const Vec reset = sigmoid(load(gates + i));
    const Vec candidate = tanh(reset * load(gates + width + i));
    const Vec update = sigmoid(load(gates + 2 * width + i) - 1.f);
    const Vec old = load(deter + i);
    store(deter + i, old + update * (candidate - old));
  }
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
  const float top = largest(most);
  Vec total{};
  for (int c = 0; c < classes; c += kVec) {
    const Vec e = exp(load(logits + c) - top);
    store(out + c, e);
    total += e;
  }
  const Vec factor = all(1.f / sum(total));
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
  const Vec top = all(largest(most));
  VecInt lane = lanes(std::make_integer_sequence<int, kVec>()), first = classes - VecInt{};
  for (int c = 0; c < classes; c += kVec, lane += kVec) {
    const VecInt at = load(logits + c) == top ? lane : first;
    first = at < first ? at : first;
  }
  const int best = least(first);
  return best < classes ? best : 0;
}

}  // namespace wm::WM_NS
