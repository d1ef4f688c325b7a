# Compiler options shared by every target of the project, through the interface library polyak_options.

add_library(polyak_options INTERFACE)
target_compile_definitions(polyak_options INTERFACE POLYAK_VERSION="${PROJECT_VERSION}")
target_link_libraries(polyak_options INTERFACE absl::status absl::statusor absl::strings absl::str_format absl::time
  absl::synchronization)
target_include_directories(polyak_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(polyak_options INTERFACE -Wall -Wextra -Werror)
# The same bits from the same spec: a fused multiply-add would round differently per CPU and per inlining.
target_compile_options(polyak_options INTERFACE -ffp-contract=off)
# The mutex annotations of server/base/mutex.h mean something to clang only.
target_compile_options(polyak_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)

find_program(POLYAK_CCACHE ccache)
if(POLYAK_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths relative to the tree: a second clone finds what the first one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${POLYAK_CCACHE})
endif()

find_program(POLYAK_MOLD mold)
if(POLYAK_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

if(POLYAK_SANITIZERS STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
    -Wno-maybe-uninitialized)  # GCC 12 warns of its own instrumentation.
  add_link_options(-fsanitize=address,undefined)
elseif(POLYAK_SANITIZERS STREQUAL "thread")
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "POLYAK_SANITIZERS is 'thread' and the compiler ${CMAKE_CXX_COMPILER_ID}; accepted: Clang, "
      "which alone has -fsanitize-ignorelist")
  endif()
  # Debian's gRPC, protobuf and Abseil are not instrumented: see docs/decisions/thread-sanitizer.md.
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer
    -fsanitize-ignorelist=${PROJECT_SOURCE_DIR}/cmake/tsan_ignorelist.txt)
  add_link_options(-fsanitize=thread)
  add_compile_definitions(POLYAK_THREAD_SANITIZER)
elseif(POLYAK_SANITIZERS STREQUAL "fuzzer")
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "POLYAK_SANITIZERS is 'fuzzer' and the compiler ${CMAKE_CXX_COMPILER_ID}; accepted: Clang, "
      "which alone has libFuzzer")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(NOT POLYAK_SANITIZERS STREQUAL "")
  message(FATAL_ERROR "POLYAK_SANITIZERS is '${POLYAK_SANITIZERS}'; accepted: address, thread, fuzzer, empty")
endif()
