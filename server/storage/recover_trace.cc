#include "server/storage/recover_trace.h"

#include <algorithm>
#include <optional>

#include "server/base/status_macros.h"

namespace polyak::storage {
namespace {

void AddDamage(int64_t block, int64_t rows, std::vector<DamagedRows>& damage) {
  const int64_t first = FirstRowOf(block);
  if (!damage.empty() && damage.back().first_row + damage.back().row_count == first) {
    damage.back().row_count += rows;
  } else {
    damage.push_back({first, rows});
  }
}

// What the heads of a block say, before a look at its rows.
struct Glance {
  int64_t count = 0;  // rows of the newest head; 0: none is whole
  uint32_t previous_chain = 0;
  uint32_t chain = 0;
};

struct Glances {
  std::vector<Glance> blocks;
  int64_t durable = 0;  // rows
};

absl::StatusOr<Glances> LookAtHeads(const TraceFile& file, int64_t rows_known_durable) {
  POLYAK_ASSIGN_OR_RETURN(const int64_t count, file.CountBlocks());
  Glances glances;
  glances.durable = rows_known_durable;
  for (int64_t block = 0; block < count; ++block) {
    POLYAK_ASSIGN_OR_RETURN(const auto heads, file.ReadHeads(block));
    Glance glance;
    if (!heads.empty()) {
      const BlockHead& newest = heads[0].head;
      glance = {newest.count, newest.previous_chain, newest.Chain()};
    }
    for (const auto& found : heads) {
      glances.durable = std::max(glances.durable, found.head.synced_rows);
    }
    glances.blocks.push_back(glance);
  }
  return glances;
}

// Damage among the blocks that are durable as a whole.
std::vector<DamagedRows> FindDamage(const Glances& glances) {
  std::vector<DamagedRows> damage;
  std::optional<uint32_t> chain = 0;  // of the block before; nullopt: not known
  for (int64_t block = 0; FirstRowOf(block + 1) <= glances.durable; ++block) {
    const auto index = static_cast<size_t>(block);
    const Glance glance = index < glances.blocks.size() ? glances.blocks[index] : Glance();
    const bool is_whole = glance.count == kBlockRows;
    if (!is_whole || (chain && *chain != glance.previous_chain)) {
      AddDamage(block, kBlockRows, damage);
    }
    chain = is_whole ? std::optional(glance.chain) : std::nullopt;
  }
  return damage;
}

// Where the head lies that may be the only durable one; -1 if the block has no durable row. If a
// head was written after the last Sync, some head says how many rows that was, and the head of
// these rows is the durable one. Else no later head was written, and it is the newest.
absl::StatusOr<int> FindDurableSlot(const TraceFile& file, const TraceBlock& block,
                                    int64_t durable_count) {
  if (durable_count == 0) {
    return -1;
  }
  POLYAK_ASSIGN_OR_RETURN(const auto heads, file.ReadHeads(block.number()));
  for (const auto& found : heads) {
    if (found.head.count == durable_count && FirstWrongColumn(found.head, block) < 0) {
      return found.slot;
    }
  }
  return block.newest_slot;
}

}  // namespace

absl::StatusOr<RecoveredTrace> RecoverTrace(TraceFile& file, int64_t rows_known_durable) {
  POLYAK_ASSIGN_OR_RETURN(const Glances glances, LookAtHeads(file, rows_known_durable));
  const int64_t durable = glances.durable;
  const int64_t first_open = BlockOf(durable);
  RecoveredTrace found = {durable, FindDamage(glances)};
  std::optional<uint32_t> chain;
  if (first_open == 0) {
    chain = 0;
  } else if (static_cast<size_t>(first_open) <= glances.blocks.size()) {
    const Glance& before = glances.blocks[static_cast<size_t>(first_open - 1)];
    chain = before.count == kBlockRows ? std::optional(before.chain) : std::nullopt;
  }
  TraceBlock block(file.layout(), file.uid_hash(), first_open);
  const auto blocks = static_cast<int64_t>(glances.blocks.size());
  for (int64_t number = first_open; number < blocks || RowsWithin(number, durable) > 0; ++number) {
    const int64_t needed = RowsWithin(number, durable);
    absl::Status status = file.ReadBlock(number, std::max<int64_t>(needed, 1), block);
    if (status.ok() && chain && *chain != block.head.previous_chain) {
      status = absl::DataLossError("it does not follow the block before");
    }
    if (!status.ok() && !absl::IsDataLoss(status)) {
      return status;
    }
    if (!status.ok()) {
      if (needed > 0) {
        AddDamage(number, needed, found.damage);
      }
      break;
    }
    found.rows = FirstRowOf(number) + block.head.count;
    if (block.head.count > needed) {
      POLYAK_ASSIGN_OR_RETURN(block.durable_slot, FindDurableSlot(file, block, needed));
      const BlockHead head = block.head;
      POLYAK_RETURN_IF_ERROR(file.Store(head, needed, block));
    }
    chain = block.head.Chain();
    if (block.head.count < kBlockRows) {
      break;
    }
  }
  const int64_t kept = (found.rows + kBlockRows - 1) / kBlockRows;
  POLYAK_RETURN_IF_ERROR(file.CutBehind(kept).status());
  POLYAK_RETURN_IF_ERROR(file.Sync());
  return found;
}

}  // namespace polyak::storage
