// Futures of a few dozen action sequences, all steps in one go: the weights stream through the
// caches, the futures stay in them, and no thread waits for another.
#pragma once
#include "core.hpp"
#include "ego.hpp"
#include "engine.hpp"
#include "latent.hpp"

namespace wm::WM_NS {

// A layer on [deter, stoch], split: the stochastic part is a table, or a small product.
template <int P>
class Heads {
 public:
  typedef typename Scalar<P>::Type T;

  explicit Heads(const Model& m) : size_(m.size) {
    const int hidden = size_.hidden, width = size_.deter + size_.stoch(), heads = size_.heads;
    const float *first = m.head[0].weight, *middle = m.head[1].weight, *last = m.head[2].weight;
    deter_ = Layer<P>(hidden, size_.deter,
                      [=](int o, int i) { return first[size_t(o) * width + i]; }, m.head[0].bias);
    const int at = size_.deter;
    if (size_.latent == 0)
      table_ = Table(first, width, at, size_.stoch(), hidden);
    else
      means_ = Layer<kFloat>(hidden, size_.gauss,
                             [=](int o, int i) { return first[size_t(o) * width + at + i]; },
                             nullptr);
    middle_ = Layer<P>(hidden, hidden, [=](int o, int i) { return middle[size_t(o) * hidden + i]; },
                       m.head[1].bias);
    last_ = Layer<kFloat>(heads, hidden, [=](int o, int i) { return last[size_t(o) * hidden + i]; },
                          m.head[2].bias);
    norm_[0] = Scale(m.head_norm[0], hidden);
    norm_[1] = Scale(m.head_norm[1], hidden);
    const auto padded = [&](const float* of_outputs) {
      Buffer<float> to(last_.padded());
      std::memcpy(to, of_outputs, sizeof(float) * heads);
      return to;
    };
    logit_ = padded(m.head_logit);
    scale_ = padded(m.head_scale);
    shift_ = padded(m.head_shift);
  }

  struct Memory {
    explicit Memory(const Heads& h)
        : hidden(size_t(kMostRows) * h.deter_.padded()),
          reduced(size_t(kMostRows) * (h.size_.hidden + Scalar<P>::kTail)),
          raw(size_t(kMostRows) * h.last_.padded()) {}
    Buffer<float> hidden;
    Buffer<T> reduced;
    Buffer<float> raw;
  };

  // input: deter of the first row, rows of ``width`` of T; out (rows, L), rows ``stride`` apart.
  void values(int rows, const T* input, int width, const int32_t* classes, const float* means,
              float* out, size_t stride, Memory& m) const {
    const int hidden = size_.hidden, heads = size_.heads, raw = last_.padded();
    multiply<P>(rows, input, width, deter_, m.hidden, hidden);
    if (size_.latent == 0)
      table_.add(rows, classes, size_.groups, size_.classes, m.hidden, hidden);
    else
      multiply<kFloat>(rows, means, size_.gauss, means_, m.hidden, hidden, true);
    float* x = m.hidden;
    T* reduced = m.reduced;
    const int reduced_width = hidden + Scalar<P>::kTail;
    layer_norm<true, P>(rows, x, hidden, hidden, norm_[0], reduced, reduced_width);
    multiply<P>(rows, reduced, reduced_width, middle_, x, hidden);
    layer_norm<true, kFloat>(rows, x, hidden, hidden, norm_[1], x, hidden);
    multiply<kFloat>(rows, x, hidden, last_, m.raw, raw);
    float* values = m.raw;
    for (int n = 0; n < rows; n++, values += raw) {
      for (int i = 0; i < raw; i += kVec) {
        const Vec x = load(values + i) * load(scale_ + i) - load(shift_ + i);
        store(values + i, load(logit_ + i) != 0.f ? sigmoid(x) : x);
      }
      std::memcpy(out + n * stride, values, sizeof(float) * heads);
    }
  }

 private:
  Sizes size_;
  Layer<P> deter_, middle_;
  Layer<kFloat> means_, last_;
  Table table_;
  Scale norm_[2];
  Buffer<float> logit_, scale_, shift_;  // of the outputs, padded as they are
};

template <int P>
class Rollout final : public Engine {
 public:
  typedef typename Scalar<P>::Type T;

