// Cost terms, each the same as the file of its name in wm_planner/terms/.
#include <cmath>

#include "plan.hpp"

namespace wm::plan {

const char* const kHeadNames[kHeads] = {
    "leader_gap", "leader_presence", "leader_speed", "stop_distance", "stop_presence",
    "collision",  "near",            "off_road",     "red_violation"};

namespace {

constexpr double kStandstillMps = 0.1, kCreepMps = 0.5, kLateralCap = 25.0, kHingeCap = 150.0;
constexpr double kLaneShare = 5.0, kSteerShare = 3.0, kAccelShare = 0.25;

double square(double x) { return x * x; }
// What is not a number stays so, as in numpy.
double most(double a, double b) { return a > b || std::isnan(a) ? a : b; }
double least(double a, double b) { return a < b || std::isnan(a) ? a : b; }
double moving(double speed) { return speed > kStandstillMps ? 1.0 : 0.0; }

template <class F>
double mean(const Future& f, F cost) {
  double sum = 0.0;
  for (int t = 0; t < f.steps; t++) sum += cost(t) * f.share[t];
  return sum;
}

double hinge(double speed, double gap, double present, double ahead, double margin,
             const Wishes& w) {
  const double braking = most(square(speed) - square(ahead), 0.0) /
                         (2.0 * w.comfortable_deceleration);
  const double shortfall = most(braking + margin - gap, 0.0);
  return least(square(shortfall), kHingeCap) * present * moving(speed);
}

double lateral(const Future& f, const Wishes& w) {
  return mean(f, [&](int t) {
    const double off = std::fabs(f.lateral[t]), over = most(off - w.lane_slack_m, 0.0);
    return least(square(off) + kLaneShare * square(over), kLateralCap);
  });
}

double heading(const Future& f, const Wishes&) {
  return mean(f, [&](int t) { return square(f.heading[t]) * (1.0 + f.speed[t]); });
}

double speed(const Future& f, const Wishes& w) {
  return mean(f, [&](int t) { return square(f.speed[t] - w.wanted_mps); });
}

double lateral_acceleration(const Future& f, const Wishes& w) {
  return mean(f, [&](int t) {
    return square(most(std::fabs(f.speed[t] * f.yaw_rate[t]) - w.max_lateral_acceleration, 0.0));
  });
}

double leader(const Future& f, const Wishes& w) {
  const double *gap = f.head[kLeaderGap], *present = f.head[kLeaderPresence];
  const double* ahead = f.head[kLeaderSpeed];
  return mean(f, [&](int t) {
    const double margin = w.leader_margin_m + w.leader_headway_s * f.speed[t];
    return hinge(f.speed[t], gap[t], present[t], ahead[t], margin, w);
  });
}

double stop_line(const Future& f, const Wishes& w) {
  const double *gap = f.head[kStopDistance], *present = f.head[kStopPresence];
  return mean(f, [&](int t) {
    return hinge(f.speed[t], gap[t], present[t], 0.0, w.stop_margin_m, w);
  });
}

double collision(const Future& f, const Wishes&) {
  return mean(f, [&](int t) { return f.head[kCollision][t]; });
}

double near(const Future& f, const Wishes&) {
  return mean(f, [&](int t) { return f.head[kNear][t] * moving(f.speed[t]); });
}

double off_road(const Future& f, const Wishes&) {
  return mean(f, [&](int t) { return f.head[kOffRoad][t]; });
}

double red_light(const Future& f, const Wishes&) {
  return mean(f, [&](int t) {
    return f.head[kRedViolation][t] * (f.speed[t] > kCreepMps ? 1.0 : 0.0);
  });
}

double smoothness(const Future& f, const Wishes& w) {
  return mean(f, [&](int t) {
    const double* before = t == 0 ? w.before : f.actions + 2 * (t - 1);
    return square(f.actions[2 * t] - before[0]) * kSteerShare +
           square(f.actions[2 * t + 1] - before[1]) * kAccelShare;
  });
}

double disagreement(const Future& f, const Wishes&) { return f.disagreement; }

constexpr unsigned kLeader = 1u << kLeaderGap | 1u << kLeaderPresence | 1u << kLeaderSpeed;
constexpr Term kTerms[] = {
    {"lateral", 0, lateral},
    {"heading", 0, heading},
    {"speed", 0, speed},
    {"lateral_acceleration", 0, lateral_acceleration},
    {"leader", kLeader, leader},
    {"stop_line", 1u << kStopDistance | 1u << kStopPresence, stop_line},
    {"collision", 1u << kCollision, collision},
    {"near", 1u << kNear, near},
    {"off_road", 1u << kOffRoad, off_road},
    {"red_light", 1u << kRedViolation, red_light},
    {"smoothness", 0, smoothness},
    {"disagreement", 0, disagreement},
};

}  // namespace

const Term* find_term(const std::string& name) {
  for (const Term& term : kTerms)
    if (name == term.name) return &term;
  return nullptr;
}

std::vector<std::string> term_names() {
  std::vector<std::string> names;
  for (const Term& term : kTerms) names.emplace_back(term.name);
  return names;
}

}  // namespace wm::plan
