#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/rules/tree.h"

namespace polyak::rules {

// tests/unit/server/jobs/jobs_test.cc for server/jobs/jobs.cc.
std::string MirrorOf(const std::string& source);

// Whether every .cc of server/ and client/ has its mirror, or a line "path: reason" in the list of
// exceptions ('#' begins a comment). A line is stale, and a finding, when its file is gone or has a
// mirror.
//   paths: of every file in the tree.   untested: the text of tests/rules/untested.txt.
Findings CheckMirrors(const std::vector<std::string>& paths, std::string_view untested);

}  // namespace polyak::rules
