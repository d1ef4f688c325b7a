#include "server/base/build.h"

#include "absl/strings/str_cat.h"

namespace polyak::base {
namespace {

#ifdef __clang__
constexpr char kCompiler[] = "clang " __clang_version__;
#else
constexpr char kCompiler[] = "g++ " __VERSION__;
#endif
#ifdef __x86_64__
constexpr char kArchitecture[] = "x86-64";
#else
constexpr char kArchitecture[] = "another processor";
#endif

}  // namespace

std::string BuildTools() { return absl::StrCat(kCompiler, ", ", kArchitecture); }

std::string BuildName() { return absl::StrCat("polyak ", POLYAK_VERSION, ", ", BuildTools()); }

}  // namespace polyak::base
