#include "tests/rules/tree.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace polyak::rules {
namespace {

namespace fs = std::filesystem;

fs::path Root() {
  const char* const root = std::getenv("POLYAK_SOURCE_DIR");
  return root == nullptr ? fs::current_path() : fs::path(root);
}

bool IsLeftOut(const fs::path& directory) {
  const std::string name = directory.filename().string();
  return name == ".git" || name == "build" || name == "node_modules";
}

}  // namespace

std::set<std::string> ListTree() {
  const fs::path root = Root();
  std::set<std::string> paths;
  for (fs::recursive_directory_iterator entry(root), end; entry != end; ++entry) {
    // In a linked work tree .git is a file.
    if (entry->is_symlink() || (!entry->is_directory() && entry->path().filename() == ".git")) {
      continue;
    }
    if (!entry->is_directory()) {
      paths.insert(entry->path().lexically_relative(root).generic_string());
    } else if (IsLeftOut(entry->path())) {
      entry.disable_recursion_pending();
    }
  }
  return paths;
}

std::vector<File> ReadTree() {
  std::vector<File> files;
  for (const std::string& path : ListTree()) {
    std::ifstream stream(Root() / path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    if (text.find('\0') == std::string::npos) {
      files.push_back({path, std::move(text)});
    }
  }
  return files;
}

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

std::string Directory(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string At(const std::string& path, size_t line, std::string_view what) {
  return path + ":" + std::to_string(line) + ": " + std::string(what);
}

std::string Join(const Findings& findings) {
  std::string text;
  for (const std::string& finding : findings) {
    text += "\n  " + finding;
  }
  return text;
}

}  // namespace polyak::rules
