#include "tests/rules/mirrors.h"

#include <set>

#include "absl/strings/str_cat.h"

namespace polyak::rules {
namespace {

constexpr char kList[] = "tests/rules/untested.txt";
constexpr size_t kReasonBytesLeast = 20;  // a few words

bool NeedsMirror(const std::string& path) {
  return EndsWith(path, ".cc") && (StartsWith(path, "server/") || StartsWith(path, "client/"));
}

// What is wrong with one line of the list; empty if nothing is. Adds its file to `excused`.
std::string CheckLine(std::string_view line, const std::set<std::string>& paths,
                      std::set<std::string>& excused) {
  const size_t colon = line.find(": ");
  const std::string path(line.substr(0, colon));
  if (colon == std::string_view::npos || line.size() - colon - 2 < kReasonBytesLeast) {
    return absl::StrCat("'", std::string(line), "' gives no reason; accepted: path: reason");
  }
  if (!excused.insert(path).second) {
    return path + " is listed twice";
  }
  if (!NeedsMirror(path) || paths.count(path) == 0) {
    return path + " is stale: there is no such source";
  }
  if (paths.count(MirrorOf(path)) > 0) {
    return path + " is stale: it has a test, " + MirrorOf(path);
  }
  return "";
}

}  // namespace

std::string MirrorOf(const std::string& source) {
  return "tests/unit/" + source.substr(0, source.size() - 3) + "_test.cc";
}

Findings CheckMirrors(const std::vector<std::string>& paths, std::string_view untested) {
  const std::set<std::string> known(paths.begin(), paths.end());
  std::set<std::string> excused;
  Findings findings;
  size_t number = 0;
  for (const std::string_view line : Lines(untested)) {
    ++number;
    if (line.empty() || line[0] == '#') {
      continue;
    }
    const std::string wrong = CheckLine(line, known, excused);
    if (!wrong.empty()) {
      findings.push_back(At(kList, number, wrong));
    }
  }
  for (const std::string& path : paths) {
    if (NeedsMirror(path) && known.count(MirrorOf(path)) == 0 && excused.count(path) == 0) {
      findings.push_back(path + ": has no test; accepted: " + MirrorOf(path) +
                         ", or a line with the reason in " + kList);
    }
  }
  return findings;
}

}  // namespace polyak::rules
