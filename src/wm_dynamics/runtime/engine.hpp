// What the engine does, whatever the instruction set.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "model.hpp"

namespace wm {

// N action sequences of H steps, and where the futures go. Rows are futures: N, or N times each
// member. All arrays are dense, rows outermost.
struct Job {
  int sequences, horizon, rows;
  bool every_member;
  const float* actions;             // (N, H, 2)
  const float* uniforms;            // (N, H, compact) to sample by, or null to follow modes
  const float *deter, *ego_state;   // (D) and (5), or (N, D); shared unless starts > 1
  const int32_t* classes;           // (G) or (N, G); Gaussian: null
  const float* means;               // (Z) or (N, Z); discrete: null
  int starts;                       // 1 or N beliefs
  std::vector<int> spread_column;   // per step: where its disagreement goes, -1: nobody looks
  int spreads;
  float *path, *speed, *heads, *spread;  // (R, H, 3), (R, H), (R, H, L), (R, spreads)
  float *end_deter, *end_ego;            // (R, D), (R, 5)
  int32_t* end_classes;                  // (R, G), or null
  float* end_means;                      // (R, Z), or null
};

class Engine {
 public:
  virtual ~Engine() = default;
  // Futures [first, first + rows), rows <= kMostRows, with the memory of worker ``worker``.
  virtual void imagine(const Job& job, int first, int rows, int worker) = 0;
  // Heads (L) of one belief.
  virtual void look(const float* deter, const int32_t* classes, const float* means, float* heads) = 0;
};

enum { kPrecisionFloat = 0, kPrecisionBf16 = 1, kPrecisionInt8 = 2 };

// One per instruction set; null where the precision is not for it.
std::unique_ptr<Engine> make_portable(const Model&, int precision, int workers);
std::unique_ptr<Engine> make_avx2(const Model&, int precision, int workers);
std::unique_ptr<Engine> make_avx2_vnni(const Model&, int precision, int workers);
std::unique_ptr<Engine> make_avx512(const Model&, int precision, int workers);
std::unique_ptr<Engine> make_avx512_vnni(const Model&, int precision, int workers);
std::unique_ptr<Engine> make_avx512_bf16(const Model&, int precision, int workers);

// GFLOP/s of one thread that does nothing but multiply and add in registers; 0: cannot.
double peak_portable(int precision);
double peak_avx2(int precision);
double peak_avx2_vnni(int precision);
double peak_avx512(int precision);
double peak_avx512_vnni(int precision);
double peak_avx512_bf16(int precision);

}  // namespace wm
