#include "server/engine/plans/relu_start.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "server/base/parallel.h"
#include "server/engine/linalg/lane_kernels.h"
#include "server/engine/plans/common_bits.h"
#include "server/engine/random/random_stream.h"

namespace polyak::engine {
namespace {

using RowMajorMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr int64_t kBlockRows = 1024;
constexpr int64_t kWordsOfBlock = kBlockRows / 64;
// Blocks whose results are added up together, in their order, whoever computed them.
constexpr int64_t kWaveBlocks = 64;
// Activations of the blocks that are searched together, at most.
constexpr int64_t kWaveEntries = 4'000'000;
constexpr int kThreadsMax = 2;

// What one thread works in.
struct Scratch {
  std::vector<double> weights;   // of 32 neurons, row by row: 32 x d
  std::vector<double> panel;     // the same by columns, as the kernel takes it: d x 32
  std::vector<double> products;  // n x 32
  Matrix preactivations;         // Z of the block: block x n
  std::vector<uint64_t> active;  // by column, a bit a row
  std::vector<int64_t> counts;   // n x n, upper triangle
};

// The weights of rows first .. first + rows, row by row.
void FillWeights(const ReluNetworkInstance& instance, int64_t first, int64_t rows,
                 std::vector<double>& weights) {
  const auto dimension = instance.input_dimension();
  if (instance.initial_hidden_weights != nullptr) {
    Eigen::Map<RowMajorMatrix>(weights.data(), rows, dimension) =
        instance.initial_hidden_weights->middleRows(first, rows);
    return;
  }
  RandomStream(instance.seed, DrawPurpose::kHiddenWeights)
      .FillNormal(static_cast<uint64_t>(first * dimension),
                  std::span<double>(weights.data(), static_cast<size_t>(rows * dimension)));
}

// Z of rows first .. first + rows, 32 neurons at a time: the product X W' of n x d x 32, whose rows
// are pieces of the columns of Z.
void ComputeBlock(const ReluNetworkInstance& instance, int64_t first, int64_t rows,
                  Scratch& scratch) {
  const int64_t dimension = instance.input_dimension();
  const int64_t examples = instance.examples();
  scratch.preactivations.resize(rows, examples);
  scratch.weights.resize(static_cast<size_t>(kPanelColumns * dimension));
  scratch.panel.assign(static_cast<size_t>(kPanelColumns * dimension), 0);
  const StridedMatrix features = {instance.features.data(), 1, examples};
  for (int64_t done = 0; done < rows; done += kPanelColumns) {
    const int64_t some = std::min(kPanelColumns, rows - done);
    FillWeights(instance, first + done, some, scratch.weights);
    for (int64_t k = 0; k < dimension; ++k) {
      for (int64_t r = 0; r < some; ++r) {
        scratch.panel[static_cast<size_t>(k * kPanelColumns + r)] =
            scratch.weights[static_cast<size_t>(r * dimension + k)];
      }
    }
    scratch.products.assign(static_cast<size_t>(examples * kPanelColumns), 0);
    WidestKernels().add_product(examples, dimension, features, scratch.panel.data(),
                                scratch.products.data());
    for (int64_t i = 0; i < examples; ++i) {
      std::copy_n(scratch.products.data() + i * kPanelColumns, some,
                  scratch.preactivations.col(i).data() + done);
    }
  }
}

int64_t BlockCount(int64_t width) { return (width + kBlockRows - 1) / kBlockRows; }

// Calls visit(slot, first row, rows, thread) for `some` blocks from one on, each on one of the
// threads.
template <typename Visit>
void ForEachBlock(int64_t width, int64_t begin, int64_t some, int threads, const Visit& visit) {
  const int64_t end = std::min(begin + some, BlockCount(width));
  base::RunParts(threads, [&](int thread) {
    for (int64_t block = begin + thread; block < end; block += threads) {
      const int64_t first = block * kBlockRows;
      visit(block - begin, first, std::min(kBlockRows, width - first), thread);
    }
  });
}

// More than one pays only where there is more than a block a thread.
int ThreadCount(int64_t width) {
  return width > 4 * kBlockRows ? base::PartsThatPay(kThreadsMax) : 1;
}

void CountActive(Scratch& scratch) {
  const Eigen::Index examples = scratch.preactivations.cols();
  const Eigen::Index rows = scratch.preactivations.rows();
  scratch.active.assign(static_cast<size_t>(examples * kWordsOfBlock), 0);
  for (Eigen::Index i = 0; i < examples; ++i) {
    const double* const z = scratch.preactivations.col(i).data();
    uint64_t* const active = scratch.active.data() + i * kWordsOfBlock;
    for (Eigen::Index r = 0; r < rows; ++r) {
      active[r / 64] |= static_cast<uint64_t>(z[r] > 0) << (r % 64);
    }
  }
  for (Eigen::Index j = 0; j < examples; ++j) {
    for (Eigen::Index i = 0; i <= j; ++i) {
      scratch.counts[static_cast<size_t>(i + j * examples)] +=
          CountCommonBits(scratch.active.data() + i * kWordsOfBlock,
                          scratch.active.data() + j * kWordsOfBlock, kWordsOfBlock);
    }
  }
}

void StoreMask(const Scratch& scratch, int64_t first, ActivationMask& mask) {
  const Eigen::Index examples = scratch.preactivations.cols();
  for (Eigen::Index r = 0; r < scratch.preactivations.rows(); ++r) {
    const uint64_t word = static_cast<uint64_t>(r) / 64;
    const uint64_t shift = static_cast<uint64_t>(r) % 64;
    for (Eigen::Index i = 0; i < examples; i += 8) {
      uint64_t bits = 0;
      for (Eigen::Index k = i; k < std::min<Eigen::Index>(i + 8, examples); ++k) {
        bits |= ((scratch.active[static_cast<size_t>(k * kWordsOfBlock) + word] >> shift) & 1)
                << (k - i);
      }
      mask.SetByte(first + r, i / 8, static_cast<uint8_t>(bits));
    }
  }
}

// sum_r s_r max(0, z_ri) over the block (n).
Vector BlockOutputs(const ReluNetworkInstance& instance, int64_t first, const Matrix& z) {
  const double scale = 1 / std::sqrt(static_cast<double>(instance.width));
  Vector scaled_output(z.rows());
  for (Eigen::Index r = 0; r < z.rows(); ++r) {
    scaled_output(r) = scale * OutputWeight(instance, first + r);
  }
  return z.cwiseMax(0.0).transpose() * scaled_output;
}

}  // namespace

ReluStart StartReluNetwork(const ReluNetworkInstance& instance, Matrix* preactivations,
                           const base::StopWish& stops) {
  const int64_t examples = instance.examples();
  const int threads = ThreadCount(instance.width);
  ReluStart start = {ActivationMask(instance.width, examples), Matrix::Zero(examples, examples),
                     Vector::Zero(examples)};
  std::vector<Scratch> scratches(static_cast<size_t>(threads));
  for (Scratch& scratch : scratches) {
    scratch.counts.assign(static_cast<size_t>(examples * examples), 0);
  }
  std::vector<Vector> outputs(static_cast<size_t>(kWaveBlocks));
  for (int64_t begin = 0; begin < BlockCount(instance.width); begin += kWaveBlocks) {
    base::ThrowIfStopped(stops);
    for (Vector& output : outputs) {
      output = Vector::Zero(examples);
    }
    ForEachBlock(instance.width, begin, kWaveBlocks, threads,
                 [&](int64_t slot, int64_t first, int64_t rows, int thread) {
                   Scratch& scratch = scratches[static_cast<size_t>(thread)];
                   ComputeBlock(instance, first, rows, scratch);
                   CountActive(scratch);
                   StoreMask(scratch, first, start.mask);
                   outputs[static_cast<size_t>(slot)] =
                       BlockOutputs(instance, first, scratch.preactivations);
                   if (preactivations != nullptr) {
                     preactivations->middleRows(first, rows) = scratch.preactivations;
                   }
                 });
    for (const Vector& output : outputs) {
      start.outputs += output;
    }
  }
  for (int64_t j = 0; j < examples; ++j) {
    for (int64_t i = 0; i <= j; ++i) {
      int64_t count = 0;
      for (const Scratch& scratch : scratches) {
        count += scratch.counts[static_cast<size_t>(i + j * examples)];
      }
      start.counts(i, j) = start.counts(j, i) = static_cast<double>(count);
    }
  }
  return start;
}

std::optional<std::vector<std::vector<NearEntry>>> CollectNearEntries(
    const ReluNetworkInstance& instance, const Matrix* preactivations, const Vector& above,
    const Vector& up_to, int64_t entries_max, const base::StopWish& stops) {
  const int64_t examples = instance.examples();
  const int threads = preactivations == nullptr ? ThreadCount(instance.width) : 1;
  const int64_t wave_blocks =
      std::clamp<int64_t>(kWaveEntries / (kBlockRows * examples), 2, kWaveBlocks);
  std::vector<Scratch> scratches(static_cast<size_t>(threads));
  std::vector<std::vector<NearEntry>> near(static_cast<size_t>(examples));
  std::vector<std::vector<std::pair<int32_t, NearEntry>>> found(static_cast<size_t>(wave_blocks));
  int64_t left = entries_max;
  for (int64_t begin = 0; begin < BlockCount(instance.width); begin += wave_blocks) {
    base::ThrowIfStopped(stops);
    for (auto& entries : found) {
      entries.clear();
    }
    ForEachBlock(instance.width, begin, wave_blocks, threads,
                 [&](int64_t slot, int64_t first, int64_t rows, int thread) {
                   Scratch& scratch = scratches[static_cast<size_t>(thread)];
                   if (preactivations == nullptr) {
                     ComputeBlock(instance, first, rows, scratch);
                   } else {
                     scratch.preactivations = preactivations->middleRows(first, rows);
                   }
                   for (int64_t i = 0; i < examples; ++i) {
                     const double* const z = scratch.preactivations.col(i).data();
                     for (int64_t r = 0; r < rows; ++r) {
                       const double distance = std::abs(z[r]);
                       if (distance > above(i) && distance <= up_to(i)) {
                         found[static_cast<size_t>(slot)].push_back(
                             {static_cast<int32_t>(i), {z[r], static_cast<uint32_t>(first + r)}});
                       }
                     }
                   }
                 });
    for (const auto& entries : found) {
      left -= static_cast<int64_t>(entries.size());
      if (left < 0) {
        return std::nullopt;
      }
      for (const auto& [column, entry] : entries) {
        near[static_cast<size_t>(column)].push_back(entry);
      }
    }
  }
  return near;
}

Matrix InitialPreactivations(const ReluNetworkInstance& instance) {
  Matrix preactivations(instance.width, instance.examples());
  Scratch scratch;
  for (int64_t first = 0; first < instance.width; first += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, instance.width - first);
    ComputeBlock(instance, first, rows, scratch);
    preactivations.middleRows(first, rows) = scratch.preactivations;
  }
  return preactivations;
}

}  // namespace polyak::engine
