// Python's view of the engine. Everything that Python hands over is checked here.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "arrays.hpp"
#include "dispatch.hpp"
#include "plan_module.hpp"
#include "pool.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using wm::Refused;
using wm::require_shape;
using wm::Result;
using wm::shape_of;
using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;

constexpr size_t kMostSequences = 1 << 16, kMostSteps = 1 << 10;
constexpr int kMostThreads = 64;
constexpr int kFewRows = 24;  // smaller shards than this waste the kernels' registers

class PyEngine {
 public:
  PyEngine(nb::bytes image, const std::string& isa, const std::string& precision, int threads)
      : model_(wm::parse(image.c_str(), image.size())), precision_(precision) {
    if (threads < 1 || threads > kMostThreads) throw Refused("threads must be 1 to 64");
    const auto& set = wm::instruction_set(isa);
    isa_ = set.name;
    engine_ = set.make(model_, wm::precision_of(precision), threads);
    if (!engine_) throw Refused(isa_ + " has no " + precision);
    model_.storage = {};  // packed; what is left of the model are its sizes
    pool_ = std::make_unique<wm::Pool>(threads);
  }

  nb::tuple imagine(Floats deter, nb::ndarray<nb::c_contig, nb::device::cpu> stoch,
                    Floats ego_state, Floats actions, bool every_member,
                    std::optional<Floats> uniforms, std::vector<int> checked) {
    const wm::Sizes& s = model_.size;
    if (actions.ndim() != 3 || actions.shape(2) != 2)
      throw Refused("actions have shape " + shape_of(actions) + ", not (N, H, 2)");
    const size_t n = actions.shape(0), horizon = actions.shape(1);
    if (n < 1 || n > kMostSequences || horizon < 1 || horizon > kMostSteps)
      throw Refused("actions have shape " + shape_of(actions) + ": too few or too many");
    if (every_member && uniforms) throw Refused("members imagine modes alone, not samples");
    const size_t starts = deter.ndim() == 2 && deter.shape(0) == n ? n : 1;
    require_shape(deter, {starts, size_t(s.deter)}, "deter");
    require_shape(ego_state, {5}, "ego_state");
    if (uniforms) require_shape(*uniforms, {n, horizon, size_t(s.compact())}, "uniforms");

    wm::Job job{};
    job.sequences = int(n);
    job.horizon = int(horizon);
    job.rows = int(every_member ? n * s.members : n);
    job.every_member = every_member;
    job.actions = actions.data();
    job.uniforms = uniforms ? uniforms->data() : nullptr;
    job.deter = deter.data();
    job.ego_state = ego_state.data();
    job.starts = int(starts);
    const std::vector<int32_t> classes = read_stoch(stoch, starts, job);
    place_spreads(job, checked);

    const size_t rows = job.rows, heads = s.heads;
    Result<float> path({rows, horizon, 3}), speed({rows, horizon}), values({rows, horizon, heads}),
        spread({rows, size_t(job.spreads)}), end_deter({rows, size_t(s.deter)}), end_ego({rows, 5});
    job.path = path.data.get();
    job.speed = speed.data.get();
    job.heads = values.data.get();
    job.spread = spread.data.get();
    job.end_deter = end_deter.data.get();
    job.end_ego = end_ego.data.get();
    Result<float> end_means({rows, size_t(s.latent ? s.gauss : 0)});
    Result<int32_t> end_classes({rows, size_t(s.latent ? 0 : s.groups)});
    job.end_means = end_means.data.get();
    job.end_classes = end_classes.data.get();
    {
      nb::gil_scoped_release released;
      std::lock_guard<std::mutex> lock(busy_);
      run(job);
    }
    nb::object end_stoch = s.latent ? nb::cast(end_means.release()) : nb::cast(end_classes.release());
    return nb::make_tuple(path.release(), speed.release(), values.release(), spread.release(),
                          end_deter.release(), end_stoch, end_ego.release());
  }

  nb::ndarray<nb::numpy, float> look(Floats deter, nb::ndarray<nb::c_contig, nb::device::cpu> stoch) {
    require_shape(deter, {1, size_t(model_.size.deter)}, "deter");
    wm::Job job{};
    const std::vector<int32_t> classes = read_stoch(stoch, 1, job);
    Result<float> heads({size_t(model_.size.heads)});
    {
      nb::gil_scoped_release released;
      std::lock_guard<std::mutex> lock(busy_);
      engine_->look(deter.data(), job.classes, job.means, heads.data.get());
    }
    return heads.release();
  }

