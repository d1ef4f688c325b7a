#include "tests/rules/includes.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::rules {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<Room> RoomsOfTheTree(const std::vector<File>& files) {
  std::vector<Room> rooms;
  for (const File& file : files) {
    if (file.path == "server/CMakeLists.txt" || file.path == "client/CMakeLists.txt") {
      const std::vector<Room> some = ParseRooms(file.text);
      rooms.insert(rooms.end(), some.begin(), some.end());
    }
  }
  return rooms;
}

TEST(TheTree, HasRoomsWithoutACircleOrAnEdgeAgainstTheLayers) {
  const std::vector<Room> rooms = RoomsOfTheTree(ReadTree());
  EXPECT_GE(rooms.size(), 20U);  // an empty list would pass every rule
  const Findings findings = CheckRooms(rooms);
  EXPECT_TRUE(findings.empty()) << Join(findings);
}

TEST(TheTree, IncludesOnlyWhatItsRoomsName) {
  const std::vector<File> files = ReadTree();
  size_t includes = 0;
  for (const File& file : files) {
    if (StartsWith(file.path, "server/")) includes += FindIncludes(file.text).size();
  }
  EXPECT_GE(includes, 300U);  // that they are found at all
  const Findings findings = CheckIncludes(RoomsOfTheTree(files), files);
  EXPECT_TRUE(findings.empty()) << Join(findings);
}

TEST(TheTree, JudgesTheEngineByCodeThatIncludesNothingOfIt) {
  const std::vector<File> files = ReadTree();
  EXPECT_GE(std::count_if(files.begin(), files.end(),
                          [](const File& file) {
                            return Directory(file.path) == "tests/reference" &&
                                   EndsWith(file.path, ".cc");
                          }),
            3);  // that there are files to check
  const Findings findings = CheckReference(files);
  EXPECT_TRUE(findings.empty()) << Join(findings);
}

// Below: each rule on a small tree with one fault planted.

constexpr char kRooms[] = R"(
polyak_room(server/base LINKS Threads::Threads)  # polyak_room(server/ghost)
polyak_room(server/engine/linalg DEPENDS server/base LINKS Eigen3::Eigen)
polyak_room(server/engine/rates
  DEPENDS server/base server/engine/linalg)
polyak_room(server/spec DEPENDS server/base proto server/engine/rates)
polyak_room(server/service DEPENDS server/spec proto LINKS gRPC::grpc++)
)";

Findings Plant(const std::string& path, const std::string& line) {
  return CheckIncludes(ParseRooms(kRooms), {{path, "#pragma once\n" + line + "\n"}});
}

TEST(ParseRooms, ReadsListsOverSeveralLinesAndSkipsComments) {
  const std::vector<Room> rooms = ParseRooms(kRooms);
  ASSERT_EQ(rooms.size(), 5U);
  EXPECT_EQ(rooms[2].path, "server/engine/rates");
  EXPECT_THAT(rooms[2].depends, ElementsAre("server/base", "server/engine/linalg"));
  EXPECT_THAT(rooms[2].links, IsEmpty());
  EXPECT_THAT(rooms[4].links, ElementsAre("gRPC::grpc++"));
}

TEST(FindIncludes, ReadsBothFormsWithTheirLines) {
  const std::vector<Include> includes = FindIncludes(
      "#pragma once\n#include <cmath>\n  # include \"server/base/check.h\"\n// #include\n");
  ASSERT_EQ(includes.size(), 2U);
  EXPECT_EQ(includes[0].target, "cmath");
  EXPECT_EQ(includes[1].target, "server/base/check.h");
  EXPECT_EQ(includes[1].line, 3U);
}

TEST(CheckRooms, AcceptsASoundList) { EXPECT_THAT(CheckRooms(ParseRooms(kRooms)), IsEmpty()); }

TEST(CheckRooms, CatchesACircle) {
  const Findings findings =
      CheckRooms(ParseRooms("polyak_room(server/engine/data DEPENDS server/engine/linalg)\n"
                            "polyak_room(server/engine/linalg DEPENDS server/engine/random)\n"
                            "polyak_room(server/engine/random DEPENDS server/engine/data)\n"));
  EXPECT_THAT(findings, ElementsAre(HasSubstr("circle: server/engine/data -> server/engine/linalg "
                                              "-> server/engine/random -> server/engine/data")));
}

TEST(CheckRooms, CatchesAnEdgeAgainstTheLayers) {
  EXPECT_THAT(CheckRooms(ParseRooms("polyak_room(server/jobs DEPENDS server/service)\n"
                                    "polyak_room(server/service)\n")),
              ElementsAre("server/jobs must not depend on server/service"));
  EXPECT_THAT(CheckRooms(ParseRooms("polyak_room(server/engine/rates DEPENDS proto)\n")),
              ElementsAre("server/engine/rates must not depend on proto"));
}

TEST(CheckRooms, KeepsServerAndClientApart) {
  EXPECT_THAT(CheckRooms(ParseRooms("polyak_room(client/cli DEPENDS server/base)\n"
                                    "polyak_room(server/base)\n")),
              ElementsAre("client/cli must not depend on server/base"));
  EXPECT_THAT(CheckRooms(ParseRooms("polyak_room(server/main DEPENDS client/plot)\n"
                                    "polyak_room(client/plot)\n")),
              ElementsAre("server/main must not depend on client/plot"));
}

