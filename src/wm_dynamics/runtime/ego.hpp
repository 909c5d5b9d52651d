// The ego network and the path it drives, see wm_dynamics/ego.py; always float32.
#pragma once
#include "layers.hpp"

namespace wm::WM_NS {

constexpr float kSpeedScale = 10.f;                    // state[0] is speed / 10
constexpr float kMotionScale[3] = {0.5f, 8.f, 10.f};   // wm_dynamics/scales.py

class Ego {
 public:
  Ego(const Model& m) : dt_(m.number.dt), hidden_(m.size.ego_hidden) {
    const int inputs[3] = {7, hidden_, hidden_}, outputs[3] = {hidden_, hidden_, 6};
    for (int l = 0; l < 3; l++) {
      const float* w = m.ego[l].weight;
      const int width = inputs[l];
      layer_[l] = Layer<kFloat>(outputs[l], width, [=](int o, int i) { return w[o * width + i]; },
                                m.ego[l].bias);
    }
    std::memcpy(scale_, m.ego_scale, sizeof scale_);
  }

  struct Memory {
    explicit Memory(const Ego& ego)
        : input(kMostRows * kInput), first(kMostRows * ego.layer_[0].padded()),
          second(kMostRows * ego.layer_[1].padded()), residual(kMostRows * ego.layer_[2].padded()),
          state(kMostRows * 5), motion(kMostRows * 3), pose(kMostRows * 3) {}
    Buffer<float> input, first, second, residual;
    Buffer<float> state, motion, pose;  // (rows, 5), (rows, 3), (rows, 3) in the first frame
  };

  // Moves all rows on by one step; actions(n) points at two numbers.
  template <class F>
  void step(int rows, Memory& m, F actions) const {
    for (int n = 0; n < rows; n++) {
      std::memcpy(m.input + n * kInput, m.state + n * 5, 5 * sizeof(float));
      std::memcpy(m.input + n * kInput + 5, actions(n), 2 * sizeof(float));
    }
    const int width[3] = {layer_[0].padded(), layer_[1].padded(), layer_[2].padded()};
    multiply<kFloat>(rows, m.input, kInput, layer_[0], m.first, width[0]);
    silu_all(m.first, rows * width[0]);
    multiply<kFloat>(rows, m.first, width[0], layer_[1], m.second, width[1]);
    silu_all(m.second, rows * width[1]);
    multiply<kFloat>(rows, m.second, width[1], layer_[2], m.residual, width[2]);
    for (int n = 0; n < rows; n++) {
      float r[6], *state = m.state + n * 5, *motion = m.motion + n * 3, *pose = m.pose + n * 3;
      for (int i = 0; i < 6; i++) r[i] = m.residual[n * width[2] + i] * scale_[i];
      const float distance = state[0] * (kSpeedScale * dt_), turn = state[1] * dt_;
      motion[0] = distance + r[3];
      motion[1] = 0.5f * distance * turn + r[4];
      motion[2] = turn + r[5];
      state[0] += r[0];
      state[1] += r[1];
      std::memcpy(state + 2, actions(n), 2 * sizeof(float));
      state[4] += r[2];
      const float cos = std::cos(pose[2]), sin = std::sin(pose[2]);
      pose[0] += cos * motion[0] - sin * motion[1];
      pose[1] += sin * motion[0] + cos * motion[1];
      pose[2] += motion[2];
    }
  }

 private:
  static constexpr int kInput = 8;
  float dt_;
  int hidden_;
  Layer<kFloat> layer_[3];
  float scale_[6];
};

}  // namespace wm::WM_NS
