// A model as the engine gets it: one block of bytes, checked once, then spans into it.
//
// The image is little-endian: magic "WMRT", version, CRC-32 of what follows, then the sizes, the
// numbers and all tensors as float32 in the order of struct Model. Sizes decide how many bytes
// there must be; anything else is refused. Written by wm_dynamics/engine_image.py.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace wm {

// What is wrong with an image or with arguments; becomes ValueError in Python.
struct Refused : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

constexpr uint32_t kVersion = 1;
constexpr int kLane = 16;      // widths are multiples of the widest vector of floats
constexpr int kMostRows = 128;  // futures that a thread takes on at once

struct Sizes {
  int32_t core;    // 0 GRU with LayerNorm, 1 block GRU
  int32_t latent;  // 0 groups of classes, 1 Gaussian
  int32_t deter, hidden, groups, classes, gauss, members, blocks, heads, ego_hidden;

  int stoch() const { return latent == 0 ? groups * classes : gauss; }    // as networks read it
  int outputs() const { return latent == 0 ? groups * classes : 2 * gauss; }
  int compact() const { return latent == 0 ? groups : gauss; }            // as a belief keeps it
};
constexpr int kSizes = 11;

struct Numbers {
  float unimix, min_std, dt;
};

struct Dense {  // torch.nn.Linear: weight (outputs, inputs), bias (outputs) or null
  const float *weight, *bias;
};
struct Norm {  // shift is null for RMSNorm
  const float *scale, *shift;
};
struct Prior {
  Dense first;
  Norm norm;
  Dense last;
};

struct Model {
  Sizes size;
  Numbers number;
  Dense ego[3];
  const float* ego_scale;
  Dense inp;
  Norm inp_norm;
  Dense cell;                    // GRU
  Norm cell_norm;                // GRU
  Dense summary;                 // block GRU from here on
  Norm summary_norm;
  Dense block_hidden;            // (blocks, inputs, outputs): transposed, as in BlockLinear
  Norm hidden_norm;
  Dense block_gates;
  std::vector<Prior> priors;
  Dense head[3];
  Norm head_norm[2];
  const float *head_logit, *head_scale, *head_shift;  // value = f(scale * output - shift)
  std::vector<float> storage;
};

// Throws Refused.
Model parse(const void* data, size_t bytes);

}  // namespace wm
