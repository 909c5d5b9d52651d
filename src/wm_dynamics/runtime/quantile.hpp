// Quantiles of the standard normal.
#pragma once

namespace wm {

// To 1e-15. Wichura, "Algorithm AS 241", Applied Statistics 37 (1988), 477-484.
double normal_quantile(double p);

}  // namespace wm
