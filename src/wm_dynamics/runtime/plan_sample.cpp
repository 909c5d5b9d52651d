// Noise, knots and actions; every sum in the order in which wm_planner/ordered.py takes it.
#include <vector>

#include "plan.hpp"

namespace wm::plan {
namespace {

constexpr double kLeastLoud = 0.3, kMostLoud = 1.5, kLeastStd = 1e-6;

double clipped(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

// One channel of one sequence: (M) values, scratch (M + 4).
void colour(const Draw& draw, uint32_t candidate, int channel, int knots, const double* waves,
            double* scratch, double* out) {
  for (int block = 0; 4 * block <= knots; block++) {
    const Words found = words(draw, candidate, channel, block);
    for (int i = 0; i < 4 && 4 * block + i <= knots; i++) scratch[4 * block + i] = normal(found[i]);
  }
  for (int k = 0; k < knots; k++) out[k] = scratch[0] * waves[k];
  for (int j = 1; j < knots; j++)
    for (int k = 0; k < knots; k++) out[k] += scratch[j] * waves[size_t(j) * knots + k];
  double sum = 0.0, squares = 0.0;
  for (int k = 0; k < knots; k++) sum += out[k];
  for (int k = 0; k < knots; k++) squares += (out[k] - sum / knots) * (out[k] - sum / knots);
  const double std = std::sqrt(squares / knots);
  const double loud = clipped(std::fabs(scratch[knots]), kLeastLoud, kMostLoud);
  for (int k = 0; k < knots; k++) out[k] = out[k] / (std < kLeastStd ? kLeastStd : std) * loud;
}

}  // namespace

void noise(const Draw& draw, int count, int knots, const double* waves, double* out) {
  std::vector<double> scratch(knots + 4), channel(knots);
  for (int n = 0; n < count; n++)
    for (int c = 0; c < 2; c++) {
      colour(draw, n, c, knots, waves, scratch.data(), channel.data());
      for (int k = 0; k < knots; k++) out[(size_t(n) * knots + k) * 2 + c] = channel[k];
    }
}

void sample(const Draw& draw, int count, const Search& s, const double* others, int more,
            double* knots, double* actions) {
  const int width = 2 * s.knots;
  noise(draw, count, s.knots, s.waves, knots);
  for (int n = 0; n < count; n++)
    for (int i = 0; i < width; i++) {
      double& knot = knots[size_t(n) * width + i];
      knot = s.mean[i] + s.std[i] * knot;
    }
  const size_t drawn = size_t(count) * width, all = drawn + size_t(more) * width;
  for (size_t i = drawn; i < all; i++) knots[i] = others[i - drawn];
  for (size_t i = 0; i < all; i++) knots[i] = clipped(knots[i], -1.0, 1.0);
  if (s.knots == s.steps) {  // every step is a knot
    for (size_t i = 0; i < all; i++) actions[i] = knots[i];
    return;
  }
  for (int n = 0; n < count + more; n++)
    for (int h = 0; h < s.steps; h++)
      for (int c = 0; c < 2; c++) {
        const double *row = s.steps_of + size_t(h) * s.knots, *of = knots + size_t(n) * width + c;
        double sum = of[0] * row[0];
        for (int m = 1; m < s.knots; m++) sum += of[2 * m] * row[m];
        actions[(size_t(n) * s.steps + h) * 2 + c] = clipped(sum, -1.0, 1.0);
      }
}

}  // namespace wm::plan