  Rollout(const Model& m, int workers)
      : size_(m.size), ego_(m), core_(m), priors_(m), heads_(m), norm_(m.inp_norm, m.size.hidden) {
    const int width = size_.stoch() + 6, hidden = size_.hidden;
    const float* w = m.inp.weight;
    if (size_.latent == 0)
      table_ = Table(w, width, 0, size_.stoch(), hidden);
    else
      means_ = Layer<kFloat>(hidden, size_.gauss,
                             [=](int o, int i) { return w[size_t(o) * width + i]; }, nullptr);
    drive_ = Buffer<float>(7 * size_t(hidden));  // a row for each number of the drive, the bias
    for (int o = 0; o < hidden; o++) {
      for (int i = 0; i < 6; i++) drive_[i * hidden + o] = w[size_t(o) * width + width - 6 + i];
      drive_[6 * hidden + o] = m.inp.bias[o];
    }
    for (int i = 0; i < workers; i++) memory_.push_back(std::make_unique<Memory>(*this));
  }

  void imagine(const Job& job, int first, int rows, int worker) override {
    Memory& m = *memory_[worker];
    begin(job, first, rows, m);
    for (int t = 0; t < job.horizon; t++) {
      const auto action = [&](int n) {
        return job.actions + (size_t((first + n) % job.sequences) * job.horizon + t) * 2;
      };
      const auto row = [&](int n) { return size_t(first + n) * job.horizon + t; };
      ego_.step(rows, m.ego, action);
      token(rows, action, m);
      core_.step(rows, m.input, m.deter, m.core);
      keep_deter(rows, m);
      follow(job, first, rows, t, m);
      heads_.values(rows, m.input + core_.deter_at(), core_.input_width(), m.classes, m.means,
                    job.heads + row(0) * size_.heads, size_t(job.horizon) * size_.heads, m.heads);
      for (int n = 0; n < rows; n++) {
        std::memcpy(job.path + row(n) * 3, m.ego.pose + n * 3, 3 * sizeof(float));
        const float speed = m.ego.state[n * 5] * kSpeedScale;
        job.speed[row(n)] = speed < 0.f ? 0.f : speed;
      }
    }
    end(job, first, rows, m);
  }

  void look(const float* deter, const int32_t* classes, const float* means, float* out) override {
    Memory& m = *memory_[0];
    std::memcpy(m.deter, deter, sizeof(float) * size_.deter);
    keep_deter(1, m);
    heads_.values(1, m.input + core_.deter_at(), core_.input_width(), classes, means, out,
                  size_.heads, m.heads);
  }

 private:
  struct Memory {
    explicit Memory(const Rollout& r)
        : deter(size_t(kMostRows) * r.size_.deter),
          x(size_t(kMostRows) * r.size_.hidden),
          means(size_t(kMostRows) * r.size_.compact()),
          classes(size_t(kMostRows) * r.size_.compact()),
          input(size_t(kMostRows) * r.core_.input_width()),
          ego(r.ego_), core(r.core_), priors(r.priors_), heads(r.heads_) {}
    Buffer<float> deter, x, means;
    Buffer<int32_t> classes;
    Buffer<T> input;  // of the core: x, and deter again in its precision
    Ego::Memory ego;
    typename Core<P>::Memory core;
    typename Priors<P>::Memory priors;
    typename Heads<P>::Memory heads;
  };

  void begin(const Job& job, int first, int rows, Memory& m) const {
    const int deter = size_.deter, compact = size_.compact();
    for (int n = 0; n < rows; n++) {
      const size_t from = job.starts > 1 ? (first + n) % job.sequences : 0;
      std::memcpy(m.deter + size_t(n) * deter, job.deter + from * deter, sizeof(float) * deter);
      if (size_.latent == 0)
        std::memcpy(m.classes + n * compact, job.classes + from * compact, 4 * compact);
      else
        std::memcpy(m.means + n * compact, job.means + from * compact, 4 * compact);
      std::memcpy(m.ego.state + n * 5, job.ego_state, 5 * sizeof(float));
      std::memset(m.ego.pose + n * 3, 0, 3 * sizeof(float));
    }
    keep_deter(rows, m);
  }

