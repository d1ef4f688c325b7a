#include "tests/rules/includes.h"

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace polyak::rules {
namespace {

// A library's headers, what links it, and the rooms that may have it (with all below them).
struct Library {
  std::string_view header;
  std::string_view package;
  std::vector<std::string_view> rooms;
};

const std::vector<Library>& Libraries() {
  static const auto& libraries = *new std::vector<Library>{
      {"Eigen/", "Eigen3::Eigen", {"server/engine"}},
      {"grpcpp/", "gRPC::grpc++", {"server/service", "server/main", "client/cpp"}},
      {"google/protobuf/",
       "proto",
       {"server/spec", "server/storage", "server/runner", "server/jobs", "server/service",
        "client/cpp", "client/cli"}},
      {"google/rpc/", "proto", {"server/jobs", "server/service", "client/cpp", "client/cli"}},
      {"polyak/v1/",
       "proto",
       {"server/spec", "server/storage", "server/runner", "server/jobs", "server/service",
        "client/cpp", "client/cli"}},
      {"spdlog/", "spdlog::spdlog", {"server/telemetry", "server/main"}},
      {"CLI/", "CLI11::CLI11", {"server/main", "client/cli"}},
      {"yaml-cpp/", "yaml-cpp", {"client/cli"}},
      {"SQLiteCpp/", "SQLiteCpp", {"server/storage/catalogue"}},
      {"sqlite3.h", "SQLite::SQLite3", {"server/storage/catalogue"}},
      {"openssl/", "OpenSSL::Crypto", {"server/storage", "client/cpp"}},
      {"absl/", "", {"server", "client"}},  // polyak_options links it everywhere
  };
  return libraries;
}

// What the engine never includes, itself or through a header of ours.
constexpr std::string_view kNeverInEngine[] = {"thread",
                                               "stop_token",
                                               "mutex",
                                               "shared_mutex",
                                               "condition_variable",
                                               "future",
                                               "latch",
                                               "barrier",
                                               "semaphore",
                                               "chrono",
                                               "ctime",
                                               "fstream",
                                               "filesystem",
                                               "iostream",
                                               "random",
                                               "grpcpp/",
                                               "google/",
                                               "polyak/v1/",
                                               "spdlog/",
                                               "absl/time/",
                                               "absl/synchronization/"};

// A room may depend on rooms of a lower layer, and within the engine, storage and client/cli.
int Layer(const std::string& room) {
  static const auto& layers = *new std::vector<std::pair<std::string_view, int>>{
      {"proto", 0},          {"server/base", 0},    {"server/engine", 1}, {"server/telemetry", 1},
      {"server/spec", 2},    {"server/storage", 2}, {"server/runner", 3}, {"server/jobs", 4},
      {"server/service", 5}, {"server/main", 6},    {"client/cpp", 1},    {"client/plot", 1},
      {"client/cli", 2}};
  for (const auto& [prefix, layer] : layers) {
    if (room == prefix || StartsWith(room, std::string(prefix) + "/")) {
      return layer;
    }
  }
  return -1;
}

bool IsWithin(std::string_view path, std::string_view room) {
  return path == room || StartsWith(path, std::string(room) + "/");
}

bool MayDepend(const std::string& from, const std::string& to) {
  if (StartsWith(from, "server/") && StartsWith(to, "client/")) return false;
  if (StartsWith(from, "client/") && StartsWith(to, "server/")) return false;
  const bool siblings = (IsWithin(from, "server/engine") && IsWithin(to, "server/engine")) ||
                        (IsWithin(from, "server/storage") && IsWithin(to, "server/storage")) ||
                        (IsWithin(from, "client/cli") && IsWithin(to, "client/cli"));
  if (IsWithin(from, "server/engine") && to == "proto") return false;
  return siblings || Layer(to) < Layer(from);
}

const Room* FindRoom(const std::vector<Room>& rooms, const std::string& path) {
  const auto found =
      std::find_if(rooms.begin(), rooms.end(), [&](const Room& room) { return room.path == path; });
  return found == rooms.end() ? nullptr : &*found;
}

// Packages of a room and of all that it depends on, which CMake links with it.
void CollectPackages(const std::vector<Room>& rooms, const std::string& path,
                     std::set<std::string>& seen, std::set<std::string>& packages) {
  if (!seen.insert(path).second) return;
  const Room* const room = FindRoom(rooms, path);
  if (room == nullptr) return;
  packages.insert(room->links.begin(), room->links.end());
  for (const std::string& next : room->depends) {
    CollectPackages(rooms, next, seen, packages);
  }
}

bool Contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// What is wrong with a library's header in this room; empty if nothing is.
std::string CheckLibrary(const std::vector<Room>& rooms, const Room& room,
                         const std::string& target) {
  for (const Library& library : Libraries()) {
    if (!StartsWith(target, library.header)) continue;
    const bool allowed = std::any_of(
        library.rooms.begin(), library.rooms.end(),
        [&](std::string_view allowed_room) { return IsWithin(room.path, allowed_room); });
    if (!allowed) return absl::StrCat("<", target, "> is not for the room ", room.path);
    std::set<std::string> seen;
    std::set<std::string> packages;
    CollectPackages(rooms, room.path, seen, packages);
    const bool linked = library.package.empty() || Contains(room.depends, library.package) ||
                        packages.count(std::string(library.package)) > 0;
    return linked ? ""
                  : absl::StrCat("<", target, "> needs ", std::string(library.package),
                                 " in the list");
  }
  // What is left is the C++ library or the system's; both without a folder but for sys/, gnu/ and
  // arpa/.
  const bool plain = target.find('/') == std::string::npos || StartsWith(target, "sys/") ||
                     StartsWith(target, "gnu/") || StartsWith(target, "arpa/");
  return plain ? ""
               : absl::StrCat("<", target,
                              "> is of a library that the table of this rule doesn't know");
}

bool IsOurs(const std::string& target) {
  return StartsWith(target, "server/") || StartsWith(target, "client/") ||
         StartsWith(target, "tests/");
}

using FileIncludes = std::map<std::string, std::vector<Include>>;

// The first header banned from the engine that `path` reaches; empty if there is none.
std::string BannedReach(const FileIncludes& includes, const std::string& path,
                        std::set<std::string>& seen) {
  const auto found = includes.find(path);
  if (found == includes.end() || !seen.insert(path).second) return "";
  for (const Include& include : found->second) {
    if (IsOurs(include.target)) {
      const std::string banned = BannedReach(includes, include.target, seen);
      if (!banned.empty()) return include.target + " -> " + banned;
      continue;
    }
    for (const std::string_view never : kNeverInEngine) {
      const bool folder = never.back() == '/';
      if (folder ? StartsWith(include.target, never) : include.target == never) {
        return "<" + include.target + ">";
      }
    }
  }
  return "";
}

void CheckFile(const std::vector<Room>& rooms, const FileIncludes& includes,
               const std::string& path, Findings& findings) {
  const Room* const room = FindRoom(rooms, Directory(path));
  if (room == nullptr) {
    findings.push_back(path + ": its folder is no room; accepted: a folder with a polyak_room");
    return;
  }
  for (const Include& include : includes.at(path)) {
    std::string wrong;
    if (IsOurs(include.target)) {
      const std::string other = Directory(include.target);
      if (other != room->path && !Contains(room->depends, other)) {
        wrong = "includes " + include.target + ", but " + room->path + " does not name " + other;
      }
    } else {
      wrong = CheckLibrary(rooms, *room, include.target);
    }
    if (!wrong.empty()) findings.push_back(At(path, include.line, wrong));
  }
  if (StartsWith(path, "server/engine/")) {
    std::set<std::string> seen;
    const std::string banned = BannedReach(includes, path, seen);
    if (!banned.empty()) findings.push_back(path + ": the engine never includes " + banned);
  }
}

// Depth first; `way` is the path from the start.
void FindCycle(const std::vector<Room>& rooms, const std::string& path,
               std::vector<std::string>& way, std::set<std::string>& done, Findings& findings) {
  if (done.count(path) > 0) return;
  const auto again = std::find(way.begin(), way.end(), path);
  if (again != way.end()) {
    std::string text = "rooms in a circle: ";
    for (auto step = again; step != way.end(); ++step) text += *step + " -> ";
    findings.push_back(text + path);
    return;
  }
  way.push_back(path);
  if (const Room* const room = FindRoom(rooms, path)) {
    for (const std::string& next : room->depends) FindCycle(rooms, next, way, done, findings);
  }
  way.pop_back();
  done.insert(path);
}

}  // namespace

std::vector<Room> ParseRooms(std::string_view cmake) {
  std::string text;
  for (const std::string_view line : Lines(cmake)) {
    text += std::string(line.substr(0, line.find('#'))) + "\n";
  }
  std::vector<Room> rooms;
  static const std::regex call(R"(polyak_room\(([^)]*)\))");
  for (std::sregex_iterator match(text.begin(), text.end(), call), end; match != end; ++match) {
    std::istringstream words((*match)[1].str());
    Room room;
    words >> room.path;
    std::vector<std::string>* list = nullptr;
    for (std::string word; words >> word;) {
      if (word == "DEPENDS") {
        list = &room.depends;
      } else if (word == "LINKS") {
        list = &room.links;
      } else if (list != nullptr) {
        list->push_back(word);
      }
    }
    rooms.push_back(room);
  }
  return rooms;
}

std::vector<Include> FindIncludes(std::string_view text) {
  static const std::regex pattern("^\\s*#\\s*include\\s*[<\"]([^>\"]+)[>\"]");
  std::vector<Include> includes;
  size_t number = 0;
  for (const std::string_view view : Lines(text)) {
    ++number;
    const std::string line(view);
    std::smatch match;
    if (std::regex_search(line, match, pattern)) includes.push_back({number, match[1].str()});
  }
  return includes;
}

Findings CheckRooms(const std::vector<Room>& rooms) {
  Findings findings;
  std::set<std::string> paths;
  for (const Room& room : rooms) {
    if (!paths.insert(room.path).second) findings.push_back(room.path + " is declared twice");
    if (Layer(room.path) < 0) {
      findings.push_back(room.path + " has no layer in the table of this rule");
    }
    for (const std::string& other : room.depends) {
      if (other != "proto" && FindRoom(rooms, other) == nullptr) {
        findings.push_back(room.path + " depends on " + other + ", which is no room");
      } else if (!MayDepend(room.path, other)) {
        findings.push_back(room.path + " must not depend on " + other);
      }
    }
  }
  std::set<std::string> done;
  for (const Room& room : rooms) {
    std::vector<std::string> way;
    FindCycle(rooms, room.path, way, done, findings);
  }
  return findings;
}

Findings CheckIncludes(const std::vector<Room>& rooms, const std::vector<File>& files) {
  FileIncludes includes;
  for (const File& file : files) {
    const bool ours = StartsWith(file.path, "server/") || StartsWith(file.path, "client/");
    if (ours && (EndsWith(file.path, ".cc") || EndsWith(file.path, ".h"))) {
      includes[file.path] = FindIncludes(file.text);
    }
  }
  Findings findings;
  for (const auto& [path, list] : includes) CheckFile(rooms, includes, path, findings);
  return findings;
}

Findings CheckReference(const std::vector<File>& files) {
  Findings findings;
  for (const File& file : files) {
    if (Directory(file.path) != "tests/reference") continue;
    for (const Include& include : FindIncludes(file.text)) {
      const bool own = Directory(include.target) == "tests/reference";
      const bool standard = include.target.find('/') == std::string::npos;
      if (!own && !standard) {
        findings.push_back(
            At(file.path, include.line,
               "includes " + include.target +
                   "; accepted: tests/reference and the C++ library, since it is the judge"));
      }
    }
  }
  return findings;
}

}  // namespace polyak::rules
