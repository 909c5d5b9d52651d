// The arithmetic of a plan around the rollouts: what is tried, what it costs, where to look next.
// The specification is wm_planner/arithmetic_numpy.py. Double precision; arrays are dense, the
// last index fastest. Symbols: N sequences, M knots, H steps, E elites, T cost terms.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "plan_random.hpp"

namespace wm::plan {

// ---------------------------------------------------------------- what is tried

struct Search {
  int knots, steps;
  const double *mean, *std;   // (M, 2) each
  const double* waves;        // (M, M), see wm_planner/noise.py
  const double* steps_of;     // (H, M), see wm_planner/splines.py
};

// (count, M, 2) coloured noise.
void noise(const Draw& draw, int count, int knots, const double* waves, double* out);

// Sampled sequences, then ``others`` (P, M, 2): knots (N, M, 2) and actions (N, H, 2) within
// [-1, 1]; N = count + P.
void sample(const Draw& draw, int count, const Search& search, const double* others, int more,
            double* knots, double* actions);

// ---------------------------------------------------------------- what it costs

enum Head {
  kLeaderGap, kLeaderPresence, kLeaderSpeed, kStopDistance, kStopPresence,
  kCollision, kNear, kOffRoad, kRedViolation, kHeads
};
extern const char* const kHeadNames[kHeads];

// Rows of float or double, as whoever imagined left them.
struct View {
  const char* data = nullptr;
  bool wide = false;                       // double
  ptrdiff_t row = 0, step = 0, value = 0;  // bytes from one to the next

  // Values of one step lie ``per_step`` in a row; out (count, per_step).
  void load(int n, int count, int per_step, double* out) const;
};

struct Wishes {
  double before[2];  // the command in force
  double wanted_mps, lane_slack_m, max_lateral_acceleration, comfortable_deceleration;
  double leader_margin_m, leader_headway_s, stop_margin_m;
};

struct Future {  // one, (H) each unless it says otherwise
  int steps;
  const double *share, *speed, *yaw_rate, *lateral, *heading;
  const double* actions;  // (H, 2)
  const double* head[kHeads];
  double disagreement;  // of the whole future
};

struct Term {
  const char* name;
  unsigned heads;  // 1 << Head of each that it reads
  double (*score)(const Future&, const Wishes&);  // mean over the steps, not weighted
};
const Term* find_term(const std::string& name);  // null: there is none
std::vector<std::string> term_names();

struct Scoring {
  int count, steps, points;
  double dt;
  View path, speed, actions;     // (N, H, 3), (N, H), (N, H, 2)
  View head[kHeads];             // (N, H) each; those that no term reads are left out
  View disagreement;             // (N)
  const double* reference;       // (points, 2)
  const double* trust;           // (H)
  Wishes wishes;
  std::vector<const Term*> terms;
  std::vector<double> weights;
};

// terms (T, N) weighted; finite (N): whether speed and offsets are.
void score(const Scoring& job, double* terms, bool* finite);

// The sum of table (T, N), infinite where it, or what ``finite`` is about, is not finite;
// means and least (T) over the others, NaN where there are none.
void sum_up(int terms, int count, const double* table, const bool* finite, double* total,
            double* means, double* least);

// ---------------------------------------------------------------- where to look next

struct Tried {
  int count, width;             // N, 2 * M
  const double *knots, *cost;   // (N, M, 2), (N); infinite: unusable
};

// Rows of the cheapest, cheapest first; at most ``most``, none that is unusable.
std::vector<int> cheapest(const Tried& tried, int most);

// iCEM: mean and std (M, 2) in place, from the elites.
void narrow(const Tried& tried, const std::vector<int>& best, double momentum, double min_std,
            double* mean, double* std);

// MPPI: mean (M, 2) of all, the temperature such that this share of the usable ones counts.
void average(const Tried& tried, double share, double* mean);

}  // namespace wm::plan