  void keep_deter(int rows, Memory& m) const {
    const int width = core_.input_width(), at = core_.deter_at();
    for (int n = 0; n < rows; n++)
      put<P>(m.input + size_t(n) * width + at, m.deter + size_t(n) * size_.deter, size_.deter);
  }

  // The core's input: what was believed, what is done, how the vehicle moves.
  template <class F>
  void token(int rows, F action, Memory& m) const {
    const int hidden = size_.hidden, width = core_.input_width();
    for (int n = 0; n < rows; n++) {
      const float *a = action(n), *motion = m.ego.motion + n * 3;
      const float drive[6] = {a[0], a[1], motion[0] * kMotionScale[0], motion[1] * kMotionScale[1],
                              motion[2] * kMotionScale[2], m.ego.state[n * 5]};
      float* x = m.x + size_t(n) * hidden;
      for (int i = 0; i < hidden; i += kVec) {
        Vec sum = load(drive_ + 6 * hidden + i);
        for (int d = 0; d < 6; d++) sum += drive[d] * load(drive_ + d * hidden + i);
        store(x + i, sum);
      }
    }
    if (size_.latent == 0)
      table_.add(rows, m.classes, size_.groups, size_.classes, m.x, hidden);
    else
      multiply<kFloat>(rows, m.means, size_.gauss, means_, m.x, hidden, true);
    T* input = m.input;
    layer_norm<true, P>(rows, m.x, hidden, hidden, norm_, input, width);
  }

  // The stochastic state of step t.
  void follow(const Job& job, int first, int rows, int t, Memory& m) const {
    const int members = size_.members, width = core_.input_width(), compact = size_.compact();
    const int column = job.spread_column[t];
    const T* deter = m.input + core_.deter_at();
    if (job.every_member) {  // rows of one member after the other
      for (int n = 0; n < rows;) {
        const int member = (first + n) / job.sequences;
        const int count = std::min(rows, (member + 1) * job.sequences - first) - n;
        priors_.step(count, deter + size_t(n) * width, width, {member, 1, 0, nullptr, 0, nullptr, 0},
                     m.classes + n * compact, m.means + n * compact, m.priors);
        n += count;
      }
      return;
    }
    typename Priors<P>::Asked asked{t % members, 1, 0, nullptr, 0, nullptr, 0};
    if (job.uniforms || column >= 0) asked = {0, members, t % members, nullptr, 0, nullptr, 0};
    if (job.uniforms) {
      asked.uniforms = job.uniforms + (size_t(first) * job.horizon + t) * compact;
      asked.uniform_stride = size_t(job.horizon) * compact;
    }
    if (column >= 0) {
      asked.spread = job.spread + size_t(first) * job.spreads + column;
      asked.spread_stride = job.spreads;
    }
    priors_.step(rows, deter, width, asked, m.classes, m.means, m.priors);
  }

  void end(const Job& job, int first, int rows, const Memory& m) const {
    const int deter = size_.deter, compact = size_.compact();
    for (int n = 0; n < rows; n++) {
      const size_t to = first + n;
      std::memcpy(job.end_deter + to * deter, m.deter + size_t(n) * deter, sizeof(float) * deter);
      std::memcpy(job.end_ego + to * 5, m.ego.state + n * 5, 5 * sizeof(float));
      if (size_.latent == 0)
        std::memcpy(job.end_classes + to * compact, m.classes + n * compact, 4 * compact);
      else
        std::memcpy(job.end_means + to * compact, m.means + n * compact, 4 * compact);
    }
  }

  Sizes size_;
  Ego ego_;
  Core<P> core_;
  Priors<P> priors_;
  Heads<P> heads_;
  Scale norm_;
  Table table_;
  Layer<kFloat> means_;
  Buffer<float> drive_;
  std::vector<std::unique_ptr<Memory>> memory_;
};

}  // namespace wm::WM_NS
