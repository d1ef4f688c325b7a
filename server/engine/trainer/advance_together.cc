#include "server/engine/trainer/advance_together.h"

#include <array>
#include <exception>

#include "server/base/check.h"
#include "server/engine/linalg/tile_kernels.h"

namespace polyak::engine {
namespace {

// The products of one record of all members, matrix by matrix in the order of the members.
class Products {
 public:
  void Add(const Stepper::Product& product) {
    if (product.matrix != nullptr) {
      pending_[count_++] = product;
    }
  }

  // Computes all that were added, and forgets them.
  void Compute() {
    for (size_t first = 0; first < count_; ++first) {
      const Matrix* const matrix = pending_[first].matrix;
      if (matrix == nullptr) {
        continue;  // computed with an earlier one
      }
      size_t alike = 0;
      for (size_t k = first; k < count_; ++k) {
        if (pending_[k].matrix == matrix) {
          vectors_[alike] = pending_[k].vector;
          products_[alike++] = pending_[k].product;
          pending_[k].matrix = nullptr;
        }
      }
      kernels_.matrix_products(matrix->rows(), matrix->data(), static_cast<int64_t>(alike),
                               vectors_.data(), products_.data());
    }
    count_ = 0;
  }

 private:
  const TileKernels& kernels_ = WidestTileKernels();
  size_t count_ = 0;
  std::array<Stepper::Product, kTogetherMax> pending_;
  std::array<const double*, kTogetherMax> vectors_;
  std::array<double*, kTogetherMax> products_;
};

// One member's part of a record: what it throws is nobody else's.
template <typename Part>
void Try(TrainerShare& share, const Part& part) {
  try {
    part();
  } catch (...) {
    share.failure = std::current_exception();
  }
}

struct Active {
  TrainerShare* share;
  int64_t left;  // records
};

}  // namespace

void AdvanceTogether(std::span<TrainerShare> shares) {
  POLYAK_CHECK(shares.size() <= kTogetherMax);
  if (shares.size() == 1) {
    Try(shares.front(), [&] { shares.front().trainer->Advance(shares.front().records); });
    return;
  }
  Products products;
  std::array<Active, kTogetherMax> active;
  size_t count = 0;
  for (TrainerShare& share : shares) {
    active[count++] = {&share, share.records};
  }
  while (true) {
    size_t kept = 0;
    for (size_t k = 0; k < count; ++k) {
      const TrainerShare& share = *active[k].share;
      if (active[k].left > 0 && share.failure == nullptr && share.trainer->progress().running()) {
        active[kept++] = {active[k].share, active[k].left - 1};
      }
    }
    count = kept;
    if (count == 0) {
      return;
    }
    for (size_t k = 0; k < count; ++k) {
      TrainerShare& share = *active[k].share;
      Try(share, [&] { products.Add(share.trainer->Begin()); });
    }
    products.Compute();
    for (size_t k = 0; k < count; ++k) {
      TrainerShare& share = *active[k].share;
      if (share.failure == nullptr) {
        Try(share, [&] { share.trainer->End(); });
      }
    }
  }
}

}  // namespace polyak::engine
