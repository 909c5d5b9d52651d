// Where poses lie against the route, see against_route in wm_planner/future.py.
#pragma once
#include <cmath>
#include <vector>

namespace wm::plan {

class Route {
 public:
  // points (M, 2), at least two.
  Route(const double* points, int count)
      : x_(count), y_(count), squared_(count), along_x_(count), along_y_(count), heading_(count),
        distance_(count) {
    for (int i = 0; i < count; i++) {
      x_[i] = points[2 * i];
      y_[i] = points[2 * i + 1];
      squared_[i] = x_[i] * x_[i] + y_[i] * y_[i];
      finite_ = finite_ && std::isfinite(squared_[i]);
    }
    for (int i = 0; i < count; i++) {
      const int from = i < count - 1 ? i : count - 2;
      const double dx = x_[from + 1] - x_[from], dy = y_[from + 1] - y_[from];
      const double length = std::sqrt(dx * dx + dy * dy), divisor = length < 1e-6 ? 1e-6 : length;
      along_x_[i] = dx / divisor;
      along_y_[i] = dy / divisor;
      heading_[i] = std::atan2(along_y_[i], along_x_[i]);
    }
  }

  // pose: x, y, yaw. Offset to the left, m; heading error within [-pi, pi).
  void offsets(const double* pose, double* lateral, double* heading) {
    const int i = nearest(pose[0], pose[1]);
    *lateral = along_x_[i] * (pose[1] - y_[i]) - along_y_[i] * (pose[0] - x_[i]);
    const double turned = pose[2] - heading_[i] + kPi, rest = std::fmod(turned, 2.0 * kPi);
    *heading = (rest < 0.0 ? rest + 2.0 * kPi : rest) - kPi;
  }

 private:
  static constexpr double kPi = 3.141592653589793;

  // The first of the nearest points, or the first whose distance is not a number.
  int nearest(double x, double y) {
    const int count = int(x_.size());
    for (int i = 0; i < count; i++) distance_[i] = squared_[i] - 2.0 * (x * x_[i] + y * y_[i]);
    int best = 0;
    if (!finite_ || !std::isfinite(x) || !std::isfinite(y)) {
      for (int i = 0; i < count; i++) {
        if (std::isnan(distance_[i])) return i;
        if (distance_[i] < distance_[best]) best = i;
      }
      return best;
    }
    double least = distance_[0];  // in two passes, of which the compiler makes vectors
    for (int i = 1; i < count; i++) least = distance_[i] < least ? distance_[i] : least;
    while (distance_[best] != least) best++;
    return best;
  }

  std::vector<double> x_, y_, squared_, along_x_, along_y_, heading_, distance_;
  bool finite_ = true;
};

}  // namespace wm::plan