TEST(CheckRooms, CatchesARoomThatIsNotThereOrTwiceOrWithoutALayer) {
  EXPECT_THAT(CheckRooms(ParseRooms("polyak_room(server/jobs DEPENDS server/runner)")),
              ElementsAre("server/jobs depends on server/runner, which is no room"));
  EXPECT_THAT(CheckRooms(ParseRooms("polyak_room(server/jobs)\npolyak_room(server/jobs)")),
              ElementsAre("server/jobs is declared twice"));
  EXPECT_THAT(CheckRooms(ParseRooms("polyak_room(server/attic)")),
              ElementsAre(HasSubstr("no layer")));
}

TEST(CheckIncludes, AcceptsWhatTheListNames) {
  EXPECT_THAT(Plant("server/engine/rates/a.h", "#include \"server/engine/linalg/types.h\""),
              IsEmpty());
  EXPECT_THAT(Plant("server/engine/rates/a.h", "#include <Eigen/Core>"), IsEmpty());  // by linalg
  EXPECT_THAT(Plant("server/service/a.cc", "#include \"grpcpp/grpcpp.h\""), IsEmpty());
  EXPECT_THAT(Plant("server/base/a.h", "#include <mutex>"), IsEmpty());
}

TEST(CheckIncludes, CatchesAMissingEdge) {
  EXPECT_THAT(Plant("server/service/a.cc", "#include \"server/engine/rates/b.h\""),
              ElementsAre("server/service/a.cc:2: includes server/engine/rates/b.h, but "
                          "server/service does not name server/engine/rates"));
  EXPECT_THAT(Plant("server/base/a.h", "#include \"tests/support/run.h\""),
              ElementsAre(HasSubstr("does not name tests/support")));
}

TEST(CheckIncludes, CatchesALibraryOutsideItsRoom) {
  EXPECT_THAT(Plant("server/spec/a.cc", "#include \"grpcpp/grpcpp.h\""),
              ElementsAre(HasSubstr("<grpcpp/grpcpp.h> is not for the room server/spec")));
  EXPECT_THAT(Plant("server/spec/a.cc", "#include <Eigen/Core>"),
              ElementsAre(HasSubstr("is not for the room server/spec")));
}

TEST(CheckIncludes, CatchesALibraryThatIsNotLinked) {
  const Findings findings = CheckIncludes(ParseRooms("polyak_room(client/cpp DEPENDS proto)"),
                                          {{"client/cpp/a.cc", "#include <grpcpp/grpcpp.h>\n"}});
  EXPECT_THAT(findings, ElementsAre(HasSubstr("needs gRPC::grpc++ in the list")));
}

TEST(CheckIncludes, CatchesALibraryNobodyDecidedOn) {
  EXPECT_THAT(Plant("server/base/a.h", "#include <boost/asio.hpp>"),
              ElementsAre(HasSubstr("table of this rule doesn't know")));
}

TEST(CheckIncludes, CatchesAFolderThatIsNoRoom) {
  EXPECT_THAT(Plant("server/attic/a.cc", ""), ElementsAre(HasSubstr("its folder is no room")));
}

TEST(CheckIncludes, KeepsTheWorldOutOfTheEngine) {
  for (const std::string header :
       {"thread", "mutex", "chrono", "fstream", "iostream", "random", "absl/time/clock.h"}) {
    EXPECT_THAT(
        Plant("server/engine/rates/a.cc", "#include <" + header + ">"),
        ElementsAre("server/engine/rates/a.cc: the engine never includes <" + header + ">"));
  }
  // These two break the rule about libraries as well.
  for (const std::string header : {"grpcpp/grpcpp.h", "google/protobuf/message.h"}) {
    EXPECT_THAT(Plant("server/engine/rates/a.cc", "#include \"" + header + "\""),
                testing::Contains(HasSubstr("the engine never includes <" + header + ">")));
  }
}

TEST(CheckReference, AcceptsItsOwnHeadersAndTheLibraryOfTheLanguage) {
  EXPECT_THAT(CheckReference(
                  {{"tests/reference/a.cc", "#include \"tests/reference/a.h\"\n#include <cmath>\n"},
                   {"tests/support/run.h", "#include \"server/base/check.h\"\n"}}),
              IsEmpty());
}

TEST(CheckReference, CatchesWhatItJudgesAndWhatThatIsBuiltOn) {
  for (const std::string target : {"server/engine/problems/quadratic.h", "client/plot/envelope.h",
                                   "tests/support/run.h", "Eigen/Core", "absl/status/status.h"}) {
    for (const std::string file : {"tests/reference/a.cc", "tests/reference/a.h"}) {
      EXPECT_THAT(CheckReference({{file, "#include <cmath>\n#include \"" + target + "\"\n"}}),
                  ElementsAre(AllOf(HasSubstr(file + ":2"), HasSubstr("includes " + target))));
    }
  }
}

TEST(CheckIncludes, KeepsTheWorldOutOfTheEngineAlsoThroughAHeaderOfOurs) {
  const Findings findings = CheckIncludes(
      ParseRooms(kRooms),
      {{"server/base/pool.h", "#include \"server/base/task.h\"\n"},
       {"server/base/task.h", "#include <thread>\n"},
       {"server/engine/rates/a.cc", "#include <cmath>\n#include \"server/base/pool.h\"\n"}});
  EXPECT_THAT(findings, ElementsAre("server/engine/rates/a.cc: the engine never includes "
                                    "server/base/pool.h -> server/base/task.h -> <thread>"));
}

}  // namespace
}  // namespace polyak::rules
