// Python's view of the arithmetic of a plan. Everything that Python hands over is checked here.
#include "plan_module.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "arrays.hpp"
#include "plan.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace wm::plan {
namespace {

using Doubles = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<nb::ro, nb::device::cpu>;  // float or double, strided

constexpr size_t kMost = 1 << 16;  // sequences; a thousandth of it: steps, points

Draw draw_of(uint64_t seed, uint64_t plan, uint64_t iteration) {
  return {seed, uint32_t(plan), uint32_t(iteration)};
}

void limit(size_t count, size_t least, size_t most, const char* name) {
  if (count < least || count > most)
    throw Refused(std::string(name) + ": " + std::to_string(count) + " are too few or too many");
}

nb::ndarray<nb::numpy, uint32_t> random_words(uint64_t seed, uint64_t plan, uint64_t iteration,
                                              size_t count, size_t length) {
  limit(count, 1, kMost, "count");
  limit(length, 1, kMost, "length");
  const Draw draw = draw_of(seed, plan, iteration);
  Result<uint32_t> found({count, 2, length});
  for (size_t n = 0; n < count; n++)
    for (int c = 0; c < 2; c++)
      for (size_t i = 0; i < length; i++)
        found.data[(n * 2 + c) * length + i] = words(draw, uint32_t(n), c, int(i / 4))[i % 4];
  return found.release();
}

nb::ndarray<nb::numpy, double> normals(nb::ndarray<const uint32_t, nb::c_contig, nb::device::cpu> w) {
  Result<double> found({w.size()});
  for (size_t i = 0; i < w.size(); i++) found.data[i] = normal(w.data()[i]);
  return found.release();
}

nb::tuple sample_of(uint64_t seed, uint64_t plan, uint64_t iteration, size_t count, Doubles mean,
                    Doubles std, Doubles waves, Doubles steps_of, Doubles others) {
  if (mean.ndim() != 2 || steps_of.ndim() != 2 || others.ndim() != 3)
    throw Refused("mean, steps_of and others have shapes " + shape_of(mean) + ", " +
                  shape_of(steps_of) + " and " + shape_of(others));
  const size_t knots = mean.shape(0), steps = steps_of.shape(0), more = others.shape(0);
  limit(count, 1, kMost, "count");
  limit(more, 0, kMost, "others");
  limit(knots, 1, kMost, "knots");
  limit(steps, 1, kMost, "steps");
  require_shape(mean, {knots, 2}, "mean");
  require_shape(std, {knots, 2}, "std");
  require_shape(waves, {knots, knots}, "waves");
  require_shape(steps_of, {steps, knots}, "steps_of");
  require_shape(others, {more, knots, 2}, "others");
  Result<double> tried({count + more, knots, 2}), actions({count + more, steps, 2});
  const Search search{int(knots), int(steps), mean.data(), std.data(), waves.data(),
                      steps_of.data()};
  {
    nb::gil_scoped_release released;
    sample(draw_of(seed, plan, iteration), int(count), search, others.data(), int(more),
           tried.data.get(), actions.data.get());
  }
  return nb::make_tuple(tried.release(), actions.release());
}

View view_of(const Numbers& array, std::vector<size_t> shape, const char* name) {
  require_shape(array, shape, name);
  View view;
  view.wide = array.dtype() == nb::dtype<double>();
  if (!view.wide && array.dtype() != nb::dtype<float>())
    throw Refused(std::string(name) + " must be float32 or float64");
  const ptrdiff_t size = view.wide ? sizeof(double) : sizeof(float);
  view.data = static_cast<const char*>(array.data());
  view.row = array.stride(0) * size;
  if (shape.size() > 1) view.step = array.stride(1) * size;
  if (shape.size() > 2) view.value = array.stride(2) * size;
  return view;
}

nb::tuple score_of(Numbers path, Numbers speed, Numbers actions, nb::dict heads,
                   Numbers disagreement, Doubles reference, Doubles trust, double dt,
                   nb::dict weights, const std::vector<double>& before, double wanted_mps,
                   double lane_slack_m, double max_lateral_acceleration,
                   double comfortable_deceleration, double leader_margin_m,
                   double leader_headway_s, double stop_margin_m, Doubles more) {
  if (speed.ndim() != 2 || reference.ndim() != 2 || more.ndim() != 2)
    throw Refused("speed, reference and more have shapes " + shape_of(speed) + ", " +
                  shape_of(reference) + " and " + shape_of(more));
  const size_t count = speed.shape(0), steps = speed.shape(1), points = reference.shape(0);
  limit(count, 1, kMost, "futures");
  limit(steps, 1, kMost, "steps");
  limit(points, 2, kMost, "points of the route");
  limit(more.shape(0), 0, kMost, "more terms");
  require_shape(reference, {points, 2}, "reference");
  require_shape(trust, {steps}, "trust");
  require_shape(more, {more.shape(0), count}, "more");
  if (before.size() != 2) throw Refused("before must be two numbers");
  Scoring job;
  job.count = int(count);
  job.steps = int(steps);
  job.points = int(points);
  job.dt = dt;
  job.path = view_of(path, {count, steps, 3}, "path");
  job.speed = view_of(speed, {count, steps}, "speed");
  job.actions = view_of(actions, {count, steps, 2}, "actions");
  job.disagreement = view_of(disagreement, {count}, "disagreement");
  job.reference = reference.data();
  job.trust = trust.data();
  job.wishes = {{before[0], before[1]}, wanted_mps, lane_slack_m, max_lateral_acceleration,
                comfortable_deceleration, leader_margin_m, leader_headway_s, stop_margin_m};
  unsigned needed = 0;
  for (auto [name, weight] : weights) {
    const Term* term = find_term(nb::cast<std::string>(name));
    if (!term) throw Refused("there is no term " + nb::cast<std::string>(name));
    job.terms.push_back(term);
    job.weights.push_back(nb::cast<double>(weight));
    needed |= term->heads;
  }
  std::vector<Numbers> alive;  // what the views look at
  for (int i = 0; i < kHeads; i++) {
    if (!(needed >> i & 1)) continue;
    alive.push_back(nb::cast<Numbers>(heads[kHeadNames[i]]));
    job.head[i] = view_of(alive.back(), {count, steps}, kHeadNames[i]);
  }
  const size_t own = job.terms.size(), all = own + more.shape(0);
  Result<double> table({all, count}), total({count}), means({all}), least({all});
  const std::unique_ptr<bool[]> finite(new bool[count]);
  {
    nb::gil_scoped_release released;
    score(job, table.data.get(), finite.get());
    std::copy(more.data(), more.data() + more.size(), table.data.get() + own * count);
    sum_up(int(all), int(count), table.data.get(), finite.get(), total.data.get(),
           means.data.get(), least.data.get());
  }
  return nb::make_tuple(table.release(), total.release(), means.release(), least.release());
}

Tried tried_of(const Doubles& knots, const Doubles& cost) {
  if (knots.ndim() != 3) throw Refused("knots have shape " + shape_of(knots) + ", not (N, M, 2)");
  const size_t count = knots.shape(0);
  limit(count, 1, kMost, "sequences");
  limit(knots.shape(1), 1, kMost, "knots");
  require_shape(knots, {count, knots.shape(1), 2}, "knots");
  require_shape(cost, {count}, "cost");
  return {int(count), int(2 * knots.shape(1)), knots.data(), cost.data()};
}

std::vector<int> best_of(const Tried& tried, size_t elites) {
  std::vector<int> best = cheapest(tried, int(std::min(elites, kMost)));
  if (best.empty()) throw Refused("no sequence is usable, or no elites are wanted");
  return best;
}

Result<double> rows_of(const Tried& tried, const std::vector<int>& rows) {
  Result<double> found({rows.size(), size_t(tried.width / 2), 2});
  for (size_t i = 0; i < rows.size(); i++)
    std::copy_n(tried.knots + size_t(rows[i]) * tried.width, tried.width,
                found.data.get() + i * tried.width);
  return found;
}

nb::tuple narrow_of(Doubles knots, Doubles cost, size_t elites, Doubles mean, Doubles std,
                    double momentum, double min_std) {
  const Tried tried = tried_of(knots, cost);
  const size_t many = knots.shape(1);
  require_shape(mean, {many, 2}, "mean");
  require_shape(std, {many, 2}, "std");
  const std::vector<int> best = best_of(tried, elites);
  Result<double> next_mean({many, 2}), next_std({many, 2});
  std::copy_n(mean.data(), tried.width, next_mean.data.get());
  std::copy_n(std.data(), tried.width, next_std.data.get());
  narrow(tried, best, momentum, min_std, next_mean.data.get(), next_std.data.get());
  return nb::make_tuple(rows_of(tried, best).release(), next_mean.release(), next_std.release());
}

nb::tuple average_of(Doubles knots, Doubles cost, size_t elites, double share) {
  const Tried tried = tried_of(knots, cost);
  const std::vector<int> best = best_of(tried, elites);
  Result<double> mean({knots.shape(1), 2});
  average(tried, share, mean.data.get());
  return nb::make_tuple(rows_of(tried, best).release(), mean.release());
}

}  // namespace

