#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/rules/tree.h"

namespace polyak::rules {

// Lines of a .cc or .h of at most 100 characters (not bytes), and at most 600 of them.
Findings CheckLengths(const File& file);

// Words that no file may have: notes to oneself, paths of one machine, hosts of package registries,
// tools that write text, and in tests the macro that skips.
Findings CheckWords(const File& file);

// A page of docs/decisions has a title and the headings Question, Choice, Rejected, Price, in this
// order.
Findings CheckDecision(const File& page);

// Every docs/... path named in a file, and every relative link of a Markdown page, leads to a file
// or folder of the tree.
//   paths: of all files; binary ones too.
Findings CheckLinks(const File& file, const std::set<std::string>& paths);

}  // namespace polyak::rules
