#include "tests/rules/text.h"

#include <filesystem>
#include <regex>

#include "absl/strings/str_cat.h"

namespace polyak::rules {
namespace {

constexpr size_t kColumnsMax = 100;
constexpr size_t kLinesMax = 600;

struct BannedWord {
  std::regex pattern;
  std::string why;
};

// A letter of each word stands in brackets, so that this file does not have them itself.
const std::vector<BannedWord>& BannedWords() {
  constexpr auto kAnyCase = std::regex::ECMAScript | std::regex::icase;
  constexpr char kWriter[] = "a tool that writes text is no part of the project";
  static const auto& words = *new std::vector<BannedWord>{
      {std::regex(R"(\b(TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b)"), "a note to oneself: do it or drop it"},
      {std::regex(R"((^|[^A-Za-z0-9_.$}/-])/([h]ome|[w]ork|[r]oot|[U]sers)/)"),
       "a path of one machine"},
      {std::regex(R"(\b(registry\.npmjs|registry\.yarnpkg|pypi|files\.pythonhosted|crates|)"
                  R"(rubygems|ghcr|quay|docker|proxy\.golang|deb\.debian|repo1?\.maven)"
                  R"()\.(org|com|io)\b)",
                  kAnyCase),
       "a host of a package registry: what installs packages knows its own"},
      {std::regex(R"(\b([c]laude|[a]nthropic|[o]penai|[c]hatgpt|[g]pt-[0-9]|[c]opilot|[g]emini|)"
                  R"([l]lms?|[l]anguage models?|([c]oding|[a]i) assistants?)\b)",
                  kAnyCase),
       kWriter},
      {std::regex(R"(\b[A]I\b)"), kWriter},
      {std::regex(R"(\bGTEST_[S]KIP\b)"), "a test that skips passes without having tested"},
  };
  return words;
}

bool IsSource(const std::string& path) { return EndsWith(path, ".cc") || EndsWith(path, ".h"); }

size_t Characters(std::string_view line) {
  size_t count = 0;
  for (const char byte : line) {
    // Bytes 10xxxxxx go on with a character of UTF-8.
    count += (static_cast<unsigned char>(byte) & 0xC0) != 0x80 ? 1 : 0;
  }
  return count;
}

bool Exists(const std::string& path, const std::set<std::string>& paths) {
  if (paths.count(path) > 0) {
    return true;
  }
  const auto below = paths.lower_bound(path + "/");
  return below != paths.end() && StartsWith(*below, path + "/");
}

// From the page's own folder, without what comes after '#'; empty for a link to somewhere else.
std::string Resolve(const std::string& page, std::string link) {
  static const std::regex elsewhere("^([a-z]+:|#|<)");
  if (std::regex_search(link, elsewhere)) {
    return "";
  }
  link = link.substr(0, link.find('#'));
  std::string path =
      (std::filesystem::path(Directory(page)) / link).lexically_normal().generic_string();
  while (EndsWith(path, "/")) {
    path.pop_back();
  }
  return path;
}

}  // namespace

Findings CheckLengths(const File& file) {
  Findings findings;
  if (!IsSource(file.path)) {
    return findings;
  }
  const std::vector<std::string_view> lines = Lines(file.text);
  for (size_t k = 0; k < lines.size(); ++k) {
    if (Characters(lines[k]) > kColumnsMax) {
      findings.push_back(
          At(file.path, k + 1,
             absl::StrCat(Characters(lines[k]), " columns; accepted: up to ", kColumnsMax)));
    }
  }
  if (lines.size() > kLinesMax) {
    findings.push_back(
        absl::StrCat(file.path, ": ", lines.size(), " lines; accepted: up to ", kLinesMax));
  }
  return findings;
}

Findings CheckWords(const File& file) {
  Findings findings;
  size_t number = 0;
  for (const std::string_view view : Lines(file.text)) {
    ++number;
    const std::string line(view);
    for (const BannedWord& word : BannedWords()) {
      std::smatch match;
      if (std::regex_search(line, match, word.pattern)) {
        findings.push_back(
            At(file.path, number, absl::StrCat("'", match[0].str(), "': ", word.why)));
      }
    }
  }
  return findings;
}

Findings CheckDecision(const File& page) {
  std::string headings;
  size_t titles = 0;
  for (const std::string_view line : Lines(page.text)) {
    titles += StartsWith(line, "# ") ? 1 : 0;
    if (StartsWith(line, "## ")) {
      headings += std::string(line.substr(3)) + ",";
    }
  }
  if (titles == 1 && headings == "Question,Choice,Rejected,Price,") {
    return {};
  }
  return {absl::StrCat(page.path, ": has ", titles, " titles and the headings '", headings,
                       "'; accepted: one title, then Question, Choice, Rejected, Price")};
}

Findings CheckLinks(const File& file, const std::set<std::string>& paths) {
  static const std::regex named(R"((^|[^A-Za-z0-9_./-])(docs/[A-Za-z0-9_./-]*[A-Za-z0-9_-]))");
  static const std::regex link(R"(\]\(([^)\s]+)\))");
  const bool markdown = EndsWith(file.path, ".md");
  Findings findings;
  size_t number = 0;
  for (const std::string_view view : Lines(file.text)) {
    ++number;
    const std::string line(view);
    std::set<std::string> targets;
    for (std::sregex_iterator match(line.begin(), line.end(), named), end; match != end; ++match) {
      // In parentheses after a bracket it is a link, and from the page's own folder.
      const bool is_link = markdown && match->position(2) >= 2 &&
                           line.compare(static_cast<size_t>(match->position(2)) - 2, 2, "](") == 0;
      if (!is_link) targets.insert((*match)[2].str());
    }
    if (markdown) {
      for (std::sregex_iterator match(line.begin(), line.end(), link), end; match != end; ++match) {
        targets.insert(Resolve(file.path, (*match)[1].str()));
      }
    }
    for (const std::string& target : targets) {
      if (!target.empty() && !Exists(target, paths)) {
        findings.push_back(
            At(file.path, number, absl::StrCat("leads to ", target, ", which is not there")));
      }
    }
  }
  return findings;
}

}  // namespace polyak::rules
