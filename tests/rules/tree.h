#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace polyak::rules {

// A text file.  path: from the root, with '/'.
struct File {
  std::string path;
  std::string text;
};

// A breach of a rule, in words for whoever has to mend it: "server/jobs/jobs.cc:12: ...".
using Findings = std::vector<std::string>;

// Every text file below the root of the sources (POLYAK_SOURCE_DIR, else the working directory),
// sorted by path. Left out: .git, build, node_modules, links, and files with a zero byte.
std::vector<File> ReadTree();

// The paths of all files there, those with a zero byte too.
std::set<std::string> ListTree();

std::vector<std::string_view> Lines(std::string_view text);
bool StartsWith(std::string_view text, std::string_view prefix);
bool EndsWith(std::string_view text, std::string_view suffix);
// "server/jobs" of "server/jobs/jobs.cc"; empty for a file at the root.
std::string Directory(const std::string& path);
// "path:line: what".
std::string At(const std::string& path, size_t line, std::string_view what);
// One finding a line, for a failure's message.
std::string Join(const Findings& findings);

}  // namespace polyak::rules