void bind(nb::module_& m) {
  m.def("plan_terms", &term_names, "Cost terms that plan_score knows.");
  m.def("plan_words", &random_words, "seed"_a, "plan"_a, "iteration"_a, "count"_a, "length"_a);
  m.def("plan_normals", &normals, "words"_a);
  m.def("plan_sample", &sample_of, "seed"_a, "plan"_a, "iteration"_a, "count"_a, "mean"_a, "std"_a,
        "waves"_a, "steps_of"_a, "others"_a);
  m.def("plan_score", &score_of, nb::kw_only(), "path"_a, "speed"_a, "actions"_a, "heads"_a,
        "disagreement"_a, "reference"_a, "trust"_a, "dt"_a, "weights"_a, "before"_a,
        "wanted_mps"_a, "lane_slack_m"_a, "max_lateral_acceleration"_a,
        "comfortable_deceleration"_a, "leader_margin_m"_a, "leader_headway_s"_a,
        "stop_margin_m"_a, "more"_a);
  m.def("plan_narrow", &narrow_of, "knots"_a, "cost"_a, "elites"_a, "mean"_a, "std"_a, "momentum"_a,
        "min_std"_a);
  m.def("plan_average", &average_of, "knots"_a, "cost"_a, "elites"_a, "share"_a);
}

}  // namespace wm::plan
