// Where to look next: wm_planner/icem.py and wm_planner/mppi.py.
#include <algorithm>
#include <limits>
#include <numeric>

#include "plan.hpp"

namespace wm::plan {
namespace {

constexpr int kHalvings = 40;
constexpr double kTemperatures[2] = {1e-6, 1e6};  // times the spread of the costs

// Weights (N) of sum 1.
void softmin(const double* cost, int count, double least, double temperature,
             std::vector<double>& weights) {
  double sum = 0.0;
  for (int n = 0; n < count; n++) {
    weights[n] = std::exp(-(cost[n] - least) / temperature);
    sum += weights[n];
  }
  for (double& weight : weights) weight /= sum;
}

}  // namespace

std::vector<int> cheapest(const Tried& tried, int most) {
  std::vector<int> rows;
  for (int n = 0; n < tried.count; n++)
    if (std::isfinite(tried.cost[n])) rows.push_back(n);
  std::stable_sort(rows.begin(), rows.end(),
                   [&](int a, int b) { return tried.cost[a] < tried.cost[b]; });
  rows.resize(std::min(rows.size(), size_t(most)));
  return rows;
}

void narrow(const Tried& tried, const std::vector<int>& best, double momentum, double min_std,
            double* mean, double* std) {
  const double count = double(best.size());
  for (int i = 0; i < tried.width; i++) {
    const auto knot = [&](int row) { return tried.knots[size_t(row) * tried.width + i]; };
    double sum = 0.0, squares = 0.0;
    for (int row : best) sum += knot(row);
    const double middle = sum / count;
    for (int row : best) squares += (knot(row) - middle) * (knot(row) - middle);
    mean[i] = momentum * mean[i] + (1.0 - momentum) * middle;
    const double next = momentum * std[i] + (1.0 - momentum) * std::sqrt(squares / count);
    std[i] = next < min_std ? min_std : next;
  }
}

void average(const Tried& tried, double share, double* mean) {
  double least = std::numeric_limits<double>::infinity(), most = -least;
  int usable = 0;
  for (int n = 0; n < tried.count; n++) {
    if (!std::isfinite(tried.cost[n])) continue;
    least = std::min(least, tried.cost[n]);
    most = std::max(most, tried.cost[n]);
    usable++;
  }
  const double size = std::max(1.0, share * usable), spread = most - least;
  std::vector<double> weights(tried.count);
  double temperature = 1.0;
  if (spread != 0.0) {
    double low = std::log(kTemperatures[0] * spread), high = std::log(kTemperatures[1] * spread);
    for (int i = 0; i < kHalvings; i++) {
      const double middle = 0.5 * (low + high);
      softmin(tried.cost, tried.count, least, std::exp(middle), weights);
      double squares = 0.0;
      for (double weight : weights) squares += weight * weight;
      (1.0 / squares < size ? low : high) = middle;
    }
    temperature = std::exp(high);
  }
  softmin(tried.cost, tried.count, least, temperature, weights);
  std::fill(mean, mean + tried.width, 0.0);
  for (int n = 0; n < tried.count; n++)
    for (int i = 0; i < tried.width; i++) mean[i] += weights[n] * tried.knots[size_t(n) * tried.width + i];
}

}  // namespace wm::plan
