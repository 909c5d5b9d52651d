// Python's view of the arithmetic of a plan.
#pragma once
#include <nanobind/nanobind.h>

namespace wm::plan {

void bind(nanobind::module_& m);

}  // namespace wm::plan
