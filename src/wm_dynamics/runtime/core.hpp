// The deterministic cores. Activations of one step lie side by side in rows of type T:
// GRU [x | deter], block GRU [x | summary | deter]; x is written by the caller.
#pragma once
#include "layers.hpp"

namespace wm::WM_NS {

template <int P>
class Core {
 public:
  typedef typename Scalar<P>::Type T;

  explicit Core(const Model& m)
      : kind_(m.size.core), deter_(m.size.deter), hidden_(m.size.hidden), blocks_(m.size.blocks) {
    if (kind_ == 0) {
      const int width = hidden_ + deter_, hidden = hidden_;
      const float* w = m.cell.weight;
      const auto of_x = [=](int o, int i) { return w[size_t(o) * width + i]; };
      const auto of_deter = [=](int o, int i) { return w[size_t(o) * width + hidden + i]; };
      gates_ = Layer<P>(3 * deter_, kApart ? hidden_ : width, of_x, nullptr);
      if (kApart) deter_gates_ = Layer<P>(3 * deter_, deter_, of_deter, nullptr);
      norm_ = Scale(m.cell_norm, 3 * deter_);
      return;
    }
    if constexpr (P != kInt8) lay_out_blocks(m);
  }

  int input_width() const { return deter_at() + deter_ + Scalar<P>::kTail; }
  int deter_at() const {  // column of deter
    return (kind_ == 0 ? 1 : 2) * hidden_ + Scalar<P>::kTail;
  }

  struct Memory {
    explicit Memory(const Core& c)
        : gates(size_t(kMostRows) * (c.kind_ == 0 ? c.gates_.padded() : 3 * c.deter_)) {
      if (c.kind_ == 0) return;
      hidden = Buffer<float>(size_t(kMostRows) * std::max(c.shared_.padded(), c.summary_.padded()));
      block = Buffer<float>(size_t(kMostRows) * c.block_gates_[0].padded());
      reduced = Buffer<T>(size_t(kMostRows) * c.deter_);
    }
    Buffer<float> gates, hidden, block;
    Buffer<T> reduced;
  };

  // input (rows, input_width()); deter (rows, D) moves on by one step.
  void step(int rows, T* input, float* deter, Memory& m) const {
    if (kind_ == 0) {
      const int width = gates_.padded();
      multiply<P>(rows, input, input_width(), gates_, m.gates, width);
      if (kApart)
        multiply<P>(rows, input + deter_at(), input_width(), deter_gates_, m.gates, width, true);
      norm_gate(rows, m.gates, width, deter_, norm_, deter);
    } else if constexpr (P != kInt8) {  // refused
      block_step(rows, input, deter, m);
    }
  }

 private:
  void lay_out_blocks(const Model& m) {
    slice_ = deter_ / blocks_;
    const int width = deter_, slice = slice_, inputs = slice_ + 2 * hidden_;
    const float *s = m.summary.weight, *h = m.block_hidden.weight, *g = m.block_gates.weight;
    summary_ = Layer<P>(hidden_, width, [=](int o, int i) { return s[size_t(o) * width + i]; },
                        nullptr);
    summary_norm_ = Scale(m.summary_norm, hidden_);
    // Each block reads [own slice | x | summary]; what all read is one product.
    shared_ = Layer<P>(deter_, 2 * hidden_, [=](int o, int i) {
      return h[(size_t(o / slice) * inputs + slice + i) * slice + o % slice];
    }, m.block_hidden.bias);
    for (int b = 0; b < blocks_; b++) {
      own_.emplace_back(slice, slice, [=](int o, int i) {
        return h[(size_t(b) * inputs + i) * slice + o];
      }, nullptr);
      block_gates_.emplace_back(3 * slice, slice, [=](int o, int i) {
        return g[(size_t(b) * slice + i) * 3 * slice + o];
      }, m.block_gates.bias + size_t(b) * 3 * slice);
    }
    norm_ = Scale(m.hidden_norm, deter_);
  }

  void block_step(int rows, T* input, float* deter, Memory& m) const {
    const int width = input_width(), at = deter_at();
    int out = summary_.padded();
    multiply<P>(rows, input + at, width, summary_, m.hidden, out);
    for (int n = 0; n < rows; n++) {
      rms_norm_silu(m.hidden + size_t(n) * out, hidden_, summary_norm_);
      put<P>(input + size_t(n) * width + hidden_, m.hidden + size_t(n) * out, hidden_);
    }
    out = shared_.padded();
    multiply<P>(rows, input, width, shared_, m.hidden, out);
    for (int b = 0; b < blocks_; b++) {
      const int wide = own_[b].padded(), first = b * slice_;
      multiply<P>(rows, input + at + first, width, own_[b], m.block, wide);
      for (int n = 0; n < rows; n++)
        for (int i = 0; i < slice_; i++)
          m.hidden[size_t(n) * out + first + i] += m.block[size_t(n) * wide + i];
    }
    for (int n = 0; n < rows; n++) {
      rms_norm_silu(m.hidden + size_t(n) * out, deter_, norm_);
      put<P>(m.reduced + size_t(n) * deter_, m.hidden + size_t(n) * out, deter_);
    }
    for (int b = 0; b < blocks_; b++) {
      const int wide = block_gates_[b].padded(), first = b * slice_;
      multiply<P>(rows, m.reduced + first, deter_, block_gates_[b], m.block, wide);
      for (int n = 0; n < rows; n++)
        for (int part = 0; part < 3; part++)
          std::memcpy(m.gates + (size_t(n) * 3 + part) * deter_ + first,
                      m.block + size_t(n) * wide + part * slice_, sizeof(float) * slice_);
    }
    for (int n = 0; n < rows; n++)
      gate(deter + size_t(n) * deter_, m.gates + size_t(n) * 3 * deter_, deter_);
  }

  static constexpr bool kApart = P == kInt8;  // x and deter have ranges of their own
  int kind_, deter_, hidden_, blocks_, slice_ = 0;
  Layer<P> gates_, deter_gates_, summary_, shared_;
  std::vector<Layer<P>> own_, block_gates_;
  Scale norm_, summary_norm_;
};

}  // namespace wm::WM_NS
