#include "dispatch.hpp"

namespace wm {

#ifdef WM_X86
static bool avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") != 0;
}
static bool avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") != 0; }
#endif

const std::vector<InstructionSet>& instruction_sets() {
  static const std::vector<InstructionSet> all = {
#ifdef WM_X86
      {"avx512_bf16",
       [] {
         return avx512() && __builtin_cpu_supports("avx512vnni") &&
                __builtin_cpu_supports("avx512bf16") != 0;
       },
       make_avx512_bf16, peak_avx512_bf16},
      {"avx512_vnni", [] { return avx512() && __builtin_cpu_supports("avx512vnni") != 0; },
       make_avx512_vnni, peak_avx512_vnni},
      {"avx512", avx512, make_avx512, peak_avx512},
      {"avx2_vnni", [] { return avx2() && __builtin_cpu_supports("avxvnni") != 0; },
       make_avx2_vnni, peak_avx2_vnni},
      {"avx2", avx2, make_avx2, peak_avx2},
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
  if (name == "int8") return kPrecisionInt8;
  throw Refused("unknown precision " + name + "; known: fp32, bf16, int8");
}

}  // namespace wm
