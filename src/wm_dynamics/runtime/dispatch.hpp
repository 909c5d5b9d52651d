// Which instruction sets this processor has, best first, and the engines made for them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine.hpp"

namespace wm {

struct InstructionSet {
  const char* name;
  bool (*here)();
  std::unique_ptr<Engine> (*make)(const Model&, int precision, int workers);
  double (*peak)(int precision);
};

// All that were compiled, best first; the last runs anywhere.
const std::vector<InstructionSet>& instruction_sets();

// The one called ``name``, or with "auto" the best that this processor has. Throws Refused.
const InstructionSet& instruction_set(const std::string& name);

// One of engine.hpp's. Throws Refused.
int precision_of(const std::string& name);

}  // namespace wm
