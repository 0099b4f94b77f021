#pragma once

// A tensor is a handle to a node of the computation: its value and, once backward has reached it,
// its gradient, both fp32 and row-major. Copying a tensor copies the handle. Nodes belong to the
// tape that made them, or to a ParamSet.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/embedding.h"

namespace etude {

using Shape = std::vector<int64_t>;

inline int64_t count(const Shape& shape) {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

// "[96, 50, 256]"
std::string to_string(const Shape& shape);

struct Node;

// Of a tensor that is made of a table's rows: those rows, and which of them stands where. An op may
// read them instead, and then gives its gradient to them.
struct RowsOfTable {
  Node* rows;  // [rows of `distinct` or more, F]
  const kernels::DistinctRows* distinct;
};

struct Node {
  Shape shape;
  RowsOfTable of_table = {};  // nulls for all other tensors
  float* data = nullptr;
  float* grad = nullptr;      // null until there is room for one
  bool grad_written = false;  // the next gradient adds
};

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Node* node) : node_(node) {}

  const Shape& shape() const { return node_->shape; }
  int64_t size(int axis) const { return node_->shape[static_cast<size_t>(axis)]; }
  int rank() const { return static_cast<int>(node_->shape.size()); }
  int64_t count() const { return etude::count(node_->shape); }
  float* data() const { return node_->data; }
  const float* grad() const { return node_->grad; }
  Node* node() const { return node_; }

 private:
  Node* node_ = nullptr;
};

}  // namespace etude
