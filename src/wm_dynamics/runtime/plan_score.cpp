// What futures cost: wm_planner/costs.py, and Outcome.future in wm_planner/outcome.py before it.
#include <limits>
#include <utility>

#include "plan.hpp"
#include "plan_route.hpp"

namespace wm::plan {
namespace {

template <class T>
void copy(const char* from, ptrdiff_t step, ptrdiff_t value, int count, int per_step, double* out) {
  for (int t = 0; t < count; t++)
    for (int i = 0; i < per_step; i++)
      out[t * per_step + i] = double(*reinterpret_cast<const T*>(from + t * step + i * value));
}

}  // namespace

void View::load(int n, int count, int per_step, double* out) const {
  const auto how = wide ? copy<double> : copy<float>;
  how(data + n * row, step, value, count, per_step, out);
}

void score(const Scoring& job, double* terms, bool* finite) {
  const int steps = job.steps;
  Route route(job.reference, job.points);
  std::vector<double> room(size_t(steps) * (10 + kHeads));
  double* next = room.data();
  const auto take = [&](int each) { return std::exchange(next, next + size_t(each) * steps); };
  double *share = take(1), *speed = take(1), *yaw_rate = take(1), *lateral = take(1);
  double *heading = take(1), *actions = take(2), *path = take(3), *heads[kHeads];
  for (double*& head : heads) head = take(1);

  double trusted = 0.0;
  for (int t = 0; t < steps; t++) trusted += job.trust[t];
  for (int t = 0; t < steps; t++) share[t] = job.trust[t] / trusted;

  Future future{steps, share, speed, yaw_rate, lateral, heading, actions, {}, 0.0};
  for (int i = 0; i < kHeads; i++) future.head[i] = heads[i];
  for (int n = 0; n < job.count; n++) {
    job.path.load(n, steps, 3, path);
    job.speed.load(n, steps, 1, speed);
    job.actions.load(n, steps, 2, actions);
    job.disagreement.load(n, 1, 1, &future.disagreement);
    for (int i = 0; i < kHeads; i++)
      if (job.head[i].data) job.head[i].load(n, steps, 1, heads[i]);
    finite[n] = true;
    for (int t = 0; t < steps; t++) {
      yaw_rate[t] = (path[3 * t + 2] - (t == 0 ? 0.0 : path[3 * t - 1])) / job.dt;
      route.offsets(path + 3 * t, lateral + t, heading + t);
      finite[n] = finite[n] && std::isfinite(speed[t]) && std::isfinite(lateral[t]);
    }
    for (size_t i = 0; i < job.terms.size(); i++)
      terms[i * job.count + n] = job.weights[i] * job.terms[i]->score(future, job.wishes);
  }
}

void sum_up(int terms, int count, const double* table, const bool* finite, double* total,
            double* means, double* least) {
  int usable = 0;
  for (int n = 0; n < count; n++) {
    double sum = 0.0;
    for (int i = 0; i < terms; i++) sum += table[size_t(i) * count + n];
    const bool sound = finite[n] && std::isfinite(sum);
    total[n] = sound ? sum : std::numeric_limits<double>::infinity();
    usable += sound;
  }
  for (int i = 0; i < terms; i++) {
    double sum = 0.0, lowest = std::numeric_limits<double>::infinity();
    for (int n = 0; n < count; n++) {
      if (std::isinf(total[n])) continue;
      const double cost = table[size_t(i) * count + n];
      sum += cost;
      lowest = cost < lowest ? cost : lowest;
    }
    means[i] = usable ? sum / usable : std::numeric_limits<double>::quiet_NaN();
    least[i] = usable ? lowest : std::numeric_limits<double>::quiet_NaN();
  }
}

}  // namespace wm::plan
