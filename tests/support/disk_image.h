#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace polyak::testing_support {

// The number of a file or a directory, which stays when its name changes; never used again.
using Inode = int64_t;
constexpr Inode kNoInode = 0;
constexpr Inode kRootInode = 1;

// One change of a disk, or one demand to make changes durable.
struct DiskOperation {
  enum class Kind {
    kCreate,
    kCreateDirectory,
    kWrite,
    kTruncate,
    kRename,      // within a directory; the new name, if it is in another one
    kRenameAway,  // the loss of the old name then: two directories, two changes
    kRemove,
    kSync,
    kSyncDirectory,
    kSyncFailed,
  };
  struct Entry {
    std::string name;
    Inode inode = kNoInode;  // kNoInode: the name is gone
  };

  bool changes_data() const { return kind == Kind::kWrite || kind == Kind::kTruncate; }
  bool changes_entries() const { return !entries.empty(); }
  std::string Describe() const;  // such as "write /data/a 512+100"

  Kind kind;
  std::string path = {};   // as it was named by the caller
  std::string to = {};     // kRename, kRenameAway
  Inode inode = kNoInode;  // whose data or entries are changed or synced
  std::vector<Entry> entries = {};
  int64_t offset = 0;  // kTruncate: the new size
  std::string data = {};
};

// Directories and files as one moment finds them. Paths are taken from the root, with or without a
// slash in front; "." and ".." are names like others.
class DiskImage {
 public:
  struct Node {
    bool is_directory = false;
    std::string data;
    std::map<std::string, Inode> entries;
  };
  struct Place {
    Inode directory = kNoInode;
    std::string name;
  };
  DiskImage() { nodes_[kRootInode].is_directory = true; }

  // Errors: NotFound; Unavailable if a name on the way is a file.
  absl::StatusOr<Inode> Find(std::string_view path) const;
  // Where the path's last name is or would be. Errors: as Find, of its directory; Unavailable for
  // the root.
  absl::StatusOr<Place> FindPlace(std::string_view path) const;
  // kNoInode if there is none.
  Inode At(const Place& place) const;
  const Node& node(Inode inode) const { return nodes_.at(inode); }

  // Makes the change; nothing for a demand.
  void Apply(const DiskOperation& operation);
  // What a creation makes, without its name: a rename of it may be applied where it is not.
  void Prepare(const DiskOperation& operation);
  void SetData(Inode inode, std::string data) { nodes_.at(inode).data = std::move(data); }

 private:
  std::map<Inode, Node> nodes_;
};

// The names of a path, from the root.
std::vector<std::string> SplitPath(std::string_view path);

}  // namespace polyak::testing_support
