#include "tests/support/disk_image.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace polyak::testing_support {
namespace {

void Write(std::string& file, int64_t offset, std::string_view data) {
  if (data.empty()) {
    return;
  }
  const size_t begin = static_cast<size_t>(offset);
  file.resize(std::max(file.size(), begin + data.size()), '\0');
  std::copy(data.begin(), data.end(), file.begin() + offset);
}

std::string Text(std::string_view text) { return std::string{text}; }

}  // namespace

std::vector<std::string> SplitPath(std::string_view path) {
  return absl::StrSplit(absl::string_view{path.data(), path.size()}, '/', absl::SkipEmpty());
}

std::string DiskOperation::Describe() const {
  switch (kind) {
    case Kind::kCreate:
      return "create " + path;
    case Kind::kCreateDirectory:
      return "create directory " + path;
    case Kind::kWrite:
      return absl::StrCat("write ", path, " ", offset, "+", data.size());
    case Kind::kTruncate:
      return absl::StrCat("truncate ", path, " to ", offset);
    case Kind::kRename:
      return absl::StrCat("rename ", path, " -> ", to);
    case Kind::kRenameAway:
      return absl::StrCat("rename ", path, " -> ", to, ", loss of the old name");
    case Kind::kRemove:
      return "remove " + path;
    case Kind::kSync:
      return "sync " + path;
    case Kind::kSyncDirectory:
      return "sync directory " + path;
    case Kind::kSyncFailed:
      return "sync fails " + path;
  }
  return "";
}

absl::StatusOr<Inode> DiskImage::Find(std::string_view path) const {
  Inode inode = kRootInode;
  for (const std::string& name : SplitPath(path)) {
    const Node& directory = node(inode);
    if (!directory.is_directory) {
      return absl::UnavailableError(Text(path) + ": Not a directory");
    }
    const auto found = directory.entries.find(name);
    if (found == directory.entries.end()) {
      return absl::NotFoundError(Text(path) + ": No such file or directory");
    }
    inode = found->second;
  }
  return inode;
}

absl::StatusOr<DiskImage::Place> DiskImage::FindPlace(std::string_view path) const {
  std::vector<std::string> names = SplitPath(path);
  if (names.empty()) {
    return absl::UnavailableError(Text(path) + ": Device or resource busy");
  }
  const std::string name = std::move(names.back());
  names.pop_back();
  std::string directory;
  for (const std::string& part : names) {
    directory += "/" + part;
  }
  const absl::StatusOr<Inode> inode = Find(directory);
  if (!inode.ok()) {
    return inode.status();
  }
  if (!node(*inode).is_directory) {
    return absl::UnavailableError(Text(path) + ": Not a directory");
  }
  return Place{*inode, name};
}

Inode DiskImage::At(const Place& place) const {
  const Node& directory = node(place.directory);
  const auto found = directory.entries.find(place.name);
  return found == directory.entries.end() ? kNoInode : found->second;
}

void DiskImage::Prepare(const DiskOperation& operation) {
  using Kind = DiskOperation::Kind;
  if (operation.kind == Kind::kCreate || operation.kind == Kind::kCreateDirectory) {
    nodes_[operation.entries.front().inode].is_directory = operation.kind == Kind::kCreateDirectory;
  }
}

void DiskImage::Apply(const DiskOperation& operation) {
  Prepare(operation);
  Node& changed = nodes_.at(operation.inode);
  if (operation.kind == DiskOperation::Kind::kWrite) {
    Write(changed.data, operation.offset, operation.data);
  } else if (operation.kind == DiskOperation::Kind::kTruncate) {
    changed.data.resize(static_cast<size_t>(operation.offset), '\0');
  }
  for (const DiskOperation::Entry& entry : operation.entries) {
    if (entry.inode == kNoInode) {
      changed.entries.erase(entry.name);
    } else {
      changed.entries[entry.name] = entry.inode;
    }
  }
}

}  // namespace polyak::testing_support
