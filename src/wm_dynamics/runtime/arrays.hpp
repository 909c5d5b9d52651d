// Arrays that come from Python, checked, and those that go there.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <string>
#include <vector>

#include "model.hpp"

namespace wm {

namespace nb = nanobind;

template <class A>
std::string shape_of(const A& array) {
  std::string text = "(";
  for (size_t i = 0; i < array.ndim(); i++) text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + ")";
}

template <class A>
void require_shape(const A& array, std::vector<size_t> wanted, const char* name) {
  bool same = array.ndim() == wanted.size();
  for (size_t i = 0; same && i < wanted.size(); i++) same = array.shape(i) == wanted[i];
  if (same) return;
  std::string text;
  for (size_t i = 0; i < wanted.size(); i++) text += (i ? ", " : "") + std::to_string(wanted[i]);
  throw Refused(std::string(name) + " has shape " + shape_of(array) + ", not (" + text + ")");
}

// A fresh array that Python will own.
template <class T>
struct Result {
  std::vector<size_t> shape;
  std::unique_ptr<T[]> data;

  explicit Result(std::vector<size_t> shape_) : shape(std::move(shape_)) {
    size_t count = 1;
    for (size_t n : shape) count *= n;
    data.reset(new T[count + 1]());
  }
  nb::ndarray<nb::numpy, T> release() {
    T* raw = data.get();
    nb::capsule owner(raw, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    data.release();
    return nb::ndarray<nb::numpy, T>(raw, shape.size(), shape.data(), owner);
  }
};

}  // namespace wm
