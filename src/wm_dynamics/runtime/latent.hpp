// The ensemble of priors and the stochastic state that follows from them.
//
// Logits are made a few groups at a time, by all members that are asked, and used while they are
// in the nearest caches: all logits of five members would not fit.
#pragma once
#include <numeric>

#include "layers.hpp"
#include "quantile.hpp"

namespace wm::WM_NS {

template <int P>
class Priors {
 public:
  typedef typename Scalar<P>::Type T;

  explicit Priors(const Model& m) : size_(m.size), number_(m.number) {
    const int deter = size_.deter, hidden = size_.hidden;
    for (const Prior& p : m.priors) {
      const float *first = p.first.weight, *last = p.last.weight;
      first_.emplace_back(hidden, deter, [=](int o, int i) { return first[size_t(o) * deter + i]; },
                          p.first.bias);
      norm_.emplace_back(p.norm, hidden);
      last_.emplace_back(size_.outputs(), hidden,
                         [=](int o, int i) { return last[size_t(o) * hidden + i]; }, p.last.bias);
    }
    const int padded = last_[0].padded();
    chunk_ = padded;
    if (size_.latent == 0) {  // whole panels that hold whole groups
      const int both = std::lcm(kPanel, size_.classes);
      if (both < last_[0].wide * kPanel) chunk_ = both;
    }
  }

  struct Memory {
    explicit Memory(const Priors& p)
        : hidden(size_t(kMostRows) * p.first_[0].padded()),
          reduced(size_t(p.size_.members) * kMostRows * p.reduced_width()),
          logits(size_t(p.size_.members) * kMostRows * p.chunk_ + kMostClasses) {}
    Buffer<float> hidden;
    Buffer<T> reduced;     // (members, kMostRows, hidden)
    Buffer<float> logits;  // (members, kMostRows, chunk)
  };

  // What a step's stochastic state is made of.
  struct Asked {
    int first, count;         // members
    int followed;             // the member whose mode is taken, if there are no uniforms
    const float* uniforms;    // (compact) of the first row, or null
    size_t uniform_stride;    // numbers from row to row
    float* spread;            // of the first row, or null
    size_t spread_stride;
  };

  // input: deter of the first row, rows of ``width`` of T; classes or means of the first row.
  void step(int rows, const T* input, int width, const Asked& a, int32_t* classes, float* means,
            Memory& m) const {
    const int hidden = size_.hidden, wide = first_[0].padded(), reduced_wide = reduced_width();
    for (int k = 0; k < a.count; k++) {
      multiply<P>(rows, input, width, first_[a.first + k], m.hidden, wide);
      T* reduced = m.reduced + size_t(k) * kMostRows * reduced_wide;
      layer_norm<true, P>(rows, m.hidden, wide, hidden, norm_[a.first + k], reduced, reduced_wide);
    }
    if (a.spread)
      for (int n = 0; n < rows; n++) a.spread[n * a.spread_stride] = 0.f;
    const int padded = last_[0].padded();
    for (int from = 0; from < padded; from += chunk_) {
      for (int k = 0; k < a.count; k++)
        columns<P>(rows, m.reduced + size_t(k) * kMostRows * reduced_wide, reduced_wide,
                   last_[a.first + k], from, chunk_, m.logits + size_t(k) * kMostRows * chunk_,
                   chunk_);
      for (int n = 0; n < rows; n++) {
        const float* logits = m.logits + size_t(n) * chunk_;  // of the first member
        const float* uniforms = a.uniforms ? a.uniforms + n * a.uniform_stride : nullptr;
        float* spread = a.spread ? a.spread + n * a.spread_stride : nullptr;
        if (size_.latent == 0)
          groups(logits, from, a, uniforms, classes + size_t(n) * size_.groups, spread);
        else
          normals(logits, a, uniforms, means + size_t(n) * size_.gauss, spread);
      }
    }
  }

 private:
  int reduced_width() const { return size_.hidden + Scalar<P>::kTail; }

  // The groups whose logits lie in the chunk that begins at column ``from``.
  void groups(const float* logits, int from, const Asked& a, const float* uniforms,
              int32_t* classes, float* spread) const {
    const int size = size_.classes, begin = from / size;
    const int end = std::min(size_.groups, (from + chunk_) / size);
    const size_t member = size_t(kMostRows) * chunk_;
    if (!uniforms && !spread) {
      const float* own = logits + a.followed * member + begin * size - from;
      for (int g = begin; g < end; g++, own += size) classes[g] = largest_class(own, size);
      return;
    }
    Vec variance{};
    for (int g = begin; g < end; g++) {
      const float* own = logits + g * size - from;
      float soft[64][kMostClasses];  // of the members; more than 64 are refused
      for (int k = 0; k < a.count; k++) softmax(own + k * member, size, soft[k]);
      if (spread) variance += variances(soft, a.count);
      classes[g] = uniforms ? draw(soft, a.count, uniforms[g])
                            : largest_class(own + a.followed * member, size);
    }
    if (spread) *spread += sum(variance);
  }

  // Of the probabilities over the members; the sum of the lanes is the disagreement.
  Vec variances(const float (*soft)[kMostClasses], int members) const {
    Vec total{};
    const float share = 1.f / members;
    for (int c = 0; c < size_.classes; c += kVec) {
      Vec mean{}, squares{};
      for (int k = 0; k < members; k++) mean += load(soft[k] + c);
      mean *= share;
      for (int k = 0; k < members; k++) {
        const Vec off = load(soft[k] + c) - mean;
        squares += off * off;
      }
      total += squares;
    }
    return total * share;
  }

  // The class at which the cumulated probabilities of the mixture reach the uniform.
  int draw(const float (*soft)[kMostClasses], int members, float uniform) const {
    float mean[kMostClasses];
    const float share = (1.f - number_.unimix) / members;
    const float floor = number_.unimix / size_.classes;
    for (int c = 0; c < size_.classes; c += kVec) {
      Vec m{};
      for (int k = 0; k < members; k++) m += load(soft[k] + c);
      store(mean + c, m * share + floor);
    }
    float reached = mean[0];
    int c = 0;
    while (c < size_.classes - 1 && reached < uniform) reached += mean[++c];
    return c;
  }

  // A normal with the mixture's mean and variance, or the mean of the member that is followed.
  void normals(const float* raw, const Asked& a, const float* uniforms, float* means,
               float* spread) const {
    const size_t member = size_t(kMostRows) * chunk_;
    const int width = size_.gauss;
    for (int i = 0; i < width; i++) {
      float mean = 0, variance = 0, noise_variance = 0;
      for (int k = 0; k < a.count; k++) mean += raw[k * member + i];
      mean /= a.count;
      for (int k = 0; k < a.count; k++) {
        const float off = raw[k * member + i] - mean;
        variance += off * off;
      }
      variance /= a.count;
      if (spread) *spread += variance;
      if (!uniforms) {
        means[i] = raw[a.followed * member + i];
        continue;
      }
      for (int k = 0; k < a.count; k++) {
        const float x = raw[k * member + width + i];
        const float std = std::max(x, 0.f) + std::log1p(std::exp(-std::fabs(x))) + number_.min_std;
        noise_variance += std * std;
      }
      const double uniform = std::min(std::max(double(uniforms[i]), 1e-6), 1.0 - 1e-6);
      means[i] = float(mean + std::sqrt(noise_variance / a.count + variance) *
                                  normal_quantile(uniform));
    }
  }

  Sizes size_;
  Numbers number_;
  std::vector<Layer<P>> first_, last_;
  std::vector<Scale> norm_;
  int chunk_;
};

}  // namespace wm::WM_NS
