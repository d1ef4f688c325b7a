#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/rules/tree.h"

namespace polyak::rules {

// A polyak_room(...) call: a folder, and what it may include.
struct Room {
  std::string path;
  std::vector<std::string> depends;  // rooms, by path
  std::vector<std::string> links;    // packages: "gRPC::grpc++"
};

// The polyak_room calls of a CMakeLists.txt, in their order. Comments are skipped.
std::vector<Room> ParseRooms(std::string_view cmake);

struct Include {
  size_t line = 0;
  std::string target;
};
std::vector<Include> FindIncludes(std::string_view text);

// Whether the rooms' lists hang together: every room named exists or is "proto", once only; no
// cycle; no edge against the layers (base, engine, spec and storage, runner, jobs, service, main;
// client/cpp and plot below cli; nothing between server and client).
Findings CheckRooms(const std::vector<Room>& rooms);

// Every #include of server/ and client/ against the lists: a header of another room needs an edge,
// a library's header the package and a room that may have it, and the engine has no threads,
// clocks, files, unseeded randomness, protobuf or gRPC, also not through a header of ours.
Findings CheckIncludes(const std::vector<Room>& rooms, const std::vector<File>& files);

// Every #include of tests/reference/: its own headers and the C++ library, nothing else. A second
// implementation that includes the first, or a library the first is built on, is no second one.
Findings CheckReference(const std::vector<File>& files);

}  // namespace polyak::rules
