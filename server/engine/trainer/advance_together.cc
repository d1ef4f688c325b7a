#include "server/engine/trainer/advance_together.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "server/engine/linalg/lane_kernels.h"

namespace polyak::engine {
namespace {

// The products of one record of all members, matrix by matrix in the order of the members.
class Products {
 public:
  explicit Products(size_t members) {
    pending_.reserve(members);
    vectors_.reserve(members);
    products_.reserve(members);
  }

  void Add(const Stepper::Product& product) {
    if (product.matrix != nullptr) {
      pending_.push_back(product);
    }
  }

  // Computes all that were added, and forgets them.
  void Compute() {
    for (size_t first = 0; first < pending_.size(); ++first) {
      const Matrix* const matrix = pending_[first].matrix;
      if (matrix == nullptr) {
        continue;  // computed with an earlier one
      }
      vectors_.clear();
      products_.clear();
      for (size_t k = first; k < pending_.size(); ++k) {
        if (pending_[k].matrix == matrix) {
          vectors_.push_back(pending_[k].vector);
          products_.push_back(pending_[k].product);
          pending_[k].matrix = nullptr;
        }
      }
      kernels_.matrix_products(matrix->rows(), matrix->data(),
                               static_cast<int64_t>(vectors_.size()), vectors_.data(),
                               products_.data());
    }
    pending_.clear();
  }

 private:
  const LaneKernels& kernels_ = WidestKernels();
  std::vector<Stepper::Product> pending_;
  std::vector<const double*> vectors_;
  std::vector<double*> products_;
};

}  // namespace

void AdvanceTogether(std::span<const TrainerShare> shares) {
  if (shares.size() == 1) {
    shares.front().trainer->Advance(shares.front().records);
    return;
  }
  Products products(shares.size());
  std::vector<TrainerShare> active(shares.begin(), shares.end());
  while (true) {
    std::erase_if(active, [](const TrainerShare& share) {
      return share.records <= 0 || !share.trainer->progress().running();
    });
    if (active.empty()) {
      return;
    }
    for (TrainerShare& share : active) {
      products.Add(share.trainer->Begin());
      --share.records;
    }
    products.Compute();
    for (const TrainerShare& share : active) {
      share.trainer->End();
    }
  }
}

}  // namespace polyak::engine