  const std::string& isa() const { return isa_; }
  const std::string& precision() const { return precision_; }
  int threads() const { return pool_->threads(); }
  int members() const { return model_.size.members; }

 private:
  // The belief's stochastic part: points the job at it; returns what must live as long.
  std::vector<int32_t> read_stoch(const nb::ndarray<nb::c_contig, nb::device::cpu>& stoch,
                                  size_t starts, wm::Job& job) const {
    const wm::Sizes& s = model_.size;
    require_shape(stoch, {starts, size_t(s.compact())}, "stoch");
    std::vector<int32_t> classes;
    if (s.latent == 1) {
      if (stoch.dtype() != nb::dtype<float>()) throw Refused("stoch must be float32");
      job.means = static_cast<const float*>(stoch.data());
      return classes;
    }
    if (stoch.dtype() != nb::dtype<int64_t>()) throw Refused("stoch must be int64 classes");
    const auto* given = static_cast<const int64_t*>(stoch.data());
    classes.resize(starts * s.groups);
    for (size_t i = 0; i < classes.size(); i++) {
      if (given[i] < 0 || given[i] >= s.classes) throw Refused("stoch has a class out of range");
      classes[i] = int32_t(given[i]);
    }
    job.classes = classes.data();
    return classes;
  }

  void place_spreads(wm::Job& job, const std::vector<int>& checked) const {
    job.spread_column.assign(job.horizon, -1);
    job.spreads = 0;
    if (model_.size.members < 2 && !job.uniforms) return;
    if (job.uniforms) {
      for (int& column : job.spread_column) column = job.spreads++;
      return;
    }
    if (job.every_member) return;
    for (int step : checked) {
      if (step < 0 || step >= job.horizon || job.spread_column[step] >= 0)
        throw Refused("a checked step is out of range, or there twice");
      job.spread_column[step] = job.spreads++;
    }
  }

  void run(const wm::Job& job) {
    const int threads = pool_->threads();
    int shards = (job.rows + wm::kMostRows - 1) / wm::kMostRows;
    // Two for each thread, so that one that is slowed down leaves work to the others.
    const int wanted = threads == 1 ? 1 : 2 * threads;
    while (shards % wanted != 0 && job.rows / (shards + 1) >= kFewRows / 2 && threads > 1) shards++;
    pool_->run(shards, [&](int shard, int worker) {
      const int first = int(int64_t(job.rows) * shard / shards);
      const int last = int(int64_t(job.rows) * (shard + 1) / shards);
      engine_->imagine(job, first, last - first, worker);
    });
  }

  wm::Model model_;
  std::string isa_, precision_;
  std::unique_ptr<wm::Engine> engine_;
  std::unique_ptr<wm::Pool> pool_;
  std::mutex busy_;
};

std::vector<std::string> available() {
  std::vector<std::string> names;
  for (const auto& set : wm::instruction_sets())
    if (set.here()) names.emplace_back(set.name);
  return names;
}

double peak(const std::string& isa, const std::string& precision) {
  const auto& set = wm::instruction_set(isa);
  const int wanted = wm::precision_of(precision);
  nb::gil_scoped_release released;
  return set.peak(wanted);
}

}  // namespace

NB_MODULE(_wm_runtime, m) {
  m.doc() = "Imagined rollouts in C++; used through wm_dynamics.engine.";
  m.attr("IMAGE_VERSION") = wm::kVersion;
  m.attr("INTERFACE") = 3;  // rises with every change of what is below; see engine.py
  m.def("instruction_sets", &available, "Those of this processor, best first.");
  m.def("peak", &peak, "isa"_a, "precision"_a, "GFLOP/s of one thread, multiplying in registers.");
  nb::class_<PyEngine>(m, "Engine")
      .def(nb::init<nb::bytes, const std::string&, const std::string&, int>(), "image"_a,
           "isa"_a = "auto", "precision"_a = "fp32", "threads"_a = 1)
      .def("imagine", &PyEngine::imagine, "deter"_a, "stoch"_a, "ego_state"_a, "actions"_a,
           "every_member"_a = false, "uniforms"_a = nb::none(), "checked"_a = std::vector<int>())
      .def("look", &PyEngine::look, "deter"_a, "stoch"_a)
      .def_prop_ro("isa", &PyEngine::isa)
      .def_prop_ro("precision", &PyEngine::precision)
      .def_prop_ro("threads", &PyEngine::threads)
      .def_prop_ro("members", &PyEngine::members);
  wm::plan::bind(m);
}
