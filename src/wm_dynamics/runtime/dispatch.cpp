#include "dispatch.hpp"

namespace wm {

const std::vector<InstructionSet>& instruction_sets() {
  static const std::vector<InstructionSet> all = {
#ifdef WM_X86
      {"avx512_bf16",
       [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512bf16") != 0;
       },
       make_avx512_bf16, peak_avx512_bf16},
      {"avx512",
       [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") != 0;
       },
       make_avx512, peak_avx512},
      {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") != 0; },
       make_avx2, peak_avx2},
#endif
      {"portable", [] { return true; }, make_portable, peak_portable},
  };
  return all;
}

const InstructionSet& instruction_set(const std::string& name) {
  for (const auto& set : instruction_sets()) {
    if (name != "auto" && name != set.name) continue;
    if (set.here()) return set;
    if (name != "auto") throw Refused("this processor has no " + name);
  }
  throw Refused("unknown instruction set " + name);
}

int precision_of(const std::string& name) {
  if (name == "fp32") return kPrecisionFloat;
  if (name == "bf16") return kPrecisionBf16;
  throw Refused("unknown precision " + name + "; known: fp32, bf16");
}

}  // namespace wm
